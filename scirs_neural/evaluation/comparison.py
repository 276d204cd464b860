"""Is one run better than another, on the same samples? For predictions of any kind and any of their metrics.

Two figures answer it: the interval of the difference, by a bootstrap that draws units and so keeps both runs' answers
to one unit together; and a p-value: how likely so large a difference is between equals. For plain fractions of samples,
such as accuracy, that is McNemar's exact test, which looks only at the samples on which the runs disagree; for any
other metric a permutation test that swaps the two runs' answers to whole units.

Source: Efron 1979; McNemar 1947, in the exact form of Dietterich 1998; Fisher 1935 for permutations. With more than
one pair, p-values are also given as corrected by Holm 1979.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from math import exp, lgamma, log
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.evaluation.columns import Texts
from scirs_neural.evaluation.intervals import (
    AFFORDABLE,
    LEVEL,
    MIN_RESAMPLES,
    NUM_RESAMPLES,
    as_blocks,
    interval,
    resampled,
)
from scirs_neural.evaluation.predictions import MetricTraits, Predictions
from scirs_neural.evaluation.report import plain_fractions
from scirs_neural.evaluation.scorers import CHUNK_BYTES, Additive, Scorer, leaves

MCNEMAR, PERMUTATION = "McNemar's exact test", "permutation test"


@dataclass(frozen=True)
class Pair:
    """Run ``a`` against run ``b``.

    Args:
        a: a run's name.
        b: another's.
        metric: by which they are compared.
        better: "max" or "min": which end of it is good.
        difference: the metric of b minus that of a.
        low: lower bound of its 95 % interval; None where resampling costs too much.
        high: upper bound.
        p_value: how likely so large a difference is between equals; None where permutations cost too much.
        p_holm: the same, corrected for the number of pairs.
        test: which test it is of.
        only_a: of plain fractions: samples that only a has right.
        only_b: samples that only b has right.
    """

    a: str
    b: str
    metric: str
    better: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    test: str
    only_a: int | None = None
    only_b: int | None = None

    def verdict(self) -> str:
        """The pair in words."""
        if self.p_holm is None or self.p_holm >= 1 - LEVEL:
            return "no clear difference"
        return f"{self.b if (self.difference > 0) == (self.better == 'max') else self.a} is better"


@dataclass(frozen=True)
class Comparison:
    """Every pair of some runs on one set of samples, by one metric."""

    samples: int
    metric: str
    pairs: list[Pair]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        for row, pair in zip(plain["pairs"], self.pairs, strict=True):
            row["verdict"] = pair.verdict()
        return plain


def compare_predictions(
    runs: Mapping[str, Predictions], *, metric: str | None = None, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Comparison:
    """Compare two or more runs, sample by sample.

    Args:
        runs: by name; the order of their samples does not matter.
        metric: by which; None takes the main one of their kind.
        seed: of the bootstrap and of the permutations.
        num_resamples: of both.

    Raises:
        DataError: there are fewer than two runs, or their kinds, classes, samples or truth differ, or they have no such
            metric.

    Example:
        >>> from scirs_neural.tasks.classification.predictions import ClassPredictions
        >>> p, q = [[1, 0], [0, 1], [1, 0], [1, 0.0]], [[1, 0], [0, 1], [0, 1], [1, 0.0]]
        >>> a, b = (
        ...     ClassPredictions("abcd", {"probabilities": x, "target": [0, 1, 1, 0]}, {"classes": ["cat", "dog"]})
        ...     for x in (p, q)
        ... )
        >>> pair = compare_predictions({"a": a, "b": b}).pairs[0]
        >>> pair.difference, pair.only_a, pair.only_b, pair.p_value
        (0.25, 0, 1, 1.0)
    """
    if len(runs) < 2:
        raise DataError("a comparison needs at least two runs")
    first = next(iter(runs.values()))
    metric = metric or first.main_metric_of(first.header)
    orders = _aligned(runs)
    traits = first.traits_of(first.header)
    if metric not in traits:
        near = did_you_mean(metric, list(traits))
        raise DataError(f"the runs have no metric '{metric}'", suggestions=near, fix=f"one of {', '.join(traits)}")
    units, count = first.unit_codes()
    codes, groups = as_blocks(units, count, seed=seed)
    of_runs = {name: codes[order] for name, order in orders.items()}  # the group of each of a run's own samples
    drawn = {name: _resampled(run, of_runs[name], groups, metric, seed, num_resamples) for name, run in runs.items()}
    pairs = []
    for a, b in combinations(runs, 2):
        one, other = drawn[a], drawn[b]
        bounds = None if one is None or other is None else interval(other - one, MetricTraits(traits[metric].better))
        difference = float(runs[b].score()[metric] - runs[a].score()[metric])
        tested = _mcnemar(runs[a], runs[b], orders[a], orders[b], metric) or (
            _permutation(runs[a], runs[b], of_runs[a], of_runs[b], groups, metric, difference, seed, num_resamples),
            PERMUTATION, None, None,
        )  # fmt: skip
        p_value, test, only_a, only_b = tested
        low, high = bounds or (None, None)
        better = traits[metric].better
        pairs.append(Pair(a, b, metric, better, difference, low, high, p_value, p_value, test, only_a, only_b))
    known = [pair for pair in pairs if pair.p_value is not None]
    corrected = holm([pair.p_value for pair in known if pair.p_value is not None])
    of_pairs = {(pair.a, pair.b): p for pair, p in zip(known, corrected, strict=True)}
    pairs = [replace(pair, p_holm=of_pairs.get((pair.a, pair.b))) for pair in pairs]
    settings = {"level": LEVEL, "num_resamples": num_resamples, "seed": seed, "drawn": groups}
    return Comparison(len(first), metric, pairs, settings)


def holm(p_values: list[float]) -> list[float]:
    """P-values corrected for their number, in the same order.

    Example:
        >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    corrected = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return corrected


