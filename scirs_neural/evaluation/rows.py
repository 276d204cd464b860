"""Rows of what an evaluation tells beside metrics: classes, bins of confidence, worst samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scirs_neural.evaluation.scorers import divide

NUM_BINS = 15


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
class OutputScores:
    """How one of several numbers fared."""

    name: str
    r2: float
    mae: float
    rmse: float
    support: int


@dataclass(frozen=True)
class Miss:
    """One sample whose number is far off, in the units of the data."""

    id: str
    output: str
    target: float
    predicted: float


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence in 0..1, of `NUM_BINS` equal ones."""
    return np.clip((confidence * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)


def bins(count: np.ndarray, confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """The bars of a reliability diagram from sums over the samples of each bin (`NUM_BINS`,)."""
    edges = np.linspace(0, 1, NUM_BINS + 1).tolist()
    filled = np.where(count > 0, count, np.nan)
    values = (count.round().astype(int).tolist(), (confidence / filled).tolist(), (right / filled).tolist())
    return [Bin(*row) for row in zip(edges[:-1], edges[1:], *values, strict=True)]


def class_scores(
    names: list[str], true: np.ndarray, said: np.ndarray, hit: np.ndarray, support: np.ndarray
) -> list[ClassScores]:
    """Precision, recall and F1 of each class from how much there is of it, was said to be, and both."""
    columns = (divide(hit, said), divide(hit, true), divide(2 * hit, true + said))
    rows = zip(names, *(column.tolist() for column in columns), support.astype(int).tolist(), strict=True)
    return [ClassScores(*row) for row in rows]
