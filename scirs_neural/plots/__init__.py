"""Plots of a run, and the page that holds them. matplotlib's figures without pyplot's global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.plots.calibration import reliability_diagram
    from scirs_neural.plots.confusion import confusion_matrix, label_counts
    from scirs_neural.plots.curves import learning_rate, training_curves
    from scirs_neural.plots.images import input_grid, worst_errors
    from scirs_neural.plots.style import save

_HOMES = {
    "confusion_matrix": "confusion",
    "input_grid": "images",
    "label_counts": "confusion",
    "learning_rate": "curves",
    "reliability_diagram": "calibration",
    "save": "style",
    "training_curves": "curves",
    "worst_errors": "images",
}
__all__ = [
    "confusion_matrix",
    "input_grid",
    "label_counts",
    "learning_rate",
    "reliability_diagram",
    "save",
    "training_curves",
    "worst_errors",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