def sign_test(only_a: int, only_b: int) -> float:
    """The two-sided p-value of a split of coin tosses.

    Example:
        >>> round(sign_test(1, 9), 6)
        0.021484
    """
    n, few = only_a + only_b, min(only_a, only_b)
    if 2 * few >= n:
        return 1.0
    terms = (exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)) for k in range(few + 1))
    return min(1.0, 2 * sum(terms))


def _mcnemar(
    a: Predictions, b: Predictions, order_a: np.ndarray, order_b: np.ndarray, metric: str
) -> tuple[float, str, int, int] | None:
    right_a, right_b = plain_fractions(a).get(metric), plain_fractions(b).get(metric)
    if right_a is None or right_b is None:
        return None
    both = np.zeros((2, len(a)))
    both[0, order_a], both[1, order_b] = right_a, right_b
    only_a, only_b = int(((both[0] == 1) & (both[1] == 0)).sum()), int(((both[0] == 0) & (both[1] == 1)).sum())
    return sign_test(only_a, only_b), MCNEMAR, only_a, only_b


def _scorer_of(pred: Predictions, metric: str) -> tuple[str, Scorer]:
    """The part of a run's scorer that has the metric, and the metric's name in it."""
    for prefix, leaf in leaves(pred.scorer()):
        if metric.startswith(prefix) and metric.removeprefix(prefix) in leaf(np.ones((1, len(pred)))):
            return metric.removeprefix(prefix), leaf
    raise DataError(f"the predictions give no '{metric}'")


def _resampled(
    pred: Predictions, codes: np.ndarray, groups: int, metric: str, seed: int, num_resamples: int
) -> np.ndarray | None:
    """The metric of every resample: the same draws of units for every run."""
    name, leaf = _scorer_of(pred, metric)
    values, _ = resampled(leaf, codes, groups, weight=pred.weight, seed=seed, num_resamples=num_resamples)
    return values.get(name)


