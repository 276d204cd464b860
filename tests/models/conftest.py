from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models
from torch import nn

from scirs_neural.models.meta import on_meta

REPRESENTATIVES = {  # one cheap network of every family, and an input side in px that it takes without a small stem
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_s": 32,
    "googlenet": 32,
    "inception_v3": 80,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "resnext50_32x4d": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
    "swin_v2_t": 32,
    "vgg11": 32,
    "vit_b_16": 32,
    "wide_resnet50_2": 32,
}
WITH_TABLES = ("swin_t", "swin_v2_t", "maxvit_t")  # whose constructors compute buffers
AUX = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "representative" in metafunc.fixturenames:
        metafunc.parametrize("representative", sorted(REPRESENTATIVES))


@pytest.fixture
def side(representative: str) -> int:
    return REPRESENTATIVES[representative]


@pytest.fixture(scope="session")
def published() -> Callable[..., nn.Module]:
    """torchvision's own network, without auxiliary heads; not `meta`: in memory, its parameters not drawn yet."""

    def build(name: str, *, meta: bool = True, **options: object) -> nn.Module:
        if name in AUX:
            options["init_weights"] = False
        builder = torchvision.models.get_model_builder(name)
        if meta or name not in WITH_TABLES:
            with on_meta():
                model = builder(**options).to("meta")
            if not meta:
                model.to_empty(device="cpu")
        else:
            model = builder(**options)
        for path in AUX.get(name, ()):
            setattr(model, path, None)
        if name in AUX:
            model.aux_logits = False
        return model

    return build


@pytest.fixture(scope="session")
def randomise() -> Callable[[nn.Module], nn.Module]:
    """Give every parameter and running statistic values under which outputs are neither zero nor equal."""

    numbers = torch.randn(99_991, generator=torch.Generator().manual_seed(7))  # used in turn: drawing 100 M takes long

    def draw(model: nn.Module) -> nn.Module:
        used = 0
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            turns = numbers.roll(-used).repeat(tensor.numel() // len(numbers) + 1)
            values, used = turns[: tensor.numel()].view(tensor.shape), used + tensor.numel()
            if name.endswith("running_var"):
                tensor.copy_(values.abs() + 0.5)
            elif tensor.dim() > 1:
                tensor.copy_(values * (2 / tensor[0].numel()) ** 0.5)
            elif name.endswith("weight"):  # scales of norms
                tensor.copy_(1 + 0.1 * values)
            else:
                tensor.copy_(0.05 * values)
        return model

    return draw


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache: the folder of downloaded weights."""
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"
