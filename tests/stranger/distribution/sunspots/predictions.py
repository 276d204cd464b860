"""What expected counts are worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.scorers import Scorer, additive


class CountPredictions(Predictions):
    """Columns ``expected`` and ``target`` (N,)."""

    kind = "counts"
    metrics = {"deviance": "min", "mae": "min"}
    main_metric = "deviance"
    ranges = {"deviance": (0.0, np.inf), "mae": (0.0, np.inf)}

    def scorer(self) -> Scorer:
        """Mean Poisson deviance, and mean absolute error."""
        y, mean = (np.asarray(self.columns[name], dtype=np.float64) for name in ("target", "expected"))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(y > 0, y * np.log(y / mean), 0.0)
        stats = {"n": np.ones(len(y)), "deviance": 2 * (ratio - y + mean), "absolute": np.abs(y - mean)}
        return additive(stats, lambda n, deviance, absolute: {"deviance": deviance / n, "mae": absolute / n})

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Expected and true counts, for metrics by name."""
        return (np.asarray(self.columns["expected"]), np.asarray(self.columns["target"])), {}
