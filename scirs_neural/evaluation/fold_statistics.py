"""What the folds of a cross-validation are worth together: means of metrics with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scirs_neural.evaluation.intervals import LEVEL
from scirs_neural.evaluation.predictions import MetricTraits


@dataclass(frozen=True)
class FoldStatistics:
    """One metric over the folds.

    Args:
        mean: over the folds.
        std: standard deviation of the folds, with n - 1.
        low: lower bound of the mean's 95 % interval.
        high: upper bound.
        values: one a fold.
    """

    mean: float
    std: float
    low: float
    high: float
    values: list[float]

    @classmethod
    def of(cls, values: Sequence[float], folds: int, traits: MetricTraits | None = None) -> FoldStatistics:
        """Mean, deviation and the interval of the mean of a metric.

        Networks of different folds share most of their training samples, so their metrics are not independent; the
        variance of the mean is taken as (1/n + 1/(folds - 1)) of the folds' variance, n values in all.

        Args:
            values: one a fold, of all repeats.
            folds: of one repeat.
            traits: of the metric: the interval stays within its range.

        Source: Nadeau and Bengio 2003, "Inference for the generalization error"; for repeats Bouckaert and Frank 2004.

        Example:
            >>> found = FoldStatistics.of([0.90, 0.92, 0.94], folds=3)
            >>> round(found.mean, 4), round(found.std, 4), round(found.low, 4), round(found.high, 4)
            (0.92, 0.02, 0.8414, 0.9986)
        """
        from scipy.special import stdtrit  # Student's t, without scipy.stats, which costs two seconds

        n, known = len(values), traits or MetricTraits("max")
        mean, std = float(np.mean(values)), float(np.std(values, ddof=1)) if n > 1 else math.nan
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * std * math.sqrt(1 / n + 1 / (folds - 1)) if n > 1 else math.nan
        low, high = np.clip([mean - half, mean + half], known.low, known.high).tolist()
        return cls(mean, std, low, high, [float(value) for value in values])


def over_folds(
    folds: Sequence[Mapping[str, float]], parts: int, traits: Mapping[str, MetricTraits]
) -> dict[str, FoldStatistics]:
    """Every metric that all folds have, over the folds, by name.

    Args:
        folds: the metrics of each fold, of all repeats.
        parts: folds of one repeat.
        traits: of the metrics.
    """
    names = [name for name in folds[0] if all(name in fold for fold in folds)]  # one that failed in a fold has no mean
    return {name: FoldStatistics.of([fold[name] for fold in folds], parts, traits.get(name)) for name in names}