def _permutation(
    a: Predictions,
    b: Predictions,
    codes_a: np.ndarray,
    codes_b: np.ndarray,
    groups: int,
    metric: str,
    difference: float,
    seed: int,
    num_resamples: int,
) -> float | None:
    """How many of the random swaps of whole units give so large a difference; None where that costs too much.

    A swap is a matter of weights: of both runs' samples put together, those of each unit count for one of the runs.
    """
    name, leaf_a = _scorer_of(a, metric)
    leaf_b = _scorer_of(b, metric)[1]
    if isinstance(leaf_a, Additive) and isinstance(leaf_b, Additive):
        joined: Scorer = leaf_a.grouped(codes_a, groups, a.weight).joined(leaf_b.grouped(codes_b, groups, b.weight))
        where, weight = np.arange(2 * groups), np.ones(2 * groups)
    else:
        num_resamples = min(num_resamples, int(AFFORDABLE / (2 * getattr(leaf_a, "cost", 10) * len(a))))
        if num_resamples < MIN_RESAMPLES:
            return None
        both = type(a).concat([a, b], ["a/", "b/"])
        joined = _scorer_of(both, metric)[1]
        where = np.concatenate([codes_a, groups + codes_b])
        weight = np.ones(len(both)) if both.weight is None else both.weight
    as_large = 0
    for swaps in _swaps(groups, seed, num_resamples, len(where)):
        first = joined(np.concatenate([swaps, 1 - swaps], axis=1)[:, where] * weight)[name]
        second = joined(np.concatenate([1 - swaps, swaps], axis=1)[:, where] * weight)[name]
        as_large += int((np.abs(second - first) >= abs(difference) - 1e-12).sum())
    return (1 + as_large) / (1 + num_resamples)


def _swaps(groups: int, seed: int, count: int, width: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(stream_seed("permutation", seed))
    step = max(1, CHUNK_BYTES // (16 * width))
    for start in range(0, count, step):
        yield random.integers(0, 2, (min(step, count - start), groups)).astype(np.float64)


def _aligned(runs: Mapping[str, Predictions]) -> dict[str, np.ndarray]:
    """The place of each run's samples among those of the first; their truth must be the same."""
    (first, base), *others = runs.items()
    if not len(base):
        raise DataError(f"the run '{first}' was tested on no samples")
    position = _positions(first, base)
    orders = {first: np.arange(len(base))}
    for name, pred in others:
        between = f"'{first}' and '{name}'"
        if pred.kind != base.kind:
            raise DataError(f"{between} predict different things: {base.kind}, and {pred.kind}")
        if pred.header != base.header:
            raise DataError(f"{between} have different {_difference(base.header, pred.header)}")
        mine = _positions(name, pred)
        if mine.keys() != position.keys():
            only, other = len(position.keys() - mine.keys()), len(mine.keys() - position.keys())
            raise DataError(
                f"{between} were tested on different samples: {len(position.keys() & mine.keys())} in common, "
                f"{only} only in the first, {other} only in the second",
                fix="evaluate both on the same data, with the same data.split_seed and data.test_fraction",
            )
        orders[name] = np.fromiter((position[sample] for sample in pred.ids), dtype=np.int64, count=len(pred))
        for column in (*base.columns_of("truth"), "weight"):
            if not _same(base, pred, column, orders[name]):
                what = "weights" if column == "weight" else "truth"
                raise DataError(f"{between} have the same samples, but not the same {what} for them")
    return orders


def _same(a: Predictions, b: Predictions, column: str, order: np.ndarray) -> bool:
    """Whether a column holds the same for the same samples."""
    one, other = a.columns.get(column), b.columns.get(column)
    if one is None or other is None:
        return one is other
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.array_equal(one[order], other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, Texts) or isinstance(other, Texts):
        return all(one[i] == text for i, text in zip(order.tolist(), other, strict=True))
    return all(np.array_equal(one[i], held) for i, held in zip(order.tolist(), other, strict=True))


def _positions(name: str, pred: Predictions) -> dict[str, int]:
    positions = {sample: i for i, sample in enumerate(pred.ids)}
    if len(positions) < len(pred):
        raise DataError(f"the predictions of '{name}' name {len(pred) - len(positions)} samples twice")
    return positions


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    key = next(key for key in {**a, **b} if a.get(key) != b.get(key))
    shown = [
        ", ".join(map(str, held[:4])) if isinstance(held, list) else str(held) for held in (a.get(key), b.get(key))
    ]
    return f"{key}: {shown[0]}, and {shown[1]}"
