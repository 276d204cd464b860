"""How sure a score is: Wilson's interval for plain fractions of samples, the percentile bootstrap for the rest.

What is drawn are independent units (samples, or patients, documents, series). Above `MAX_GROUPS` of them, blocks of
units are drawn that were put together at random: sums over random blocks vary as sums over units do, so intervals keep
their width, and their cost no longer grows with the number of samples.

Source: Wilson 1927; Efron 1979; for blocks Kleiner et al. 2014, "A scalable bootstrap for massive data", whose bags
are blocks of samples too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from scirs_neural.core.seeding import stream_seed
from scirs_neural.evaluation.predictions import MetricTraits
from scirs_neural.evaluation.scorers import CHUNK_BYTES, Additive, Scorer, leaves

LEVEL = 0.95
NUM_RESAMPLES = 2000
MAX_GROUPS = 10_000  # units up to which each is drawn by itself
BLOCKS = 5_000  # of units, above that: the deviation of a mean is then right within 1 %
MIN_RESAMPLES = 200  # fewer do not make an interval
AFFORDABLE = 200_000_000  # operations of a scorer that is no `Additive`: about two seconds


def wilson(successes: float, samples: float, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a fraction of independent samples; it lies within 0..1.

    Example:
        >>> [round(bound, 4) for bound in wilson(353, 360)]
        [0.9604, 0.9905]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / samples
    centre = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    half = z / (1 + z * z / samples) * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if successes == 0 else low), (1.0 if successes == samples else high)


def as_blocks(codes: np.ndarray, units: int, *, seed: int) -> tuple[np.ndarray, int]:
    """What is drawn: units as they are, or random blocks of units where there are very many.

    Returns:
        The group of each sample (N,), and how many groups there are.

    Example:
        >>> codes, groups = as_blocks(np.arange(30_000), 30_000, seed=0)
        >>> groups, np.bincount(codes).tolist() == [6] * 5_000
        (5000, True)
    """
    if units <= MAX_GROUPS:
        return codes, units
    random = np.random.default_rng(stream_seed("bootstrap blocks", seed))
    return (random.permutation(units) % BLOCKS)[codes], BLOCKS


def resamples(groups: int, *, seed: int, num_resamples: int = NUM_RESAMPLES) -> Iterator[np.ndarray]:
    """How often each group was drawn: rows that each sum to the number of groups, some at a time.

    Shape: (R, groups), of ``num_resamples`` rows in all; the rows are the same however many come at a time.
    """
    random = np.random.default_rng(stream_seed("bootstrap", seed))
    step = max(1, CHUNK_BYTES // (16 * groups))
    for start in range(0, num_resamples, step):
        rows = min(step, num_resamples - start)
        drawn = random.integers(0, groups, (rows, groups))
        drawn += np.arange(rows)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def resampled(
    scorer: Scorer,
    codes: np.ndarray,
    groups: int,
    *,
    weight: np.ndarray | None = None,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every metric of every resample; all metrics share the draws.

    Args:
        scorer: of N samples.
        codes: the group of each sample (N,); see `as_blocks`.
        groups: how many there are.
        weight: how much each sample counts by itself (N,).
        seed: of the draws.
        num_resamples: of metrics that are cheap; costly ones get fewer.

    Returns:
        Metric to values (R,); and, of metrics whose resampling costs too much, why they have none.
    """
    values: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    for prefix, leaf in leaves(scorer):
        if isinstance(leaf, Additive):
            of_groups: Scorer = leaf.grouped(codes, groups, weight)
            wanted = num_resamples
        else:
            of_groups = _spread_over(leaf, codes, weight)
            wanted = min(num_resamples, int(AFFORDABLE / (getattr(leaf, "cost", 10) * max(1, len(codes)))))
        if wanted < min(MIN_RESAMPLES, num_resamples):
            names = leaf(np.ones((1, len(codes))))
            reasons |= {prefix + name: f"resampling {len(codes):,} samples costs too much" for name in names}
            continue
        found = [of_groups(rows) for rows in resamples(groups, seed=seed, num_resamples=wanted)]
        values |= {prefix + name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return values, reasons


def interval(values: np.ndarray, traits: MetricTraits, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval of the resamples of a metric, within its range; None if it is seldom defined.

    Example:
        >>> interval(np.array([0.0, 0.5, 1.0]), MetricTraits("max", 0, 1), level=0.5)
        (0.25, 0.75)
    """
    defined = values[np.isfinite(values)]
    if not len(defined) or len(defined) < 0.5 * len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(np.clip(low, traits.low, traits.high)), float(np.clip(high, traits.low, traits.high))


def _spread_over(scorer: Scorer, codes: np.ndarray, weight: np.ndarray | None) -> Scorer:
    """A scorer of samples as one of groups of samples."""

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        step = max(1, CHUNK_BYTES // (8 * max(1, len(codes))))
        found = []
        for start in range(0, len(weights), step):
            of_samples = weights[start : start + step][:, codes]
            found.append(scorer(of_samples if weight is None else of_samples * weight))
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    return score
