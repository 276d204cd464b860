"""Predicted numbers against true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scirs_neural.plots.style import BLUE, MUTED, VERMILION, light_grid, new_figure, shorten, styled

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
        figure, parts = _grid("Predicted against true", target, numbers, names, 2.9)
        for axes, x, y, name in parts:
            if len(x) > _MAX_POINTS:
                axes.hexbin(x, y, gridsize=45, cmap="Blues", bins="log", mincnt=1, linewidths=0)
            else:
                axes.scatter(x, y, s=9, color=BLUE, alpha=0.55, linewidths=0)
            ends = _ends(x, y)
            axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle="--", label="prediction = truth")
            axes.set(xlim=ends, ylim=ends, xlabel=f"true {name}", ylabel="predicted")
            axes.set_aspect("equal")
            _few_ticks(axes, "both")
            light_grid(axes, "both")
        figure.legend(*parts[0][0].get_legend_handles_labels(), loc="outside lower center")
        return figure


def residuals(target: np.ndarray, numbers: np.ndarray, names: Sequence[str]) -> Figure:
    """How the errors (predicted minus true) are spread, with their mean; an output each.

    Args:
        target: the true numbers (N, K), NaN where unknown.
        numbers: the predicted numbers (N, K).
        names: K; the first six are drawn.
    """
    with styled():
        figure, parts = _grid("Errors", target, numbers, names, 2.5)
        for axes, x, y, name in parts:
            errors = y - x
            if len(errors):
                axes.hist(errors, bins=_edges(errors), color=BLUE, edgecolor="white", linewidth=0.4)
                axes.axvline(float(errors.mean()), color=VERMILION, linewidth=1.4, label="mean error")
            axes.axvline(0.0, color=MUTED, linewidth=1, linestyle="--", label="no error")
            axes.set(xlabel=f"predicted - true {name}", ylabel="samples")
            _few_ticks(axes, "x")
            light_grid(axes)
        figure.legend(*parts[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure


def _grid(
    title: str, target: np.ndarray, numbers: np.ndarray, names: Sequence[str], height: float
) -> tuple[Figure, list[tuple[Axes, np.ndarray, np.ndarray, str]]]:
    """A figure with a part for each output: its axes, what is known of truth and prediction, and its name."""
    shown = min(len(names), MAX_OUTPUTS)
    columns = min(shown, _COLUMNS)
    rows = -(-shown // columns)
    figure = new_figure(max(4.2, 3.3 * columns), 0.7 + height * rows)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10.5)
    parts = []
    for k, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel().tolist()):
        if k < shown:
            known = np.isfinite(target[:, k]) & np.isfinite(numbers[:, k])
            parts.append((axes, target[known, k], numbers[known, k], shorten(names[k], 24)))
        else:
            axes.set_axis_off()
    return figure, parts


def _few_ticks(axes: Axes, axis: Literal["x", "both"]) -> None:
    """Numbers that do not run into each other, however large they are."""
    axes.locator_params(axis=axis, nbins=5)
    axes.ticklabel_format(axis=axis, style="sci", scilimits=(-3, 4), useMathText=True)


def _ends(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if not len(x):
        return 0.0, 1.0
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _edges(errors: np.ndarray) -> list[float]:
    """Of bins, which errors that are all the same have too."""
    low, high = float(errors.min()), float(errors.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        half = abs(low) / 2 or 1.0
        low, high = low - half, high + half
    edges: list[float] = np.linspace(low, high, 1 + min(60, max(8, round(len(errors) ** 0.5)))).tolist()
    return edges
