"""What the folds of a cross-validation are worth together: means with intervals, and all predictions in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import scores
from scirs_neural.evaluation.intervals import LEVEL
from scirs_neural.evaluation.old_predictions import Predictions


@dataclass(frozen=True)
class FoldStatistics:
    """One figure over the folds.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def figures(pred: Predictions) -> dict[str, float]:
    """The figures of one set of predictions by name; the main one first."""
    return scores.several_labels(pred) if pred.multi_label else scores.one_label(pred)


def spread(values: Sequence[float], folds: int) -> FoldStatistics:
    """Mean, deviation and the interval of the mean of a figure.

    Networks of different folds share most of their training samples, so their figures are not independent; the
    variance of the mean is taken as (1/n + 1/(folds - 1)) of the folds' variance, n values in all.

    Args:
        values: one a fold, of all repeats.
        folds: of one repeat.

    Source: Nadeau and Bengio 2003, "Inference for the generalization error"; for repeats Bouckaert and Frank 2004.

    Example:
        >>> found = spread([0.90, 0.92, 0.94], folds=3)
        >>> round(found.mean, 4), round(found.std, 4), round(found.low, 4), round(found.high, 4)
        (0.92, 0.02, 0.8414, 0.9986)
    """
    from scipy.stats import t  # costs two seconds

    n = len(values)
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1)) if n > 1 else float("nan")
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * std * (1 / n + 1 / (folds - 1)) ** 0.5 if n > 1 else float("nan")
    return FoldStatistics(mean, std, mean - half, mean + half, [float(value) for value in values])


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of the folds of one repeat as one set: every sample once, by the net that had not seen it.

    Raises:
        DataError: two folds tested one sample.
    """
    ids = [sample for part in parts for sample in part.ids]
    if len(set(ids)) < len(ids):
        raise DataError(f"{len(ids) - len(set(ids))} samples were tested by two folds", fix="run the folds anew")
    targets = np.concatenate([part.targets for part in parts])
    return Predictions(ids, targets, np.concatenate([part.probabilities for part in parts]), parts[0].classes)


def ensemble(parts: Sequence[Predictions]) -> Predictions:
    """The mean of the probabilities that the nets of all folds give to one set of samples.

    Raises:
        DataError: the nets were asked about different samples.
    """
    first = parts[0]
    if any(part.ids != first.ids for part in parts):
        raise DataError("the folds' nets were asked about different samples", fix="run the folds anew")
    mean = np.stack([part.probabilities for part in parts]).mean(axis=0, dtype=np.float64)
    return Predictions(first.ids, first.targets, mean, first.classes)


def spreads(folds: Sequence[Mapping[str, float]], parts: int) -> dict[str, FoldStatistics]:
    """Every figure over the folds, by name."""
    return {name: spread([fold[name] for fold in folds], parts) for name in folds[0]}
