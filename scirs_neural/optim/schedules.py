"""Learning-rate schedules, all stepped once an optimizer step.

Each takes the optimizer, a `Span` (how long the run is) and its options. All but `one_cycle` and `plateau`, which are
torch's own, are a plain function of the step: so nothing drifts, a resumed run goes on exactly, and milestones stand
where the user counts them, with a warm-up or without (torch's SequentialLR would move them back by its length).

The linear warm-up goes before any of them but `one_cycle`, whose rise is its warm-up, and `plateau`, which has no
length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

WARMUP_START = 1e-3  # a rate of exactly 0 in the first step would waste it


DEFAULT_WARMUP = {"one_cycle": 0.3}  # torch's pct_start; the other schedules start at their peak


@dataclass(frozen=True)
class Span:
    """How long a run is.

    Args:
        total_steps: optimizer steps in the whole run.
        steps_per_epoch: optimizer steps in one epoch.
        warmup: a fraction of all steps if below 1, else a number of steps.

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
        return max(0, min(round(steps), self.total_steps - 1))

    def progress(self, step: int) -> float:
        """How much of the steps after the warm-up lie before a step: 0 to 1."""
        return min(1.0, max(0, step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))


def constant(optimizer: Optimizer, span: Span) -> LRScheduler:
    """The peak rate throughout."""
    return _schedule(optimizer, span, lambda step: 1.0)


def linear(optimizer: Optimizer, span: Span, *, end_factor: float = 0.0) -> LRScheduler:
    """From the peak to ``end_factor`` of it in a straight line."""
    return _schedule(optimizer, span, lambda step: 1 - (1 - end_factor) * span.progress(step))


def cosine(optimizer: Optimizer, span: Span, *, end_factor: float = 0.0) -> LRScheduler:
    """Half a cosine from the peak to ``end_factor`` of it.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, without restarts.
    """
    return _schedule(
        optimizer, span, lambda step: end_factor + (1 - end_factor) * (1 + cos(pi * span.progress(step))) / 2
    )


def polynomial(optimizer: Optimizer, span: Span, *, power: float = 2.0) -> LRScheduler:
    """The peak times (fraction of steps left) to a power."""
    return _schedule(optimizer, span, lambda step: (1 - span.progress(step)) ** power)


def step(optimizer: Optimizer, span: Span, *, step_size: int = 30, gamma: float = 0.1) -> LRScheduler:
    """Times ``gamma`` every ``step_size`` epochs."""
    return _schedule(optimizer, span, lambda step: gamma ** (step // (step_size * span.steps_per_epoch)))


def multi_step(
    optimizer: Optimizer, span: Span, *, milestones: Sequence[int] = (30, 60, 80), gamma: float = 0.1
) -> LRScheduler:
    """Times ``gamma`` at each milestone, counted in epochs."""
    marks = sorted(milestone * span.steps_per_epoch for milestone in milestones)
    return _schedule(optimizer, span, lambda step: gamma ** bisect_right(marks, step))


def exponential(optimizer: Optimizer, span: Span, *, gamma: float = 0.95) -> LRScheduler:
    """Times ``gamma`` every epoch after the warm-up, spread evenly over its steps."""
    return _schedule(optimizer, span, lambda step: gamma ** (max(0, step - span.warmup_steps) / span.steps_per_epoch))


def one_cycle(
    optimizer: Optimizer, span: Span, *, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> LRScheduler:
    """Up to the peak and down again, each half a cosine; momentum moves the other way.

    Args:
        optimizer: whose groups' rates are the peaks.
        span: its ``warmup`` is the fraction (or number) of steps that go up.
        div_factor: peak over first rate.
        final_div_factor: first over last rate.

    Source: Smith and Topin, Super-Convergence, 2018.
    """
    rise = max(span.warmup_steps, 1) / span.total_steps
    peaks = [group["lr"] for group in optimizer.param_groups]
    groups = optimizer.param_groups  # torch moves one kind of momentum in all of them or none
    has_momentum = all("betas" in group for group in groups) or all(group.get("momentum") for group in groups)
    return OneCycleLR(
        optimizer,
        max_lr=peaks,
        total_steps=span.total_steps + 1,  # torch steps once more after the last optimizer step
        pct_start=rise,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=has_momentum,
    )


def plateau(
    optimizer: Optimizer,
    span: Span,
    *,
    factor: float = 0.1,
    patience: int = 3,
    monitor: str = "val/loss",
    mode: Literal["auto", "min", "max"] = "auto",
) -> ReduceLROnPlateau:
    """Times ``factor`` when a metric has not improved for ``patience`` epochs. The trainer steps it once an epoch.

    ``mode`` is "min" or "max"; "auto" is the metric's own direction, which the trainer knows.
    """
    return ReduceLROnPlateau(optimizer, mode="min" if mode == "auto" else mode, factor=factor, patience=patience)


def _schedule(optimizer: Optimizer, span: Span, factor: Callable[[int], float]) -> LRScheduler:
    """Torch's LambdaLR over a function of the step (from 0), with the warm-up as a second factor."""

    def warmed(step: int) -> float:
        risen = min(1.0, step / span.warmup_steps) if span.warmup_steps else 1.0
        return factor(step) * (WARMUP_START + (1 - WARMUP_START) * risen)

    return LambdaLR(optimizer, warmed)
