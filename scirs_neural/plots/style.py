"""One look for every plot: quiet, colour-blind safe, and readable in print.

Colours are Okabe and Ito's (2008), which stay apart for all common kinds of colour blindness; where colour tells
lines apart, a dash or a label does too. Heat maps use viridis' sibling cividis or a single hue.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#333333",
)  # fmt: skip
SERIES = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK)
PALE = "#F9E3D5"  # vermilion on white
INK, MUTED, RULE = "#222222", "#666666", "#DDDDDD"
HEAT = "Blues"
DIVERGING = "RdBu_r"
DPI = 144
MAX_MARKED = 40  # points of a line up to which each is marked

_RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.5,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of all plots; matplotlib's settings are as before afterwards."""
    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """An empty figure, in inches, that belongs to no window and no global list."""
    figure = Figure(figsize=(width, height), layout="constrained" if constrained else None, dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def light_grid(axes: Axes, axis: Literal["x", "y", "both"] = "y") -> None:
    """Thin lines behind the data."""
    axes.grid(True, axis=axis, color=RULE, linewidth=0.7)


def png(figure: Figure) -> bytes:
    """The figure as a PNG, the same bytes every time."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def shorten(name: str, limit: int = 20) -> str:
    """A name of at most so many characters, its end cut off.

    Example:
        >>> shorten("a long name", 6)
        'a lon…'
    """
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
