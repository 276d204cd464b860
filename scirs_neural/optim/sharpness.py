"""Sharpness-aware minimization: the gradient is taken where the loss around the weights is worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.wrapper import Wrapper, make_base


class SharpnessAware(Wrapper):
    """Climbs to the worst point within reach, takes the gradient there, and steps with it from where it came.

    Each step evaluates its closure twice: at the weights, and at the point above them. `is_climbing` is set during the
    first time, when the gradients are not yet those that the step is made with.

    Args:
        base: makes the steps.
        rho: how far to climb.
        adaptive: measure the way in units of each weight's size (ASAM).
    """

    traits = {"needs_closure": True}

    def __init__(self, base: Optimizer, rho: float, *, adaptive: bool) -> None:
        if rho <= 0:
            raise ValueError(f"rho must be greater than 0, not {rho}")
        super().__init__([base])
        self.rho, self.adaptive = rho, adaptive
        self.is_climbing = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns:
            The loss at the weights.

        Raises:
            ConfigError: there is no closure.
        """
        if closure is None:
            raise ConfigError("sharpness-aware steps evaluate the loss twice: step(closure) needs its closure")
        self.is_climbing = True
        try:
            with torch.enable_grad():
                loss = closure()
        finally:
            self.is_climbing = False
        before = self._climb()
        try:
            with torch.enable_grad():
                closure()
        finally:  # an error too leaves the weights where they were
            for parameter, value in before:
                parameter.copy_(value)
        self.parts[0].step()
        return loss

    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Go up the gradient; gives the parameters with their values before."""
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not moved:
            return []
        slopes = [p.grad * p.abs() if self.adaptive else p.grad for p in moved]
        scale = self.rho / (torch.nn.utils.get_total_norm(slopes) + 1e-12)
        before = [(p, p.clone()) for p in moved]
        for parameter, slope in zip(moved, slopes, strict=True):
            way = slope * parameter.abs() if self.adaptive else slope
            parameter.add_(way * scale.to(parameter))
        return before


def sam(
    params: Iterable[Any],
    lr: float = 0.1,
    weight_decay: float = 0.0,
    base: str = "sgd",
    base_options: Mapping[str, Any] | None = None,
    rho: float = 0.05,
) -> SharpnessAware:
    """Sharpness-aware minimization that wraps another optimizer.

    Args:
        params: parameters or groups of them.
        lr: learning rate of the base.
        weight_decay: of the base.
        base: registry name of the optimizer that makes the steps.
        base_options: its options.
        rho: radius of the neighbourhood.

    Source: Foret et al., Sharpness-Aware Minimization, ICLR 2021, algorithm 1 with p = 2.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([3.0]))
        >>> optimizer = sam([weight], lr=0.1, rho=1.0)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (weight**2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item(), weight.item()  # the slope at 4 is 8
        (9.0, 2.200000047683716)
    """
    return SharpnessAware(make_base(base, params, base_options, lr=lr, weight_decay=weight_decay), rho, adaptive=False)


def asam(
    params: Iterable[Any],
    lr: float = 0.1,
    weight_decay: float = 0.0,
    base: str = "sgd",
    base_options: Mapping[str, Any] | None = None,
    rho: float = 0.5,
) -> SharpnessAware:
    """Adaptive SAM: the neighbourhood is measured in units of each weight's size.

    Args:
        params: parameters or groups of them.
        lr: learning rate of the base.
        weight_decay: of the base.
        base: registry name of the optimizer that makes the steps.
        base_options: its options.
        rho: radius of the neighbourhood; about ten times SAM's.

    Source: Kwon et al., ASAM, ICML 2021, eq. 8 with element-wise normalisation.
    """
    return SharpnessAware(make_base(base, params, base_options, lr=lr, weight_decay=weight_decay), rho, adaptive=True)
