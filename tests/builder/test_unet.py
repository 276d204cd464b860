"""U-Net: sizes, the joins between its levels, and that its options are real."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F

from scirs_neural.builder import build
from scirs_neural.builder.unet import unet
from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.models import create_model


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (31, 17), (64, 33)])
def test_any_size_is_restored(size):
    net = unet(num_classes=5, in_channels=3, width=2, depth=4).eval()
    assert net(torch.randn(2, 3, *size)).shape == (2, 5, *size)


def test_it_is_the_sum_of_its_levels():
    net = unet(num_classes=2, in_channels=1, input_size=(11, 6), width=3, depth=3).eval()
    x = torch.randn(2, 1, 11, 6)

    def run(name, x):
        layers = net.get_submodule(name)
        for index in range(6):
            x = layers.get_submodule(str(index))(x)
        return x

    a = run("level0", x)
    b = run("level1", F.max_pool2d(a, 2))
    c = run("level2", F.max_pool2d(b, 2))
    convs = [layer for name, layer in net.named_children() if name.isdigit() and hasattr(layer, "weight")]
    up = run("up1", torch.cat([convs[0](F.interpolate(c, b.shape[2:])), b], 1))
    up = run("up0", torch.cat([convs[1](F.interpolate(up, a.shape[2:])), a], 1))
    assert torch.equal(net(x), net.head(up))


def test_it_is_in_the_zoo_and_can_be_written_copied_and_exported():
    net = create_model("unet", num_classes=3, in_channels=1, input_size=17, width=2, depth=3, dropout=0.5).eval()
    x = torch.randn(2, 1, 17, 17)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x), net(x))
    again = build(net.to_spec())
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(x), net(x))
    n = torch.export.Dim("n", min=1, max=64)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: n},))
    torch.testing.assert_close(program.module()(torch.cat([x, x])), net(torch.cat([x, x])))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="depth"):
        unet(depth=1)
    with pytest.raises(ShapeError):
        unet(input_size=7, depth=4)
