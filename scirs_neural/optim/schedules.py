"""Learning-rate schedules, all stepped once an optimizer step, built from torch's own classes.

Each takes the optimizer, a `Span` (how long the run is) and its options. A linear warm-up goes before any of them but
`one_cycle`, whose rise is its warm-up, and `plateau`, which has no length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_schedulers
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

WARMUP_START = 1e-3  # a rate of exactly 0 in the first step would waste it


@dataclass(frozen=True)
class Span:
    """How long a run is.

    Args:
        total_steps: optimizer steps in the whole run.
        steps_per_epoch: optimizer steps in one epoch.
        warmup: a share of all steps if below 1, else a number of steps.

    Example:
        >>> Span(total_steps=200, steps_per_epoch=20, warmup=0.1).warmup_steps
        20
        >>> Span(total_steps=200, steps_per_epoch=20, warmup=5).warmup_steps
        5
    """

    total_steps: int
    steps_per_epoch: int
    warmup: float = 0.0

    @property
    def warmup_steps(self) -> int:
        """Steps of the linear warm-up."""
        steps = self.warmup * self.total_steps if self.warmup < 1 else self.warmup
        return min(round(steps), self.total_steps - 1)

    @property
    def decay_steps(self) -> int:
        """Steps that are left after the warm-up."""
        return max(1, self.total_steps - self.warmup_steps)


def constant(optimizer: Optimizer, span: Span) -> LRScheduler:
    """The peak rate throughout."""
    return _after_warmup(optimizer, span, torch_schedulers.ConstantLR(optimizer, factor=1.0))


def linear(optimizer: Optimizer, span: Span, *, end_factor: float = 0.0) -> LRScheduler:
    """From the peak to ``end_factor`` of it in a straight line."""
    return _after_warmup(optimizer, span, torch_schedulers.LinearLR(optimizer, 1.0, end_factor, span.decay_steps))


def cosine(optimizer: Optimizer, span: Span, *, end_factor: float = 0.0) -> LRScheduler:
    """Half a cosine from the peak to ``end_factor`` of it.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, without restarts.
    """

    def factor(step: int) -> float:
        from math import cos, pi

        return end_factor + (1 - end_factor) * (1 + cos(pi * min(step, span.decay_steps) / span.decay_steps)) / 2

    return _after_warmup(optimizer, span, torch_schedulers.LambdaLR(optimizer, factor))


def polynomial(optimizer: Optimizer, span: Span, *, power: float = 2.0) -> LRScheduler:
    """The peak times (share of steps left) to a power."""
    return _after_warmup(optimizer, span, torch_schedulers.PolynomialLR(optimizer, span.decay_steps, power))


def step(optimizer: Optimizer, span: Span, *, step_size: int = 30, gamma: float = 0.1) -> LRScheduler:
    """Times ``gamma`` every ``step_size`` epochs."""
    inner = torch_schedulers.StepLR(optimizer, step_size * span.steps_per_epoch, gamma)
    return _after_warmup(optimizer, span, inner)


def multi_step(
    optimizer: Optimizer, span: Span, *, milestones: Sequence[int] = (30, 60, 80), gamma: float = 0.1
) -> LRScheduler:
    """Times ``gamma`` at each milestone, counted in epochs."""
    inner = torch_schedulers.MultiStepLR(optimizer, [m * span.steps_per_epoch for m in milestones], gamma)
    return _after_warmup(optimizer, span, inner)


def exponential(optimizer: Optimizer, span: Span, *, gamma: float = 0.95) -> LRScheduler:
    """Times ``gamma`` every epoch, spread evenly over its steps."""
    inner = torch_schedulers.ExponentialLR(optimizer, gamma ** (1 / span.steps_per_epoch))
    return _after_warmup(optimizer, span, inner)


def one_cycle(
    optimizer: Optimizer, span: Span, *, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> LRScheduler:
    """Up to the peak and down again, each half a cosine; momentum moves the other way.

    Args:
        optimizer: whose groups' rates are the peaks.
        span: its ``warmup`` is the share (or number) of steps that go up.
        div_factor: peak over first rate.
        final_div_factor: first over last rate.

    Source: Smith and Topin, Super-Convergence, 2018.
    """
    rise = max(span.warmup_steps, 1) / span.total_steps
    peaks = [group["lr"] for group in optimizer.param_groups]
    has_momentum = any("betas" in group or group.get("momentum") for group in optimizer.param_groups)
    return torch_schedulers.OneCycleLR(
        optimizer,
        max_lr=peaks,
        total_steps=span.total_steps + 1,  # torch steps once more after the last optimizer step
        pct_start=rise,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=has_momentum,
    )


def plateau(
    optimizer: Optimizer, span: Span, *, factor: float = 0.1, patience: int = 3, monitor: str = "val/loss", mode: str = "min"
) -> ReduceLROnPlateau:
    """Times ``factor`` when a metric has not improved for ``patience`` epochs. Stepped by the trainer, once an epoch."""
    return ReduceLROnPlateau(optimizer, mode=mode, factor=factor, patience=patience)  # type: ignore[arg-type]


def _after_warmup(optimizer: Optimizer, span: Span, main: LRScheduler) -> LRScheduler:
    if span.warmup_steps < 1:
        return main
    rise = torch_schedulers.LinearLR(optimizer, WARMUP_START, 1.0, span.warmup_steps)
    return torch_schedulers.SequentialLR(optimizer, [rise, main], [span.warmup_steps])
