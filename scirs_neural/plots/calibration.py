"""Whether confidence means what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from scirs_neural.plots.style import BLUE, MUTED, PALE, SKY, VERMILION, light_grid, new_figure, styled

if TYPE_CHECKING:
    from scirs_neural.evaluation.rows import Bin


def reliability_diagram(bins: Sequence[Bin], *, error: float, multi_label: bool = False) -> Figure:
    """Accuracy against confidence in bins, the gap to perfect calibration, and how many samples each bin holds.

    Bars that end below the diagonal are overconfident, bars above it underconfident.

    Args:
        bins: of equal width over 0..1.
        error: the expected calibration error, shown in the title.
        multi_label: whether the bins hold label decisions.

    Source: Niculescu-Mizil and Caruana 2005; Guo et al. 2017, figure 1.
    """
    with styled():
        figure = new_figure(4.6, 5.4)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        filled = [b for b in bins if b.count]
        lows, widths = [b.low for b in filled], [b.high - b.low for b in filled]
        top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="perfectly calibrated")
        bar: dict[str, Any] = {"align": "edge", "edgecolor": "white", "linewidth": 0.8}
        top.bar(lows, [b.accuracy for b in filled], widths, color=SKY, **bar)
        gap, start = [abs(b.confidence - b.accuracy) for b in filled], [min(b.confidence, b.accuracy) for b in filled]
        striped = {**bar, "facecolor": PALE, "edgecolor": VERMILION, "hatch": "///"}
        top.bar(lows, gap, widths, bottom=start, label="gap to the confidence", **striped)
        accuracy = [b.accuracy for b in filled]
        top.hlines(accuracy, lows, [b.high for b in filled], color=BLUE, linewidth=2.4, label="accuracy in the bin")
        top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="fraction that is there" if multi_label else "accuracy")
        top.set_title(f"Reliability: calibration error (ECE) {100 * error:.2f} %")
        bottom.bar(lows, [b.count for b in filled], widths, color=MUTED, **bar)
        bottom.set(xlabel="probability of the label" if multi_label else "confidence", ylabel="samples")
        bottom.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        top.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        light_grid(top)
        light_grid(bottom)
        figure.legend(loc="outside lower center", ncols=2)
        return figure
