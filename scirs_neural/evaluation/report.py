"""From predictions to figures: scores with 95 % intervals, confusion, per-class table, calibration, worst errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import numbers, scores
from scirs_neural.evaluation.intervals import LEVEL, NUM_RESAMPLES, bootstrap, wilson
from scirs_neural.evaluation.numbers import NumberPredictions
from scirs_neural.evaluation.old_predictions import Predictions


@dataclass(frozen=True)
class Score:
    """One figure and the bounds of its 95 % interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassScores:
    """How one class fared. What has no samples or predictions to go by is NaN."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """One wrong sample. With several labels a sample, its most wrong label."""

    id: str
    target: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram: the samples whose confidence lies in low..high."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Slice:
    """How the samples with one value in a column of the data fared.

    Args:
        column: the column.
        value: what these samples have in it.
        samples: how many there are.
        metrics: as for all samples, by name.
        right: the share of samples that are wholly right.
        low: lower bound of its 95 % interval.
        high: upper bound.
    """

    column: str
    value: str
    samples: int
    metrics: dict[str, float]
    right: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a set of predictions is worth.

    Args:
        samples: how many there were.
        classes: names.
        multi_label: whether a sample had any number of them.
        metrics: by name, the main one first.
        confusion: counts (K, K), true class by predicted; with several labels a sample one 2 x 2 a label (K, 2, 2).
        per_class: in the order of the classes.
        reliability: bins of confidence.
        worst: wrong samples, the most confident first.
        settings: how the intervals were made.
        slices: of each column that was asked for, in the order of its values.
    """

    samples: int
    classes: tuple[str, ...]
    multi_label: bool
    metrics: dict[str, Score]
    confusion: np.ndarray
    per_class: list[ClassScores]
    reliability: list[Bin]
    worst: list[Mistake]
    settings: dict[str, Any]
    slices: list[Slice] = field(default_factory=list)

    @property
    def main(self) -> str:
        """The name of the metric that is shown first."""
        return next(iter(self.metrics))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None."""
        return _plain({**asdict(self), "confusion": self.confusion.tolist()})

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)


def evaluate_predictions(
    pred: Predictions | NumberPredictions,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    num_worst: int = 25,
    slices: Mapping[str, Sequence[str]] | None = None,
) -> Evaluation:
    """Compute every figure of a set of predictions.

    One label a sample: ``accuracy balanced_accuracy f1 log_loss brier calibration_error``, and ``top5_accuracy`` from
    six classes on. Several labels: ``f1 accuracy exact_match average_precision log_loss brier calibration_error``,
    where accuracy counts label decisions. The names mean what they mean in `scirs_neural.metrics.METRICS`.

    Of predicted numbers: ``r2 mae rmse``, with bootstrap intervals; what is about classes is empty.

    Shares of samples have Wilson's interval, means over samples and F1 a percentile bootstrap. The calibration error
    has none: resampling adds noise to every bin, so its bootstrap lies above the value itself. Nor has average
    precision.

    Args:
        pred: the predictions.
        num_resamples: of the bootstrap.
        seed: of the bootstrap.
        num_worst: how many errors to list.
        slices: columns of the data by name, one value a sample: each value's samples are scored on their own.

    Raises:
        DataError: there are no samples.

    Example:
        >>> pred = Predictions("abcd", [0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], ["cat", "dog"])
        >>> report = evaluate_predictions(pred)
        >>> report.metrics["accuracy"].value, report.confusion.tolist(), report.worst[0].id
        (0.75, [[2, 0], [1, 1]], 'c')
    """
    if not len(pred):
        raise DataError("there is nothing to evaluate: no samples")
    settings = {"level": LEVEL, "num_resamples": num_resamples, "seed": seed}
    if isinstance(pred, NumberPredictions):
        if slices:
            raise DataError("scores by slice are for classes", fix="leave --by out")
        return _evaluate_numbers(pred, settings)
    values = _values(pred)
    n = len(pred)
    intervals = bootstrap(scores.resampled(pred), n, seed=seed, num_resamples=num_resamples)
    for name in ("accuracy", "top5_accuracy") if not pred.multi_label else ("exact_match",):
        if name in values:
            intervals[name] = wilson(round(values[name] * n), n)
    return Evaluation(
        samples=n,
        classes=tuple(pred.classes),
        multi_label=pred.multi_label,
        metrics={name: Score(value, *intervals.get(name, (None, None))) for name, value in values.items()},
        confusion=scores.confusion(pred),
        per_class=[ClassScores(*row) for row in scores.per_class(pred)],
        reliability=[Bin(*row) for row in scores.reliability(pred)],
        worst=worst_errors(pred, num_worst),
        settings=settings,
        slices=[found for column, held in (slices or {}).items() for found in slice_scores(pred, column, held)],
    )


def _evaluate_numbers(pred: NumberPredictions, settings: dict[str, Any]) -> Evaluation:
    drawn = {"seed": settings["seed"], "num_resamples": settings["num_resamples"]}
    intervals = bootstrap(numbers.resampled(pred), len(pred), **drawn)
    return Evaluation(
        samples=len(pred),
        classes=tuple(pred.outputs),
        multi_label=False,
        metrics={name: Score(value, *intervals[name]) for name, value in numbers.scores(pred).items()},
        confusion=np.zeros((0, 0), dtype=np.int64),
        per_class=[],
        reliability=[],
        worst=[],
        settings=settings,
    )


def slice_scores(pred: Predictions, column: str, values: Sequence[str]) -> list[Slice]:
    """The scores of the samples of each value of a column.

    Example:
        >>> pred = Predictions("abcd", [0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], ["cat", "dog"])
        >>> [(s.value, s.samples, s.right) for s in slice_scores(pred, "room", ["bath", "bath", "hall", "hall"])]
        [('bath', 2, 1.0), ('hall', 2, 0.5)]
    """
    found = []
    for value in sorted(set(values)):
        part = pred.chosen(np.flatnonzero(np.asarray(values) == value))
        low, high = wilson(int(part.right.sum()), len(part))
        found.append(Slice(column, value, len(part), _values(part), float(part.right.mean()), low, high))
    return found


def _values(pred: Predictions) -> dict[str, float]:
    return scores.several_labels(pred) if pred.multi_label else scores.one_label(pred)


def worst_errors(pred: Predictions, limit: int) -> list[Mistake]:
    """The wrong samples of which the model was surest; equal confidences in the order of the samples."""
    predicted = pred.predicted
    if pred.multi_label:
        confidence = np.where(predicted == 1, pred.probabilities, 1 - pred.probabilities)
        wrongness = np.where(predicted != pred.targets, confidence, -1.0)
        label = wrongness.argmax(axis=1)
        wrongness = wrongness.max(axis=1)
    else:
        wrongness = np.where(pred.right, -1.0, pred.probabilities.max(axis=1))
    order = np.argsort(-wrongness, kind="stable")[:limit]
    found = []
    for i in order[wrongness[order] >= 0]:
        if pred.multi_label:
            name = pred.classes[label[i]]
            true, said = (name, f"not {name}") if pred.targets[i, label[i]] else (f"not {name}", name)
        else:
            true, said = pred.classes[pred.targets[i]], pred.classes[predicted[i]]
        found.append(Mistake(pred.ids[i], true, said, float(wrongness[i])))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
