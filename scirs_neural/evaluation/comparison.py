"""Is one run better than another, on the same test samples?

Two figures answer it: the interval of the difference in accuracy, by a bootstrap that draws samples and so keeps both
runs' answers to one sample together, and McNemar's exact test, which looks only at the samples on which they disagree.

Source: Efron 1979; McNemar 1947, in the exact form of Dietterich 1998. With more than one pair, p-values are also
given as corrected by Holm 1979.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.evaluation.intervals import LEVEL, NUM_RESAMPLES
from scirs_neural.evaluation.old_predictions import Predictions


@dataclass(frozen=True)
class Pair:
    """Run ``a`` against run ``b``.

    Args:
        a: a run's name.
        b: another's.
        difference: accuracy of b minus accuracy of a.
        low: lower bound of its 95 % interval.
        high: upper bound.
        only_a: samples that only a has right.
        only_b: samples that only b has right.
        p_value: of McNemar's exact test: how likely so uneven a split of those samples is between equals.
        p_holm: the same, corrected for the number of pairs.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    only_a: int
    only_b: int
    p_value: float
    p_holm: float

    def verdict(self) -> str:
        """The pair in words."""
        if self.p_holm >= 1 - LEVEL:
            return "no clear difference"
        return f"{self.b if self.only_b > self.only_a else self.a} is better"


@dataclass(frozen=True)
class Comparison:
    """Every pair of some runs on one test set."""

    samples: int
    pairs: list[Pair]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        for row, pair in zip(plain["pairs"], self.pairs, strict=True):
            row["verdict"] = pair.verdict()
        return plain


def compare_predictions(
    runs: Mapping[str, Predictions], *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Comparison:
    """Compare two or more runs, sample by sample. With several labels a sample, all of them must be right.

    Args:
        runs: by name; the order of their samples does not matter.
        seed: of the bootstrap.
        num_resamples: of the bootstrap.

    Raises:
        DataError: there are fewer than two runs, or their classes, samples or true labels differ.

    Example:
        >>> a = Predictions("abcd", [0, 1, 1, 0], [[1, 0], [0, 1], [1, 0], [1, 0]], ["cat", "dog"])
        >>> b = Predictions("abcd", [0, 1, 1, 0], [[1, 0], [0, 1], [0, 1], [1, 0]], ["cat", "dog"])
        >>> pair = compare_predictions({"a": a, "b": b}).pairs[0]
        >>> pair.difference, pair.only_a, pair.only_b, pair.p_value
        (0.25, 0, 1, 1.0)
    """
    if len(runs) < 2:
        raise DataError("a comparison needs at least two runs")
    right = _aligned(runs)
    pairs = [_pair(a, b, right[a], right[b], seed, num_resamples) for a, b in combinations(runs, 2)]
    corrected = holm([pair.p_value for pair in pairs])
    pairs = [Pair(**{**asdict(pair), "p_holm": p}) for pair, p in zip(pairs, corrected, strict=True)]
    settings = {"level": LEVEL, "num_resamples": num_resamples, "seed": seed}
    return Comparison(len(next(iter(right.values()))), pairs, settings)


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


def _pair(a: str, b: str, right_a: np.ndarray, right_b: np.ndarray, seed: int, num_resamples: int) -> Pair:
    from scipy.stats import binomtest  # costs two seconds

    n = len(right_a)
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    p_value = float(binomtest(only_b, only_a + only_b).pvalue) if only_a + only_b else 1.0
    # All that counts of a paired resample is how often it draws from each group: only a right, only b, or neither.
    random = np.random.default_rng(stream_seed("paired bootstrap", seed, a, b))
    shares = [only_a / n, only_b / n, 1 - (only_a + only_b) / n]
    drawn = random.multinomial(n, shares, size=num_resamples)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / n, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Pair(a, b, (only_b - only_a) / n, float(low), float(high), only_a, only_b, p_value, p_value)


def _aligned(runs: Mapping[str, Predictions]) -> dict[str, np.ndarray]:
    """Which samples each run has right, all in the first run's order."""
    (first, base), *others = runs.items()
    if not len(base):
        raise DataError(f"the run '{first}' was tested on no samples")
    position = _positions(first, base)
    right = {first: base.right}
    for name, pred in others:
        between = f"'{first}' and '{name}'"
        if tuple(pred.classes) != tuple(base.classes):
            raise DataError(f"{between} have different classes: {_classes(base)}, and {_classes(pred)}")
        mine = _positions(name, pred)
        if mine.keys() != position.keys():
            only, other = len(position.keys() - mine.keys()), len(mine.keys() - position.keys())
            raise DataError(
                f"{between} were tested on different samples: {len(position.keys() & mine.keys())} in common, "
                f"{only} only in the first, {other} only in the second",
                fix="evaluate both on the same data, with the same data.split_seed and data.test_fraction",
            )
        order = np.fromiter((mine[sample] for sample in position), dtype=np.int64)
        if pred.targets.shape != base.targets.shape or (pred.targets[order] != base.targets).any():
            raise DataError(f"{between} have the same samples, but not the same true classes for them")
        right[name] = pred.right[order]
    return right


def _positions(name: str, pred: Predictions) -> dict[str, int]:
    positions = {sample: i for i, sample in enumerate(pred.ids)}
    if len(positions) < len(pred):
        raise DataError(f"the predictions of '{name}' name {len(pred) - len(positions)} samples twice")
    return positions


def _classes(pred: Predictions) -> str:
    shown = ", ".join(pred.classes[:4])
    return f"{len(pred.classes)} ({shown}{', …' if len(pred.classes) > 4 else ''})"
