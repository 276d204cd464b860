"""Predicted numbers against true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scirs_neural.plots.style import BLUE, MUTED, VERMILION, light_grid, new_figure, styled

MAX_OUTPUTS = 6
_MAX_POINTS = 3000  # up to which every sample is a point; more are counted in hexagons
_COLUMNS = 3


def predicted_against_true(target: np.ndarray, numbers: np.ndarray, names: Sequence[str]) -> Figure:
    """A point a sample, beside the line on which prediction and truth are the same; an output each.

    Args:
        target: the true numbers (N, K), NaN where unknown.
        numbers: the predicted numbers (N, K).
        names: K; the first six are drawn.
    """
    with styled():
        figure, axes = _grid(len(names), 2.9)
        for k, one in enumerate(axes):
            x, y = _known(target[:, k], numbers[:, k])
            if len(x) > _MAX_POINTS:
                one.hexbin(x, y, gridsize=45, cmap="Blues", bins="log", mincnt=1, linewidths=0)
            else:
                one.scatter(x, y, s=9, color=BLUE, alpha=0.55, linewidths=0)
            ends = _ends(x, y)
            one.plot(ends, ends, color=MUTED, linewidth=1, linestyle="--", label="prediction = truth")
            one.set(xlim=ends, ylim=ends, xlabel=f"true {_short(names[k])}", ylabel="predicted")
            one.set_aspect("equal")
            _few_ticks(one, "both")
            light_grid(one, "both")
        figure.suptitle("Predicted against true", x=0.01, ha="left", fontweight="bold", fontsize=10.5)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
        return figure


def residuals(target: np.ndarray, numbers: np.ndarray, names: Sequence[str]) -> Figure:
    """How the errors (predicted minus true) are spread, with their mean; an output each.

    Args:
        target: the true numbers (N, K), NaN where unknown.
        numbers: the predicted numbers (N, K).
        names: K; the first six are drawn.
    """
    with styled():
        figure, axes = _grid(len(names), 2.5)
        for k, one in enumerate(axes):
            x, y = _known(target[:, k], numbers[:, k])
            errors = y - x
            if len(errors):
                one.hist(errors, bins=_edges(errors), color=BLUE, edgecolor="white", linewidth=0.4)
                one.axvline(float(errors.mean()), color=VERMILION, linewidth=1.4, label="mean error")
            one.axvline(0.0, color=MUTED, linewidth=1, linestyle="--", label="no error")
            one.set(xlabel=f"predicted - true {_short(names[k])}", ylabel="samples")
            _few_ticks(one, "x")
            light_grid(one)
        figure.suptitle("Errors", x=0.01, ha="left", fontweight="bold", fontsize=10.5)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure


def _grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    shown = min(count, MAX_OUTPUTS)
    columns = min(shown, _COLUMNS)
    rows = -(-shown // columns)
    figure = new_figure(max(4.2, 3.3 * columns), 0.7 + height * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for empty in axes[shown:]:
        empty.set_axis_off()
    return figure, axes[:shown]


def _known(target: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(target) & np.isfinite(numbers)
    return target[known], numbers[known]


def _few_ticks(axes: Axes, axis: Literal["x", "both"]) -> None:
    """Numbers that do not run into each other, however large they are."""
    axes.locator_params(axis=axis, nbins=5)
    axes.ticklabel_format(axis=axis, style="sci", scilimits=(-3, 4), useMathText=True)


def _ends(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if not len(x):
        return 0.0, 1.0
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def _edges(errors: np.ndarray) -> list[float]:
    """Of bins, which errors that are all the same have too."""
    low, high = float(errors.min()), float(errors.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        half = abs(low) / 2 or 1.0
        low, high = low - half, high + half
    edges: list[float] = np.linspace(low, high, 1 + min(60, max(8, round(len(errors) ** 0.5)))).tolist()
    return edges


def _short(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
