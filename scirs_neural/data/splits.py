"""Who is in which split: seeded, stratified by class, and without overlap."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split
from torch import Tensor

from scirs_neural.core.errors import DataError


def hold_out(
    indices: np.ndarray, targets: Tensor, fraction: float, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Take a share of the samples out for another split.

    With one label a sample, every class gives its share, to within one sample; with several, the draw is plain.

    Args:
        indices: the samples to divide.
        targets: of all samples, as in `Samples`.
        fraction: share of ``indices`` to take out; 0 takes none, more takes at least one a class.
        seed: of the draw.
        split: what the share is for, for the error.

    Returns:
        Those that stay and those taken out, each in ascending order.

    Raises:
        DataError: a class has a single sample, or the share leaves none.

    Source: scikit-learn's `train_test_split`.
    """
    if fraction == 0:
        return np.sort(indices), indices[:0]
    labels = targets[indices].numpy() if targets.ndim == 1 else None
    at_least = 1 if labels is None else len(np.unique(labels))
    count = max(at_least, round(fraction * len(indices)))
    try:
        kept, taken = train_test_split(indices, test_size=count, random_state=seed, stratify=labels)
    except ValueError as error:
        raise DataError(
            f"{len(indices)} samples of {at_least} classes are too few to take {count} of them as the {split} split",
            fix=f"give every class at least two samples, or set data.{split}_fraction=0",
        ) from error
    return np.sort(kept), np.sort(taken)
