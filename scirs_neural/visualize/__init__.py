"""Floor 6: plots of a run, and the page that holds them. matplotlib's figures without pyplot's global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.visualize.calibration import reliability_diagram
    from scirs_neural.visualize.confusion import confusion_matrix, label_counts
    from scirs_neural.visualize.curves import learning_rate, training_curves
    from scirs_neural.visualize.images import input_grid, worst_errors
    from scirs_neural.visualize.report import write_report
    from scirs_neural.visualize.style import save

_HOMES = {
    "confusion_matrix": "confusion",
    "input_grid": "images",
    "label_counts": "confusion",
    "learning_rate": "curves",
    "reliability_diagram": "calibration",
    "save": "style",
    "training_curves": "curves",
    "worst_errors": "images",
    "write_report": "report",
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
    "write_report",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
