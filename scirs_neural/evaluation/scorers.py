"""Metrics as functions of how much each sample counts: of sums over samples, of ranks, or of anything.

R rows of weights, N samples, G groups of samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Scorer = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Weights (R, N), at least 0, to every metric (R,)."""

Stats = Mapping[str, "np.ndarray | ByClass"]
CHUNK_BYTES = 64 * 2**20  # of weights, or of what they are multiplied with, at a time
_DENSE_FROM = 20  # cells of a dense table for each that is filled, up to which it is the faster one


@dataclass(frozen=True, eq=False)
class ByClass:
    """A value a sample that belongs to one of K classes, summed class by class: a sparse table (N, K).

    Args:
        rows: the sample of each entry.
        classes: its class.
        values: its value.
        num_rows: N.
        num_classes: K.
    """

    rows: np.ndarray
    classes: np.ndarray
    values: np.ndarray
    num_rows: int
    num_classes: int

    @classmethod
    def of(cls, classes: np.ndarray, values: np.ndarray, num_classes: int) -> ByClass:
        """One entry a sample; those of value 0 are left out, and the class of such a sample may be anything.

        Example:
            >>> table = ByClass.of(np.array([0, 2, 2]), np.array([1.0, 1.0, 0.0]), 3)
            >>> table.sums(np.array([[1.0, 2.0, 1.0]])).tolist()
            [[1.0, 0.0, 2.0]]
        """
        rows = np.flatnonzero(values)
        rows = rows[np.argsort(classes[rows], kind="stable")]
        return cls(rows, classes[rows], np.asarray(values[rows], dtype=np.float64), len(classes), num_classes)

    def __len__(self) -> int:
        return self.num_rows

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """The weighted sums (R, K)."""
        found = np.zeros((len(weights), self.num_classes))
        if len(self.rows):
            starts = np.flatnonzero(np.r_[True, self.classes[1:] != self.classes[:-1]])
            found[:, self.classes[starts]] = np.add.reduceat(weights[:, self.rows] * self.values, starts, axis=1)
        return found

    def grouped(self, codes: np.ndarray, groups: int, weight: np.ndarray | None) -> ByClass | np.ndarray:
        """The table of G groups of samples: dense (G, K) where that is not much larger."""
        values = self.values if weight is None else self.values * weight[self.rows]
        keys, place = np.unique(self.classes * np.int64(groups) + codes[self.rows], return_inverse=True)
        totals = np.bincount(place, values, len(keys)) if len(keys) else np.zeros(0)
        if groups * self.num_classes <= _DENSE_FROM * max(1, len(keys)):
            dense = np.zeros((groups, self.num_classes))
            dense[keys % groups, keys // groups] = totals
            return dense
        return ByClass(keys % groups, keys // groups, totals, groups, self.num_classes)

    def dense(self, start: int, stop: int) -> np.ndarray:
        """Some rows of the table as they are (stop - start, K)."""
        chosen = (self.rows >= start) & (self.rows < stop)
        found = np.zeros((stop - start, self.num_classes))
        np.add.at(found, (self.rows[chosen] - start, self.classes[chosen]), self.values[chosen])
        return found

    def of_some(self, index: np.ndarray) -> ByClass:
        """The table of some of the samples."""
        place = np.full(self.num_rows, -1)
        place[index] = np.arange(len(index))
        kept = place[self.rows] >= 0
        return ByClass(place[self.rows[kept]], self.classes[kept], self.values[kept], len(index), self.num_classes)


class Additive:
    """A scorer of metrics that are functions of sums over samples: accuracy, F1, IoU, BLEU, perplexity, R².

    Args:
        stats: name to what is summed: arrays (N, …), or a `ByClass`; or, where arrays (N, …) would not fit into memory,
            a function from (start, stop) to arrays of those samples.
        finish: from the sums (R, …), by keyword, to metrics (R,).
        num_samples: N, if ``stats`` is a function.
        block: samples that such a function is asked for at a time.

    Example:
        >>> right = Additive({"right": np.array([1, 1, 0]), "n": np.ones(3)}, lambda right, n: {"accuracy": right / n})
        >>> right(np.array([[1, 1, 1], [1, 0, 1]]))["accuracy"].round(2).tolist()
        [0.67, 0.5]
    """

    def __init__(
        self,
        stats: Stats | Callable[[int, int], Mapping[str, np.ndarray]],
        finish: Callable[..., Mapping[str, np.ndarray]],
        *,
        num_samples: int | None = None,
        block: int = 65536,
    ) -> None:
        self.finish = finish
        if callable(stats):
            assert num_samples is not None
            self.sparse: dict[str, ByClass] = {}
            self._part, self.count, self._block = stats, num_samples, block
        else:
            self.sparse = {name: held for name, held in stats.items() if isinstance(held, ByClass)}
            dense = {name: np.asarray(held) for name, held in stats.items() if not isinstance(held, ByClass)}
            self._part = lambda start, stop: {name: held[start:stop] for name, held in dense.items()}
            self.count, self._block = len(next(iter(stats.values()))), block

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics (R,) for weights (R, N), some rows at a time."""
        widest = max([self.count, *(max(len(s.rows), s.num_classes) for s in self.sparse.values()), self._width()])
        step = max(1, CHUNK_BYTES // (8 * max(1, widest)))
        found = [self.finish(**self._sums(weights[i : i + step])) for i in range(0, len(weights), step)]
        return {name: np.concatenate([np.asarray(part[name]) for part in found]) for name in found[0]}

    def grouped(self, codes: np.ndarray, groups: int, weight: np.ndarray | None = None) -> Additive:
        """The same metrics as a function of how much each group of samples counts.

        Args:
            codes: the group of each sample (N,).
            groups: how many there are.
            weight: how much each sample counts within its group.
        """
        totals: dict[str, np.ndarray] = {}
        for start, stop, part in self._parts():
            for name, values in part.items():
                if name not in totals:
                    totals[name] = np.zeros((groups, *values.shape[1:]))
                scaled = values if weight is None else values * _beside(weight[start:stop], values.ndim)
                _add_rows(totals[name], codes[start:stop], np.asarray(scaled, dtype=np.float64))
        sparse = {name: table.grouped(codes, groups, weight) for name, table in self.sparse.items()}
        return Additive({**totals, **sparse}, self.finish)

    def of_each_group(self, codes: np.ndarray, groups: int, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The metrics of each group of samples by itself (G,): in one pass, however many groups there are."""
        whole = self.grouped(codes, groups, weight)
        widest = max([1, self._width(), *(table.num_classes for table in self.sparse.values())])
        step = max(1, CHUNK_BYTES // (8 * widest))
        found = []
        for start in range(0, groups, step):
            stop = min(start + step, groups)
            sparse = {name: table.dense(start, stop) for name, table in whole.sparse.items()}
            found.append(self.finish(**whole._part(start, stop), **sparse))
        return {name: np.concatenate([np.asarray(part[name]) for part in found]) for name in found[0]}

    def of_some(self, index: np.ndarray) -> Additive:
        """The same metrics of some of the samples, by their places in rising order."""
        kept: dict[str, list[np.ndarray]] = {}
        for start, stop, part in self._parts():
            chosen = index[(index >= start) & (index < stop)] - start
            for name, values in part.items():
                kept.setdefault(name, []).append(values[chosen])
        dense = {name: np.concatenate(parts) for name, parts in kept.items()}
        return Additive({**dense, **{name: table.of_some(index) for name, table in self.sparse.items()}}, self.finish)

    def joined(self, other: Additive) -> Additive:
        """The metrics of two sets of samples as of one: weights (R, N + N')."""
        mine, theirs = self._part(0, self.count), other._part(0, other.count)
        stats: dict[str, Any] = {name: np.concatenate([mine[name], theirs[name]]) for name in mine if name in theirs}
        for name in (self.sparse.keys() | other.sparse.keys()) - stats.keys():
            stats[name] = _stacked(self._table(name), other._table(name))
        return Additive(stats, self.finish)

    def _table(self, name: str) -> ByClass:
        if name in self.sparse:
            return self.sparse[name]
        dense = self._part(0, self.count)[name]
        rows, classes = np.nonzero(dense)
        return ByClass(rows, classes, dense[rows, classes], *dense.shape)

    def _parts(self) -> Iterator[tuple[int, int, Mapping[str, np.ndarray]]]:
        for start in range(0, self.count, self._block):
            stop = min(start + self._block, self.count)
            yield start, stop, self._part(start, stop)

    def _width(self) -> int:
        part = self._part(0, min(1, self.count))
        return max((int(np.prod(values.shape[1:])) for values in part.values()), default=1)

    def _sums(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        total: Any = 0.0
        shapes: dict[str, tuple[int, ...]] = {}
        for start, stop, part in self._parts():
            shapes = {name: values.shape[1:] for name, values in part.items()}
            columns = [np.asarray(values, dtype=np.float64).reshape(stop - start, -1) for values in part.values()]
            if columns:
                total = total + weights[:, start:stop] @ np.concatenate(columns, axis=1)  # one pass over the weights
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        split = np.split(total, ends[:-1], axis=1) if shapes else []
        sums = {name: held.reshape(-1, *shapes[name]) for name, held in zip(shapes, split, strict=True)}
        return {**sums, **{name: table.sums(weights) for name, table in self.sparse.items()}}


def additive(stats: Stats, finish: Callable[..., Mapping[str, np.ndarray]]) -> Additive:
    """A scorer of metrics that are functions of sums over samples; see `Additive`."""
    return Additive(stats, finish)


class Ranked:
    """Areas under the ROC curve and under the precision-recall curve: of each class against the rest, and their mean.

    Classes without a positive or without a negative sample have none; the mean is over the others. Equal scores are
    one step of the curve.

    Args:
        scores: (N, K).
        truth: 1, 0, or NaN where it is unknown (N, K).
        names: which of "auroc" and "average_precision".

    Example:
        >>> ranked = Ranked(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0], [0], [1], [1]]), ("auroc",))
        >>> ranked(np.ones((1, 4)))["auroc"].tolist()
        [0.75]
    """

    def __init__(self, scores: np.ndarray, truth: np.ndarray, names: tuple[str, ...]) -> None:
        self.scores, self.truth, self.names = scores, truth, names
        self.cost = 4 * scores.shape[1]

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The means over the classes (R,)."""
        each = self.of_each_class(weights)
        return {name: mean_of_defined(values) for name, values in each.items()}

    def of_some(self, index: np.ndarray) -> Ranked:
        """The same metrics of some of the samples."""
        return Ranked(np.asarray(self.scores)[index], np.asarray(self.truth)[index], self.names)

    def of_each_class(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The areas (R, K); NaN where a class has none."""
        step = max(1, CHUNK_BYTES // (8 * max(1, weights.shape[1])))
        columns: dict[str, list[np.ndarray]] = {name: [] for name in self.names}
        for k in range(self.scores.shape[1]):
            score, true = np.asarray(self.scores[:, k]), np.asarray(self.truth[:, k], dtype=np.float64)
            order = np.flatnonzero(~np.isnan(true))
            order = order[np.argsort(-score[order], kind="stable")]
            ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True]) if len(order) else np.zeros(0, dtype=int)
            parts = [self._areas(weights[i : i + step, order], true[order], ends) for i in range(0, len(weights), step)]
            for name in self.names:
                columns[name].append(np.concatenate([part[name] for part in parts]))
        return {name: np.stack(held, axis=1) for name, held in columns.items()}

    @staticmethod
    def _areas(weights: np.ndarray, true: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
        if not len(ends):
            return {name: np.full(len(weights), np.nan) for name in ("auroc", "average_precision")}
        hits, misses = np.cumsum(weights * true, axis=1)[:, ends], np.cumsum(weights * (1 - true), axis=1)[:, ends]
        new_hits, new_misses = np.diff(hits, axis=1, prepend=0), np.diff(misses, axis=1, prepend=0)
        positives, negatives = hits[:, -1], misses[:, -1]
        ahead = (new_misses * (hits - new_hits / 2)).sum(axis=1)
        precise = (new_hits * hits / np.maximum(hits + misses, 1e-300)).sum(axis=1)
        return {"auroc": divide(ahead, positives * negatives), "average_precision": divide(precise, positives)}


class Several:
    """Several scorers as one.

    Args:
        parts: each with what stands before the names of its metrics.
    """

    def __init__(self, parts: Sequence[tuple[str, Scorer]]) -> None:
        self.parts = list(parts)

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """All their metrics (R,)."""
        return {prefix + name: values for prefix, part in self.parts for name, values in part(weights).items()}


def leaves(scorer: Scorer, prefix: str = "") -> Iterator[tuple[str, Scorer]]:
    """The scorers that one is made of, each with the prefix of its metrics."""
    if isinstance(scorer, Several):
        for name, part in scorer.parts:
            yield from leaves(part, prefix + name)
    else:
        yield prefix, scorer


def divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """A fraction that is NaN, without a warning, where it is not defined.

    Example:
        >>> divide(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    found: np.ndarray = np.where(bottom > 0, top, np.nan) / np.where(bottom > 0, bottom, 1.0)
    return found


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN; NaN where nothing is defined."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _beside(weight: np.ndarray, dims: int) -> np.ndarray:
    return weight.reshape(len(weight), *(1,) * (dims - 1))


def _add_rows(total: np.ndarray, codes: np.ndarray, values: np.ndarray) -> None:
    """Add each row of values to the row of the total that its code names."""
    if values.ndim == 1:
        total += np.bincount(codes, values, len(total))
    else:
        np.add.at(total, codes, values)


def _stacked(a: ByClass, b: ByClass) -> ByClass:
    rows = np.concatenate([a.rows, b.rows + a.num_rows])
    classes, values = np.concatenate([a.classes, b.classes]), np.concatenate([a.values, b.values])
    order = np.argsort(classes, kind="stable")
    return ByClass(rows[order], classes[order], values[order], a.num_rows + b.num_rows, a.num_classes)
