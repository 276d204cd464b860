"""Penalties on what flows through a model, which the training loss picks up by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError

_MAX_WAITING = 64


class ActivityRegularization(nn.Module):
    """Passes its input on, and in training adds l1 * mean|x| + l2 * mean(x^2) to the loss.

    The penalty waits in the layer until `collect_penalties` takes it (the tasks of this package do so at every step).
    In evaluation and export the layer does nothing.

    Args:
        l1: weight of the mean absolute value: drives activities to exactly 0.
        l2: weight of the mean square: keeps them small.

    Shape: any -> the same

    Raises:
        ConfigError: a negative weight, or penalties that nobody collects.

    Source: Keras's layer of this name, with the mean in place of the sum, so that the weight does not depend on size.

    Example:
        >>> model = nn.Sequential(nn.ReLU(), ActivityRegularization(l1=0.1, l2=1.0))
        >>> output = model(torch.tensor([[-1.0, 2.0]]))
        >>> collect_penalties(model), collect_penalties(model)
        (tensor(2.1000), tensor(0.))
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__()
        if l1 < 0 or l2 < 0:
            raise ConfigError(f"activity penalties must not be negative, got l1={l1}, l2={l2}")
        self.l1, self.l2 = l1, l2
        self.waiting: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """The input as it is."""
        if self.training and torch.is_grad_enabled():
            if len(self.waiting) >= _MAX_WAITING:
                raise ConfigError(
                    "activity penalties are never collected",
                    fix="loss = loss + collect_penalties(model), at every step",
                )
            self.waiting.append(self.l1 * x.abs().mean() + self.l2 * x.square().mean())
        return x

    def extra_repr(self) -> str:
        """The two weights."""
        return f"l1={self.l1}, l2={self.l2}"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "waiting": []}  # a graph can be neither copied nor pickled


def collect_penalties(model: nn.Module) -> Tensor:
    """The sum of the penalties that wait in a model's layers, which then hold none; 0 if there are none."""
    total: Tensor | None = None
    for module in model.modules():
        if isinstance(module, ActivityRegularization) and module.waiting:
            for penalty in module.waiting:
                total = penalty if total is None else total + penalty
            module.waiting = []
    return torch.zeros(()) if total is None else total
