"""What a set of predictions is worth, with intervals, and whether one run is better than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.evaluation.comparison import Comparison as Comparison
    from scirs_neural.evaluation.comparison import compare_predictions as compare_predictions
    from scirs_neural.evaluation.predictions import Predictions as Predictions
    from scirs_neural.evaluation.registry import PREDICTIONS as PREDICTIONS
    from scirs_neural.evaluation.registry import load_predictions as load_predictions
    from scirs_neural.evaluation.report import Evaluation as Evaluation
    from scirs_neural.evaluation.report import evaluate as evaluate
    from scirs_neural.evaluation.scorers import additive as additive

lazy(globals())
