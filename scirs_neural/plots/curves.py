"""How a run learnt: its losses, metrics and learning rate over the epochs, one run or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scirs_neural.plots.style import BLACK, MAX_MARKED, MUTED, SERIES, light_grid, new_figure, styled

History = Mapping[str, Sequence[float | None]]
_LOG_FROM = 50.0  # ratio of the largest to the smallest loss from which its axis is logarithmic


def training_curves(
    runs: Mapping[str, History], *, smoothing: float = 0.0, best: Mapping[str, float] | None = None
) -> Figure:
    """Losses on the left, validation metrics on the right.

    Every point of ``metrics.csv`` is there; empty cells are gaps that the line bridges. The file counts epochs from 0,
    the axis from 1, as everything that is printed. One run: a colour a curve. Several: a colour a run, training dashed.

    Args:
        runs: by name, the columns of each run's ``metrics.csv`` by name.
        smoothing: weight of the past in an exponential mean, 0 to 1. Above 0 the legend says so, and the true
            points stay visible as a pale line.
        best: by run, the epoch, counted from 1, whose weights were kept: a vertical line. Only drawn for a single run.
    """
    with styled():
        figure = new_figure(9.2, 3.5)
        left, right = figure.subplots(1, 2)
        single = len(runs) == 1
        losses = [name for name in ("train/loss", "val/loss", "test/loss") if any(name in run for run in runs.values())]
        metrics = list(dict.fromkeys(name for run in runs.values() for name in run if _is_metric(name)))
        for axes, names in ((left, losses), (right, metrics)):
            for r, (run, history) in enumerate(runs.items()):
                for n, name in enumerate(names):
                    if name in history:
                        own = n if axes is left else n + 1  # metrics are of the validation set: its colour comes first
                        colour = SERIES[(own if single else r) % len(SERIES)]
                        dashed = name.startswith("train/") if not single or axes is right else False
                        label = name if single else f"{run}  {name}"
                        _line(axes, history, name, colour, "--" if dashed else "-", label, smoothing)
            _finish(axes, best if single else None)
        left.set_title("Loss")
        right.set_title("Metrics")
        _log_if_wide(left)
        return figure


def learning_rate(runs: Mapping[str, History]) -> Figure:
    """The learning rate over the epochs; of several parameter groups, each."""
    with styled():
        figure = new_figure(9.2, 2.4)
        axes = figure.subplots()
        rates = [(run, name) for run, history in runs.items() for name in history if name.startswith("lr")]
        for i, (run, name) in enumerate(rates):
            label = name if len(runs) == 1 else f"{run}  {name}"
            _line(axes, runs[run], name, SERIES[i % len(SERIES)], "-", label, 0.0)
        _finish(axes, None)
        legend = axes.get_legend()
        if len(rates) <= 1 and legend is not None:
            legend.remove()
        axes.set_title("Learning rate")
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
        axes.set_ylim(bottom=0)
        return figure


def smoothed(values: Sequence[float], weight: float) -> np.ndarray:
    """An exponential mean of the past, without the pull towards 0 at its start.

    Example:
        >>> smoothed([1.0, 1.0, 4.0], 0.5).round(3).tolist()
        [1.0, 1.0, 2.714]
    """
    total, mass, found = 0.0, 0.0, []
    for value in values:
        total, mass = weight * total + (1 - weight) * value, weight * mass + 1 - weight
        found.append(total / mass)
    return np.array(found)


def _is_metric(name: str) -> bool:
    return "/" in name and not name.endswith("/loss") and not name.startswith("lr")


def _line(axes: Axes, history: History, name: str, colour: str, dash: str, label: str, smoothing: float) -> None:
    epochs = history.get("epoch") or range(len(history[name]))
    points = [(at + 1, y) for at, y in zip(epochs, history[name], strict=True) if at is not None and y is not None]
    if not points:
        return
    at, values = zip(*points, strict=True)
    marker = "o" if len(points) <= MAX_MARKED else ""
    if not smoothing:
        axes.plot(at, values, dash, color=colour, marker=marker, label=label)
        return
    axes.plot(at, values, dash, color=colour, linewidth=0.8, alpha=0.35, label="_points")
    axes.plot(at, smoothed(values, smoothing), dash, color=colour, label=f"{label} (smoothed, {smoothing:g})")


def _finish(axes: Axes, best: Mapping[str, float] | None) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    light_grid(axes)
    if not axes.lines:
        axes.text(0.5, 0.5, "nothing was logged", transform=axes.transAxes, ha="center", color=MUTED)
        return
    for epoch in (best or {}).values():
        axes.axvline(epoch, color=BLACK, linewidth=0.8, linestyle=":", label=f"best epoch: {epoch:g}", zorder=0)
    axes.legend(loc="best")


def _log_if_wide(axes: Axes) -> None:
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines] or [np.ones(1)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() / values.min() > _LOG_FROM:
        axes.set_yscale("log")
        axes.set_title("Loss (logarithmic)")
