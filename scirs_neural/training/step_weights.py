"""What each batch's loss counts in its optimizer step, so that every sample of the step counts alike."""

from __future__ import annotations

from collections.abc import Sequence


def step_weights(
    sizes: Sequence[Sequence[int]] | None, num_batches: float, accumulate: int, rank: int = 0
) -> list[float]:
    """Factors for the losses of an epoch's batches, beside Lightning's own 1 / ``accumulate`` and the mean over ranks.

    Without them, the last, short group of an epoch gets too small a gradient, and the samples of a small batch count
    more than those of a full one.

    Args:
        sizes: samples of each batch of each rank; None: unknown, all are taken to be equal.
        num_batches: that an epoch has for each rank; infinite: unknown.
        accumulate: batches an optimizer step.
        rank: whose factors are wanted.

    Example:
        Six batches, four a step: the last two stand for themselves.

        >>> step_weights([[16] * 6], 6, 4)
        [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]
        >>> step_weights([[4, 2], [4, 1]], 2, 1, rank=1)
        [1.0, 0.6666666666666666]
    """
    if num_batches == float("inf"):
        return []
    count = int(num_batches)
    ranks = [list(held[:count]) for held in sizes] if sizes is not None else [[1] * count]
    mine = ranks[rank if sizes is not None else 0]
    weights = []
    for start in range(0, count, accumulate):
        group = slice(start, start + accumulate)
        total = sum(sum(held[group]) for held in ranks)
        weights += [size * accumulate * len(ranks) / total for size in mine[group]]
    return weights
