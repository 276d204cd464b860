"""What a set of predictions is worth, with intervals, and whether one run is better than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.evaluation.comparison import Comparison as Comparison
    from scirs_neural.evaluation.comparison import compare_predictions as compare_predictions
    from scirs_neural.evaluation.old_predictions import Predictions as Predictions
    from scirs_neural.evaluation.report import Evaluation as Evaluation
    from scirs_neural.evaluation.report import evaluate_predictions as evaluate_predictions

lazy(
    globals(),
    {
        "comparison": ["Comparison", "compare_predictions"],
        "old_predictions": ["Predictions"],
        "report": ["Evaluation", "evaluate_predictions"],
    },
)
