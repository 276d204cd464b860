"""Predictions of one or several numbers, in the units of the data. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scirs_neural.evaluation.predictions import Predictions, Table
from scirs_neural.evaluation.rows import Miss, OutputScores
from scirs_neural.evaluation.scorers import Scorer, additive, divide, mean_of_defined
from scirs_neural.tasks.classification.predictions import MAX_WORST, truth_of


class NumberPredictions(Predictions):
    """Columns ``numbers`` and ``target`` (N, K), NaN where it is not known; header ``names`` of the K numbers.

    R2 and the mean absolute error are means over the outputs; the root of the mean squared error is over all numbers.
    Everything is computed in float64, and R2 around a point near the targets' mean, so that large targets that differ
    little lose no digits.

    Example:
        >>> columns = {"numbers": np.array([[1.5], [2.0], [3.0]]), "target": np.array([[1.0], [2.0], [3.0]])}
        >>> NumberPredictions(["a", "b", "c"], columns, {"names": ["height"]}).score()["r2"]
        0.875
    """

    kind = "numbers"
    metrics = {"r2": "max", "mae": "min", "rmse": "min"}
    main_metric = "r2"
    ranges = {"r2": (-np.inf, 1), "mae": (0, np.inf), "rmse": (0, np.inf)}
    averaged = ("numbers",)
    panels = "scirs_neural.tasks.regression.panels:number_panels"

    def check(self) -> None:
        """Hold numbers, targets and names to each other."""
        self.array("numbers", len(self.names))
        if "target" in self.columns:
            self.array("target", len(self.names))

    @property
    def names(self) -> list[str]:
        """Of the numbers."""
        return list(self.header.get("names", ()))

    @property
    def numbers(self) -> np.ndarray:
        """The predicted numbers (N, K)."""
        return np.asarray(self.array("numbers", len(self.names)), dtype=np.float64)

    @property
    def target(self) -> np.ndarray:
        """The true numbers (N, K)."""
        return np.asarray(truth_of(self, "numbers", len(self.names)), dtype=np.float64)

    def scorer(self) -> Scorer:
        """R2, mean absolute and root mean squared error."""

        def finish(**sums: np.ndarray) -> dict[str, np.ndarray]:
            r2, mae, mse = _of_each_output(**sums)
            means = mean_of_defined(r2), mean_of_defined(mae), np.sqrt(mean_of_defined(mse))
            return dict(zip(self.metrics, means, strict=True))

        return additive(self._sums(), finish)

    def _sums(self) -> dict[str, np.ndarray]:
        target, numbers = self.target, self.numbers
        known = ~np.isnan(target)
        centre = divide(np.where(known, target, 0).sum(axis=0), known.sum(axis=0))
        around = np.where(known, target - centre, 0.0)
        error = np.where(known, numbers - target, 0.0)
        return {"n": known, "sum": around, "squares": around**2, "error": error**2, "absolute": np.abs(error)}

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Predicted and true numbers (N, K), or (N,) of one output, of the samples of which all are known."""
        known = ~np.isnan(self.target).any(axis=1)
        arrays = self.numbers[known], self.target[known]
        if len(self.names) == 1:
            arrays = arrays[0][:, 0], arrays[1][:, 0]
        return arrays, {"num_classes": len(self.names), "multi_label": False}

    def per_sample(self) -> dict[str, np.ndarray]:
        """The absolute error of each output, and of each sample the largest as a fraction of the targets' deviation."""
        errors = np.abs(self.numbers - self.target)
        known = [held[~np.isnan(held)] for held in self.target.T]
        scale = np.array([held.std() if len(held) else 0.0 for held in known])
        relative = np.where(np.isnan(errors), -1.0, errors / np.where(scale > 0, scale, 1.0))
        return {"relative_error": relative.max(axis=1), "output": relative.argmax(axis=1)}

    def notes(self) -> list[str]:
        """Outputs for which R2 is not defined."""
        target = self.target
        flat = [
            name for name, held in zip(self.names, target.T, strict=True) if np.unique(held[~np.isnan(held)]).size < 2
        ]
        return [f"r2 is not defined where all targets are equal: {', '.join(flat[:5])}"] if flat else []

    def describe(self) -> dict[str, Any]:
        """The metrics of each output, and the samples that are furthest off."""
        names, target = self.names, self.target
        weight = np.ones((1, len(self))) if self.weight is None else self.weight[None]
        sums = additive(self._sums(), lambda **sums: sums)(weight)
        r2, mae, mse = (values[0] for values in _of_each_output(**sums))
        support = (~np.isnan(target)).sum(axis=0)
        rows = zip(names, r2.tolist(), mae.tolist(), np.sqrt(mse).tolist(), support.tolist(), strict=True)
        return {"outputs": names, "per_output": [OutputScores(*row) for row in rows], "worst": self.worst()}

    def worst(self, limit: int = MAX_WORST) -> list[Miss]:
        """The samples that are furthest off, on the scale of the targets' deviation."""
        found = self.per_sample()
        order = np.argsort(-found["relative_error"], kind="stable")[:limit]
        return [
            Miss(self.ids[i], self.names[k], float(self.target[i, k]), float(self.numbers[i, k]))
            for i, k in zip(order.tolist(), found["output"][order].tolist(), strict=True)
            if found["relative_error"][i] > 0
        ]

    def tables(self, details: Mapping[str, Any]) -> Sequence[Table]:
        """Each of several outputs, and the samples that are furthest off."""
        rows = [[o.name, o.r2, o.mae, o.rmse, o.support] for o in details["per_output"]]
        outputs = [Table("outputs", ["output", "r2", "mae", "rmse", "samples"], rows)] if len(rows) > 1 else []
        far = [[m.id, m.output, m.target, m.predicted] for m in details["worst"][:5]]
        return [*outputs, *([Table("worst errors", ["sample", "output", "true", "predicted"], far)] if far else [])]


def _of_each_output(
    n: np.ndarray, sum: np.ndarray, squares: np.ndarray, error: np.ndarray, absolute: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2, mean absolute and mean squared error (R, K) from the sums (R, K)."""
    variation = squares - sum * divide(sum, n)
    variation = np.where(variation > 1e-12 * squares, variation, 0.0)  # what is left of rounding is no variation
    return 1 - divide(error, variation), divide(absolute, n), divide(error, n)
