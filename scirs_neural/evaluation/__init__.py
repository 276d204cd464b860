"""What a set of predictions is worth, with intervals, and whether one run is better than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.evaluation.comparison import Comparison, compare_predictions
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation, evaluate_predictions

__all__ = ["Comparison", "Evaluation", "Predictions", "compare_predictions", "evaluate_predictions"]

_HOMES = {
    "Comparison": "comparison",
    "compare_predictions": "comparison",
    "Predictions": "predictions",
    "Evaluation": "report",
    "evaluate_predictions": "report",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
