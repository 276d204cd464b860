"""Tiny seeded networks of every kind that a package can hold, each with an input. The golden packages are of these."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from scirs_neural.builder import Input, Model, Sequential, layer
from scirs_neural.models import create_model


class OwnNet(nn.Module):
    """A class as a user writes it: tied weights, a buffer that is saved and one that is not."""

    def __init__(self, width: int = 6, num_classes: int = 3) -> None:
        super().__init__()
        self.up, self.mix, self.head = nn.Linear(4, width), nn.Linear(width, width), nn.Linear(width, num_classes)
        self.again = nn.Linear(width, width)
        self.again.weight = self.mix.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, width))
        self.register_buffer("shift", torch.arange(float(width)) / 10, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.up(x)) * self.scale + self.shift
        return self.head(torch.tanh(self.again(self.mix(h))))


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """The network with other running statistics than it began with, in evaluation mode."""
    model.train()
    with torch.no_grad():
        model(x * 2 + 0.5)
    return model.eval()


def pruned(model: nn.Module, x: Tensor, keep: Sequence[nn.Module]) -> nn.Module:
    """The network with half of its channels, as torch-pruning leaves it."""
    import torch_pruning

    with warnings.catch_warnings(action="ignore", category=UserWarning):
        pruner = torch_pruning.pruner.MetaPruner(
            model, x, importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=0.5,
            ignored_layers=list(keep),
        )  # fmt: skip
        pruner.step()
    return model.eval()


def _cnn() -> tuple[nn.Module, Tensor]:
    x = torch.randn(2, 1, 8, 8)
    return trained(create_model("cnn", num_classes=3, depth=2, width=4), x), x


def _mlp() -> tuple[nn.Module, Tensor]:
    return create_model("mlp", num_classes=3, input_size=4, hidden=[8, 5]).eval(), torch.randn(2, 1, 4, 4)


def _sequential() -> tuple[nn.Module, Tensor]:
    layers = [
        {"conv2d": [4, 3], "init": "kaiming_normal"}, "batch_norm2d", "relu",
        {"residual": [{"conv2d": [4, 3, 1, 1]}, "gelu"]}, {"max_pool2d": 2}, "flatten", {"linear": 3},
    ]  # fmt: skip
    x = torch.randn(2, 1, 8, 8)
    return trained(Sequential(layers, input_shape=(1, 8, 8)), x), x


def _functional() -> tuple[nn.Module, Tensor]:
    x = Input((1, 6, 6))
    conv = layer("conv2d", 4, 3, padding=1, name="shared")
    first = layer("relu")(layer("conv2d", 4, 3, padding=1)(x))
    both = layer("flatten")(conv(first) + conv(conv(first)))
    return Model(x, layer("linear", 3, name="head")(both)).eval(), torch.randn(2, 1, 6, 6)


def _pruned() -> tuple[nn.Module, Tensor]:
    model, x = _cnn()
    return pruned(model, x, [model.head]), x


def _pruned_sequential() -> tuple[nn.Module, Tensor]:
    model, x = _sequential()
    (head,) = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return pruned(model, x, [head]), x


def _own() -> tuple[nn.Module, Tensor]:
    return OwnNet(width=5, num_classes=2).eval(), torch.randn(3, 4)


def _half() -> tuple[nn.Module, Tensor]:
    model, x = _mlp()
    return model.to(torch.bfloat16), x.to(torch.bfloat16)


NETS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "zoo-cnn": _cnn,
    "zoo-mlp": _mlp,
    "builder-sequential": _sequential,
    "builder-functional": _functional,
    "pruned-zoo": _pruned,
    "pruned-builder": _pruned_sequential,
    "own-class": _own,
    "bfloat16": _half,
}
OWN = {"own-class": (OwnNet, {"width": 5, "num_classes": 2})}  # what the user must give, and what it is called with


def net(name: str) -> tuple[nn.Module, Tensor]:
    """A network and an input, always of the same values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return NETS[name]()
