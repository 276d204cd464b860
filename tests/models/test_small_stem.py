"""The stems for small inputs: less early down-sampling, everything else as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ShapeError
from scirs_neural.models import create_model, on_meta
from scirs_neural.models.vision.families import FAMILIES, SMALL_BY_DEFAULT

FACTORS = {  # by how much finer the last map's grid is, a side; alexnet and the patch embeddings have their own
    "resnet18": 4,
    "densenet121": 4,
    "efficientnet_b0": 4,
    "convnext_tiny": 2,
    "swin_t": 2,
    "mobilenet_v2": 4,
    "mobilenet_v3_small": 4,
    "mnasnet0_5": 4,
    "regnet_y_400mf": 4,
    "shufflenet_v2_x0_5": 4,
    "squeezenet1_1": 4,
    "vgg11": 4,
    "googlenet": 4,
}
LAST_MAP = {
    "resnet18": "layer4",
    "regnet_y_400mf": "trunk_output",
    "shufflenet_v2_x0_5": "conv5",
    "mnasnet0_5": "layers",
    "googlenet": "inception5b",
}


def grid(model: nn.Module, path: str, channels_last: bool) -> tuple[int, int]:
    seen: list[Any] = []
    hook = model.get_submodule(path).register_forward_hook(lambda module, given, output: seen.append(output))
    with torch.no_grad():
        model.eval()(torch.empty(2, 3, 128, 128, device="meta"))
    hook.remove()
    shape = seen[-1].shape
    return (shape[1], shape[2]) if channels_last else (shape[2], shape[3])


@pytest.mark.feature(57)
@pytest.mark.parametrize("name", FACTORS)
def test_small_stem_keeps_a_finer_grid_and_the_number_of_blocks(name: str) -> None:
    path = LAST_MAP.get(name, "features")
    with on_meta():
        standard = create_model(name, stem="standard")
        small = create_model(name, stem="small")
    coarse, fine = (grid(model, path, name.startswith("swin")) for model in (standard, small))
    assert fine[0] / coarse[0] == pytest.approx(FACTORS[name], rel=0.15)  # squeezenet's pools round up
    ours, theirs = small.state_dict(), standard.state_dict()
    assert ours.keys() == theirs.keys()
    assert sum(ours[key].shape != theirs[key].shape for key in ours) <= 1  # the first kernel


@pytest.mark.feature(57)
def test_small_resnet_is_the_cifar_one() -> None:
    """3x3 first convolution with stride 1 and no max-pool: He et al. 2015, section 4.2."""
    with on_meta():
        model = create_model("resnet50", stem="small", in_channels=1)
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.padding) == ((3, 3), (1, 1), (1, 1))
    assert isinstance(model.maxpool, nn.Identity)


def test_every_family_that_offers_it_takes_tiny_inputs(representative: str) -> None:
    if representative == "maxvit_t":
        assert FAMILIES["maxvit"].layout.small is None
        with on_meta(), pytest.raises(ShapeError, match="multiples of 224"):
            create_model("maxvit_t", input_size=32)
        return
    with on_meta():
        model = create_model(representative, in_channels=1, num_classes=10, input_size=32)  # auto
        assert model.eval()(torch.empty(2, 1, 32, 32)).shape == (2, 10)


def test_auto_is_small_for_small_inputs_without_weights() -> None:
    with on_meta():
        first = [
            create_model("resnet18", input_size=size, weights=weights).conv1.kernel_size[0]
            for size, weights in ((None, None), (16, None), ((16, 17), None), (16, "DEFAULT"))
        ]
    assert first == [7, 3, 7, 7]
    assert set(FAMILIES) >= SMALL_BY_DEFAULT


def test_vision_transformer_keeps_eight_patches_a_side() -> None:
    with on_meta():
        patches = {size: create_model("vit_b_16", input_size=size).patch_size for size in (8, 64, 224)}
    assert patches == {8: 1, 64: 8, 224: 16}
