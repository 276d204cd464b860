"""Each schedule's learning rate at every step, against a closed formula written here from the step alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from scirs_neural.optim import SCHEDULERS
from scirs_neural.optim.build import build_scheduler
from scirs_neural.optim.schedules import WARMUP_START, Span

EPOCH, EPOCHS = 7, 9
TOTAL = EPOCH * EPOCHS
PEAKS = (0.4, 0.1)


def risen(t: int, warm: int) -> float:
    """The warm-up as an interpolation between its two ends."""
    return 1.0 if t >= warm else (WARMUP_START * (warm - t) + t) / warm


def left(t: int, warm: int, total: int) -> float:
    """The share of the steps after the warm-up that are still to come."""
    return 1.0 if t < warm else (total - t) / (total - warm)


def cycle(t: int, warm: int, total: int, div: float, final: float) -> float:
    """Two half cosines that meet at the peak: first rate 1/div, last 1/(div * final), one step past the end."""
    top = max(warm, 1) / total * (total + 1) - 1
    first, last = 1 / div, 1 / (div * final)
    if t <= top:
        return first + (1 - first) * math.sin(math.pi * t / top / 2) ** 2
    return last + (1 - last) * math.cos(math.pi * (t - top) / (total - top) / 2) ** 2


# name, options, closed formula of (step, steps of warm-up)
FORMULAS = [
    ("constant", {}, lambda t, w: risen(t, w)),
    ("linear", {}, lambda t, w: risen(t, w) * left(t, w, TOTAL)),
    ("linear", {"end_factor": 0.2}, lambda t, w: risen(t, w) * (0.2 + 0.8 * left(t, w, TOTAL))),
    ("cosine", {}, lambda t, w: risen(t, w) * math.sin(math.pi / 2 * left(t, w, TOTAL)) ** 2),
    (
        "cosine",
        {"end_factor": 0.1},
        lambda t, w: risen(t, w) * (0.1 + 0.9 * math.sin(math.pi / 2 * left(t, w, TOTAL)) ** 2),
    ),
    ("polynomial", {}, lambda t, w: risen(t, w) * left(t, w, TOTAL) ** 2),
    ("polynomial", {"power": 0.5}, lambda t, w: risen(t, w) * math.sqrt(left(t, w, TOTAL))),
    ("step", {"step_size": 2, "gamma": 0.5}, lambda t, w: risen(t, w) * 0.5 ** (t // EPOCH // 2)),
    (
        "multi_step",
        {"milestones": [6, 3], "gamma": 0.1},
        lambda t, w: risen(t, w) * (1 if t < 3 * EPOCH else 0.1 if t < 6 * EPOCH else 0.01),
    ),
    ("exponential", {"gamma": 0.8}, lambda t, w: risen(t, w) * math.exp(max(0, t - w) / EPOCH * math.log(0.8))),
    ("one_cycle", {}, lambda t, w: cycle(t, w, TOTAL, 25.0, 1e4)),
    ("one_cycle", {"div_factor": 4.0, "final_div_factor": 10.0}, lambda t, w: cycle(t, w, TOTAL, 4.0, 10.0)),
]
WARMUPS = [(0, 0), (0.25, 16), (0.999, 62), (10, 10), (1, 1), (500, 62)]  # as set, and in steps


def make(name, options, span, kind=SGD):
    optimizer = kind([{"params": [nn.Parameter(torch.zeros(1))], "lr": peak} for peak in PEAKS], lr=1.0)
    return optimizer, build_scheduler(name, optimizer, span, **options)


def rates(optimizer, scheduler, steps):
    """The rates that the optimizer's steps are made with."""
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.feature(84)
@pytest.mark.parametrize(("warmup", "steps"), WARMUPS)
@pytest.mark.parametrize(("name", "options", "formula"), FORMULAS, ids=[f"{n}-{o}" for n, o, _ in FORMULAS])
def test_the_rate_at_every_step_is_the_closed_formula_s_also_after_a_resume(name, options, formula, warmup, steps):
    span = Span(TOTAL, EPOCH, warmup)
    assert span.warmup_steps == steps
    expected = [[peak * formula(t, steps) for peak in PEAKS] for t in range(TOTAL)]
    optimizer, scheduler = make(name, options, span)
    seen = rates(optimizer, scheduler, TOTAL // 2)
    again, resumed = make(name, options, span)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    seen += rates(again, resumed, TOTAL - TOTAL // 2)
    torch.testing.assert_close(
        torch.tensor(seen, dtype=torch.float64), torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12
    )


def test_every_schedule_is_in_the_table_or_is_plateau():
    assert {name for name, _, _ in FORMULAS} | {"plateau"} == set(SCHEDULERS.names())


@pytest.mark.feature(84)
def test_plateau_falls_when_the_metric_has_not_improved_for_patience_epochs():
    optimizer, scheduler = make("plateau", {"patience": 2, "factor": 0.5, "mode": "max"}, Span(TOTAL, EPOCH))
    seen = []
    for value in (0.1, 0.5, 0.4, 0.5, 0.3, 0.2, 0.6):
        optimizer.step()
        scheduler.step(value)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [0.4, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2]


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 2])
@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "plateau"])
def test_short_runs_learn_at_every_step_but_the_first_of_a_warm_up(name, warmup, total):
    optimizer, scheduler = make(name, {}, Span(total, 1, warmup), kind=AdamW)
    seen = [first for first, _ in rates(optimizer, scheduler, total)]
    assert all(0 < rate <= PEAKS[0] * (1 + 1e-12) for rate in seen)
    assert seen[-1] >= 0.03 * PEAKS[0]


def test_one_cycle_moves_momentum_the_other_way():
    optimizer, scheduler = make("one_cycle", {}, Span(TOTAL, EPOCH, 0.3), kind=AdamW)
    seen = []
    for _ in range(TOTAL):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][0]))
        optimizer.step()
        scheduler.step()
    assert max(seen)[1] == pytest.approx(0.85, abs=1e-3)
    assert min(seen)[1] == pytest.approx(0.95, abs=1e-3)
