"""A model, a loss, an optimizer, a callback, a plugin and a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor, nn

from scirs_neural.plugins import Plugin


class SeriesNet(nn.Module):
    """Two layers over the numbers of a series; gives (N,)."""

    def __init__(self, length: int, *, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(length, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, series: Tensor) -> Tensor:
        """Logs of counts."""
        return self.body(series).squeeze(1)


class SquaredLog(nn.Module):
    """The squared error of log counts."""

    def __init__(self, *, floor: float = 1.0) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, logs: Tensor, counts: Tensor) -> Tensor:
        """The mean over the samples."""
        return (logs - counts.clamp(min=self.floor).log()).square().mean()


class SignSGD(torch.optim.Optimizer):
    """Steps of one length, whatever the gradient's; with a running mean of gradients."""

    def __init__(self, params: Any, lr: float = 1e-3, *, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter by the rate."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                    mean.lerp_(parameter.grad, 1 - group["beta"])
                    parameter.sub_(mean.sign(), alpha=group["lr"])
        return loss


class CountedSteps(L.Callback):
    """Counts optimizer steps, in checkpoints too."""

    def __init__(self, *, by: int = 1) -> None:
        self.by, self.count = by, 0

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        """Count."""
        self.count += self.by

    def state_dict(self) -> dict[str, Any]:
        """The count."""
        return {"count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The count."""
        self.count = state_dict["count"]


class PullToStart(Plugin):
    """A term of the loss that keeps weights near where they began (L2-SP, Li et al. 2018)."""

    name = "pull_to_start"

    def __init__(self, *, strength: float = 0.01) -> None:
        super().__init__(strength=strength)
        self.start: dict[str, Tensor] = {}

    def prepare(self, model: nn.Module, task: Any, example: Any) -> nn.Module:
        """Remember where the weights began."""
        self.start = {name: p.detach().clone() for name, p in model.named_parameters()}
        return model

    def losses(self, outputs: Any, batch: Any, taps: Any, model: nn.Module, ctx: Any) -> dict[str, Tensor]:
        """The squared distance."""
        pairs = [(p, self.start[name].to(p.device)) for name, p in model.named_parameters()]
        return {"distance": self.options["strength"] * sum((p - start).square().sum() for p, start in pairs)}

    def state_dict(self) -> dict[str, Any]:
        """The start."""
        return dict(self.start)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The start."""
        self.start = dict(state)


def within(expected: np.ndarray, target: np.ndarray) -> float:
    """The fraction of samples whose expected count is less than 20 from the true one."""
    return float((np.abs(expected - target) < 20).mean())
