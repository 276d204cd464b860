"""What people call the splits, in folders and in columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.suggestions import did_you_mean

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def splits_of(words: Sequence[str], at: Callable[[int], str]) -> np.ndarray:
    """The split of each row (N,), from what its column says; where that is empty it is "train".

    Args:
        words: one a row.
        at: what a row is called in an error.

    Raises:
        UnknownNameError: a word is no split.
    """
    known = {"": "train", **SPLIT_NAMES}
    found = {word: known.get(word.strip().lower()) for word in set(words)}
    for row, word in enumerate(words):
        if found[word] is None:
            raise UnknownNameError(
                f"unknown split '{word}'", where=at(row), suggestions=did_you_mean(word, SPLIT_NAMES),
                fix="a split is train, val or test; correct it, or give the column another name",
            )  # fmt: skip
    return np.array([found[word] for word in words])
