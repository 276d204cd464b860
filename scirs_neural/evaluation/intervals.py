"""How sure a score is: Wilson's interval for shares, the percentile bootstrap for the rest.

Source: Wilson 1927; Efron 1979. A bootstrap sample is drawn over samples of the test set, so several labels of one
sample stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scirs_neural.core.seeding import stream_seed

LEVEL = 0.95
NUM_RESAMPLES = 2000


def wilson(successes: int, samples: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a share of independent samples.

    Example:
        >>> [round(bound, 4) for bound in wilson(353, 360)]
        [0.9604, 0.9905]
    """
    from scipy.stats import binomtest  # costs two seconds

    bounds = binomtest(successes, samples).proportion_ci(confidence_level=level, method="wilson")
    return float(bounds.low), float(bounds.high)


def resamples(samples: int, *, seed: int, num_resamples: int = NUM_RESAMPLES) -> Iterator[np.ndarray]:
    """How often each sample was drawn, for one resample after the other.

    Shape: (samples,), summing to samples.
    """
    random = np.random.default_rng(stream_seed("bootstrap", seed))
    for _ in range(num_resamples):
        yield np.bincount(random.integers(0, samples, samples), minlength=samples)


def bootstrap(
    score: Callable[[np.ndarray], dict[str, float]],
    samples: int,
    *,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of every score that a function of the drawn counts gives.

    Args:
        score: from how often each sample was drawn (N,) to scores by name.
        samples: N.
        seed: of the draws; all scores share them.
        num_resamples: 2,000 put the bounds of a 95 % interval on 50 draws each.
        level: of the interval.

    Example:
        >>> right = np.array([1.0] * 90 + [0.0] * 10)
        >>> bounds = bootstrap(lambda counts: {"accuracy": counts @ right / 100}, 100)
        >>> [round(float(bound), 2) for bound in bounds["accuracy"]]
        [0.84, 0.95]
    """
    drawn = [score(counts) for counts in resamples(samples, seed=seed, num_resamples=num_resamples)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = {name: np.nanquantile([scores[name] for scores in drawn], tails) for name in drawn[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
