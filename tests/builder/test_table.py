"""The summary's figures against torchvision's published ones."""

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from scirs_neural.builder import Input, Model, Sequential, layer, summary
from scirs_neural.core.errors import ConfigError


@pytest.mark.feature(52)
def test_parameters_and_macs_equal_the_published_ones():
    published = ResNet18_Weights.IMAGENET1K_V1.meta
    found = summary(resnet18(), (3, 224, 224))
    assert found.parameters == found.trainable == published["num_params"]
    assert found.macs / 1e9 == pytest.approx(published["_ops"], abs=5e-4)
    assert sum(row.parameters for row in found.rows) == found.parameters
    assert sum(row.macs for row in found.rows) == found.macs
    assert {row.path: row.shape for row in found.rows}["layer4.1.bn2"] == "(N, 512, 7, 7)"


def test_shared_and_frozen_layers():
    x = Input((4,))
    shared = layer("linear", 4, name="shared", freeze=True)
    model = Model(x, layer("linear", 2, name="head")(shared(shared(x))))
    found = summary(model)
    assert [(row.path, row.parameters, row.shared) for row in found.rows] == [
        ("shared", 20, False), ("shared", 0, True), ("head", 10, False)]  # fmt: skip
    assert found.trainable == 10
    assert found.macs == 16 + 16 + 8
    assert "30 parameters (20 frozen)" in model.summary()


def test_it_does_not_touch_the_model():
    net = Sequential([{"conv2d": [4, 3]}, "batch_norm2d", "flatten", {"linear": 2}], (1, 8, 8))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    summary(net)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())


def test_several_inputs_and_a_bare_layer():
    assert summary(nn.Bilinear(3, 4, 2), [(3,), (4,)]).parameters == 26
    assert summary(nn.Linear(3, 2), (3,)).macs == 6
    with pytest.raises(ConfigError, match="does not know its input's shape"):
        summary(nn.Linear(3, 2))


def test_the_room_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, scirs_neural.builder as b; assert 'Model' in b.__all__ and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
