"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from scirs_neural.plots.style import BLUE, HEAT, INK, MUTED, ORANGE, VERMILION, light_grid, new_figure, shorten, styled

_MAX_COUNTED = 20  # classes up to which every cell shows its count
_MAX_NAMED = 40  # classes up to which every class is named on the axes
_MAX_DRAWN = 300  # classes up to which the matrix is drawn
_NUM_PAIRS = 12  # confusions listed beside a matrix that is too large for counts
_NUM_LISTED = 16  # confusions listed in place of one that is too large to be drawn
_MAX_LABELS = 40  # labels drawn by label_counts


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, count: np.ndarray, classes: Sequence[str]) -> Figure:
    """Fractions of each true class (rows) by predicted class (columns).

    Up to 20 classes every cell shows its count. A larger matrix cannot be read cell by cell: it is drawn without
    counts, on a scale that lifts small fractions, beside a list of the most frequent confusions. Of more than 300
    classes there is only the list.

    Args:
        true: number of the true class of each pair that occurs.
        predicted: number of the class that it is taken for.
        count: how often.
        classes: K names.
    """
    k = len(classes)
    with styled():
        if k > _MAX_DRAWN:
            figure = new_figure(7.4, 6.2)
            _list_pairs(figure.subplots(), most_confused(true, predicted, count, _NUM_LISTED), classes)
            return figure
        matrix = np.zeros((k, k), dtype=np.int64)
        matrix[true, predicted] = count
        fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        if k <= _MAX_COUNTED:
            side = max(3.6, 1.9 + 0.36 * k)
            figure = new_figure(side + 0.9, side)
            axes = figure.subplots()
            _counts(axes, matrix, fractions)
        else:
            figure = new_figure(10.4, 6.2)
            axes, beside = figure.subplots(1, 2, width_ratios=[2, 1])
            _list_pairs(beside, most_confused(true, predicted, count, _NUM_PAIRS), classes)
        image = axes.imshow(fractions, cmap=HEAT, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        bar = figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02, format=PercentFormatter(1, decimals=0))
        bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1])
        bar.set_label("fraction of the true class", color=MUTED)
        bar.outline.set_visible(False)
        _name_axes(axes, classes)
        axes.set_anchor("NW")
        axes.set(xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title("Confusion")
        return figure


def most_confused(true: np.ndarray, predicted: np.ndarray, count: np.ndarray, limit: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, count) of the most frequent confusions.

    Example:
        >>> most_confused(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([5, 2, 1, 7]), 5)
        [(0, 1, 2), (1, 0, 1)]
    """
    wrong = np.flatnonzero(np.asarray(true) != np.asarray(predicted))
    order = wrong[np.argsort(-np.asarray(count)[wrong], kind="stable")[:limit]]
    return [(int(true[i]), int(predicted[i]), int(count[i])) for i in order]


def label_counts(matrices: np.ndarray, classes: Sequence[str]) -> Figure:
    """For several labels a sample: how often each was found, missed, and invented. The 40 with most mistakes.

    Args:
        matrices: counts (K, 2, 2), each absent/present by predicted absent/present.
        classes: K names.
    """
    worst = np.argsort(-(matrices[:, 0, 1] + matrices[:, 1, 0]), kind="stable")[:_MAX_LABELS]
    chosen = sorted(worst)
    with styled():
        figure = new_figure(7.0, 1.5 + 0.3 * len(chosen))
        axes = figure.subplots()
        at = np.arange(len(chosen))
        left = np.zeros(len(chosen))
        parts = (
            ("found", (1, 1), BLUE, ""),
            ("missed", (1, 0), ORANGE, "////"),
            ("invented", (0, 1), VERMILION, "...."),
        )
        for name, (true, said), colour, hatch in parts:
            counts = matrices[chosen, true, said]
            axes.barh(at, counts, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6, label=name)
            left = left + counts
        axes.set_yticks(at, [shorten(classes[i]) for i in chosen], color=INK)
        axes.invert_yaxis()
        axes.set_xlabel("samples")
        axes.set_title("Labels" if len(chosen) == len(classes) else f"The {len(chosen)} labels with most mistakes")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.55 / (0.3 * len(chosen) + 0.6)), ncols=3)
        light_grid(axes, "x")
        return figure


def _counts(axes: Axes, matrix: np.ndarray, fractions: np.ndarray) -> None:
    size = 8.5 if len(matrix) <= 12 else 7
    for row, column in zip(*np.nonzero(matrix), strict=True):
        dark = fractions[row, column] > 0.4
        colour = "white" if dark else INK
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", fontsize=size, color=colour)


def _list_pairs(axes: Axes, pairs: Sequence[tuple[int, int, int]], classes: Sequence[str]) -> None:
    axes.set_title("Most frequent confusions" if pairs else "No confusions")
    names = [f"{shorten(classes[true])}\ntaken for {shorten(classes[said])}" for true, said, _ in pairs]
    counts = [count for _, _, count in pairs]
    axes.barh(range(len(pairs)), counts, color=VERMILION, height=0.55)
    axes.set_yticks(range(len(pairs)), names, fontsize=7.5, color=INK)
    for at, count in enumerate(counts):
        axes.text(count, at, f" {count:,}", va="center", fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(counts, default=1))
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(length=0)


def _name_axes(axes: Axes, classes: Sequence[str]) -> None:
    k = len(classes)
    step = 1 if k <= _MAX_NAMED else int(np.ceil(k / 20))
    at = np.arange(0, k, step)
    names = [shorten(name) for name in classes[::step]]
    size = 8.5 if k <= _MAX_COUNTED else 6.5
    upright = max(map(len, names), default=0) > (2 if k > 12 else 3)
    axes.set_xticks(at, names, rotation=90 if upright else 0, fontsize=size, color=INK)
    axes.set_yticks(at, names, fontsize=size, color=INK)
