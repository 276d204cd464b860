"""What a model answers for a set of samples, and what that is worth: columns, and one scorer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.columns import Column, Texts, as_column, join, take
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.evaluation.scorers import Scorer
from scirs_neural.evaluation.storage import write_predictions

WEIGHT = "weight"


@dataclass(frozen=True)
class MetricTraits:
    """What is known of a metric.

    Args:
        better: "max" or "min": which end is good.
        low: the lowest value that it can have.
        high: the highest value that it can have.
        percent: it is shown in percent.
        no_interval: why it has no interval, if its bootstrap would mislead.
    """

    better: str
    low: float = -math.inf
    high: float = math.inf
    percent: bool = False
    no_interval: str = ""


class Predictions:
    """Columns of one entry a sample. Every statistic is a function of how much each sample counts.

    A subclass is one kind ("class", "numbers"). It is registered in `scirs_neural.evaluation.registry.PREDICTIONS`
    under its kind, or by an entry point ``scirs_neural.predictions``, and imports no torch. It must say what its
    `metrics` are and give a `scorer`; the rest has defaults.

    Args:
        ids: one unique name a sample, by which runs are matched and errors are shown.
        columns: name to an array (N, …), a list of N arrays, or a list of N texts. A column "weight" (N,) says how much
            each sample counts.
        header: what is true of all samples: class names, settings of answering. Plain data.
        units: what is independent: a name a sample, shared by samples of one patient, document or series; None where
            every sample stands for itself.

    Attributes:
        kind: name of the kind.
        version: of the kind's columns and header.
        metrics: name to "max" or "min": which end is good. The first is shown first.
        main_metric: the one that ranks.
        ranges: name to the lowest and highest value that a metric can have, where it is bounded.
        percentages: metrics that are shown in percent.
        without_interval: metrics whose bootstrap would mislead, with the reason.
        truth: columns that say what is true; runs that are compared must have the same.
        averaged: columns whose mean over several networks is the answer of all together.
        panels: import string of the function that makes this kind's part of a run's report: from an `Evaluation`, the
            predictions, and how to show and draw (`scirs_neural.plots.panel.Easel`) to sections of the page.

    Raises:
        DataError: a column has another length, or two samples have one name.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    metrics: ClassVar[Mapping[str, str]] = {}
    main_metric: ClassVar[str]
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    percentages: ClassVar[frozenset[str]] = frozenset()
    without_interval: ClassVar[Mapping[str, str]] = {}
    truth: ClassVar[tuple[str, ...]] = ("target",)
    averaged: ClassVar[tuple[str, ...]] = ()
    panels: ClassVar[str] = ""

    def __init__(
        self,
        ids: Sequence[str],
        columns: Mapping[str, Any],
        header: Mapping[str, Any] | None = None,
        units: Sequence[str] | None = None,
    ) -> None:
        self.ids: Sequence[str] = ids if isinstance(ids, Texts) else tuple(map(str, ids))
        self.columns: dict[str, Column] = {name: as_column(values) for name, values in columns.items()}
        self.header: dict[str, Any] = dict(header or {})
        self.units: Sequence[str] | None = (
            units if units is None or isinstance(units, Texts) else tuple(map(str, units))
        )
        for name, column in {**self.columns, **({} if self.units is None else {"units": self.units})}.items():
            if len(column) != len(self.ids):
                raise DataError(f"'{name}' has {len(column)} entries, but there are {len(self.ids)} samples")
        if isinstance(self.ids, tuple) and len(set(self.ids)) < len(self.ids):
            raise DataError(f"{len(self.ids) - len(set(self.ids))} samples are named twice")
        self.check()

    def check(self) -> None:
        """Hold the columns to what the kind needs.

        Raises:
            DataError: one is missing, or has a shape that does not fit.
        """

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} samples, {', '.join(self.columns)})"

    def array(self, name: str, *shape: int | None) -> np.ndarray:
        """A column that is an array, held to a shape after its first axis (None: any length).

        Raises:
            DataError: there is none, or it has another shape.
        """
        column = self.columns.get(name)
        if column is None:
            raise DataError(f"predictions of the kind '{self.kind}' need a column '{name}'")
        found = column.shape[1:] if isinstance(column, np.ndarray) else None
        wanted = tuple(n if asked is None else asked for n, asked in zip(found or (), shape, strict=False))
        if found is None or found != wanted or len(found) != len(shape):
            raise DataError(f"the column '{name}' holds {'no array' if found is None else found} a sample, not {shape}")
        assert isinstance(column, np.ndarray)
        return column

    @classmethod
    def metrics_of(cls, header: Mapping[str, Any]) -> Mapping[str, str]:
        """The metrics that predictions with such a header have, each with "max" or "min"."""
        return cls.metrics

    @classmethod
    def traits_of(cls, header: Mapping[str, Any]) -> Mapping[str, MetricTraits]:
        """What is known of each of these metrics."""
        return {
            name: MetricTraits(
                better, *cls.ranges.get(name, (-math.inf, math.inf)), name in cls.percentages,
                cls.without_interval.get(name, ""),
            )
            for name, better in cls.metrics_of(header).items()
        }  # fmt: skip

    @classmethod
    def main_metric_of(cls, header: Mapping[str, Any]) -> str:
        """The metric that ranks predictions with such a header."""
        return cls.main_metric

    @classmethod
    def targets_of(cls, header: Mapping[str, Any]) -> Sequence[str]:
        """The names of several targets; none where there is one."""
        return ()

    def scorer(self) -> Scorer:
        """How the metrics follow from how much each sample counts.

        Ones give the score, counts of drawn samples a resample, 0 and 1 a slice or a fold. An `Additive` scorer, of
        metrics that are functions of sums over samples, is fast at any size; any function will do.

        Shape: weights (R, N), at least 0, to (R,) for each metric.
        """
        raise NotImplementedError

    @cached_property
    def _scorer(self) -> Scorer:
        return self.scorer()

    @cached_property
    def weight(self) -> np.ndarray | None:
        """How much each sample counts by itself (N,); None where all count alike."""
        if WEIGHT not in self.columns:
            return None
        weight = self.array(WEIGHT)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise DataError("a sample's weight is negative or no number")
        return np.asarray(weight, dtype=np.float64)

    def score(self, weights: np.ndarray | None = None) -> dict[str, Any]:
        """The metrics by name.

        Args:
            weights: how often each sample counts (R, N), beside its own weight; None counts each once.

        Returns:
            A number each, or arrays (R,) if weights were given.
        """
        asked = np.ones((1, len(self))) if weights is None else np.asarray(weights, dtype=np.float64)
        found = self._scorer(asked if self.weight is None else asked * self.weight)
        return {name: float(values[0]) for name, values in found.items()} if weights is None else dict(found)

    def columns_of(self, role: Literal["truth", "averaged"]) -> tuple[str, ...]:
        """The names of the columns of a role."""
        found: tuple[str, ...] = getattr(self, role)
        return found

    def outcomes(self) -> Mapping[str, np.ndarray]:
        """Metrics that are plain fractions of samples: whether each sample is right (N,), NaN where that is unknown.

        They get Wilson's interval and McNemar's test, where samples are independent and count alike.
        """
        return {}

    def per_sample(self) -> Mapping[str, np.ndarray]:
        """Values (N,) by name, to find the worst samples with; they need not average to any metric."""
        return {}

    def describe(self) -> dict[str, Any]:
        """More about the whole than metrics say, as plain data for JSON: confusion, classes, worst errors."""
        return {}

    def tables(self, details: Mapping[str, Any]) -> Sequence[Table]:
        """What the terminal shows below the metrics.

        Args:
            details: from `describe`.
        """
        return ()

    def notes(self) -> Sequence[str]:
        """What must be known to read the metrics rightly: over what a mean is, where something is not defined."""
        return ()

    def further(self, metric: str) -> Scorer | None:
        """The scorer of a metric that is not among the usual ones; None if this kind has none of its own for it."""
        return None

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """What a further metric is called with: answers and truth of the samples whose truth is known.

        Args:
            metric: its name, without that of a target.

        Returns:
            Arrays, and the options of the factories in `scirs_neural.metrics.METRICS`.

        Raises:
            DataError: this kind has no such arrays.
        """
        raise DataError(f"predictions of the kind '{self.kind}' take no further metric, such as '{metric}'")

    def select(self, indices: Sequence[int] | np.ndarray) -> Self:
        """Those of some samples, by their places."""
        index = np.asarray(indices, dtype=np.int64)
        ids: Any = take(self.ids, index) if isinstance(self.ids, Texts) else [self.ids[i] for i in index.tolist()]
        units = None if self.units is None else [self.units[i] for i in index.tolist()]
        columns = {name: take(column, index) for name, column in self.columns.items()}
        return type(self)(ids, columns, self.header, units)

    @classmethod
    def concat(cls, parts: Sequence[Self], names: Sequence[str] | None = None) -> Self:
        """Predictions for several sets of samples as those for one.

        Args:
            parts: of one kind, with one header.
            names: put before the ids of each part, where a sample is in several.

        Raises:
            DataError: the headers differ, or two samples have one name.
        """
        first = parts[0]
        if any(part.header != first.header or part.columns.keys() != first.columns.keys() for part in parts):
            raise DataError("predictions with different classes, settings or columns cannot be put together")
        before = names or [""] * len(parts)
        ids = [name + sample for name, part in zip(before, parts, strict=True) for sample in part.ids]
        units = None
        if any(part.units is not None for part in parts):
            units = [unit for part in parts for unit in (part.ids if part.units is None else part.units)]
        columns = {name: join([part.columns[name] for part in parts]) for name in first.columns}
        return cls(ids, columns, first.header, units)

    @classmethod
    def average(cls, parts: Sequence[Self]) -> Self:
        """What several networks answer together for one set of samples: the mean of the columns in `averaged`.

        Raises:
            DataError: they were asked about different samples, or such answers have no mean.
        """
        first = parts[0]
        averaged = first.columns_of("averaged")
        if not averaged:
            raise DataError(f"answers of the kind '{cls.kind}' have no mean over networks")
        if any(part.ids != first.ids for part in parts):
            raise DataError("the networks were asked about different samples", fix="run the folds anew")
        columns = dict(first.columns)
        for name in averaged:
            one = columns[name]
            assert isinstance(one, np.ndarray)
            total = np.zeros(one.shape, dtype=np.float64)
            for part in parts:
                total += part.array(name, *one.shape[1:])
            columns[name] = (total / len(parts)).astype(one.dtype)
        return cls(first.ids, columns, first.header, first.units)

    def unit_codes(self) -> tuple[np.ndarray, int]:
        """The number of each sample's independent unit (N,), and how many units there are."""
        if self.units is None:
            return np.arange(len(self)), len(self)
        return codes_of(self.units)

    def save(self, folder: str | Path) -> None:
        """Write a folder: ``header.json`` and an array a column; whole or not at all.

        Raises:
            StorageError: it could not be written.
        """
        write_predictions(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote; columns stay on the disk until they are used.

        Raises:
            StorageError: there is no such folder, or it may not be read.
            DataError: it holds something else.
        """
        found = load_predictions(folder)
        if not isinstance(found, cls):
            raise DataError(f"the predictions are of the kind '{found.kind}', not '{cls.kind}'", where=str(folder))
        return found


@dataclass(frozen=True)
class Table:
    """A table for the terminal.

    Args:
        title: of it.
        head: of its columns.
        rows: cells: texts or numbers.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


def codes_of(names: Sequence[str]) -> tuple[np.ndarray, int]:
    """The number of each name in the order in which they first occur, and how many names there are.

    Example:
        >>> codes_of(["b", "a", "b"])
        (array([0, 1, 0]), 2)
    """
    number: dict[str, int] = {}
    codes = np.fromiter((number.setdefault(name, len(number)) for name in names), dtype=np.int64, count=len(names))
    return codes, len(number)
