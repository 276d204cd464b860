"""From labels as people write them to targets as losses want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels in order: as numbers if all are whole numbers, else by spelling.

    Example:
        >>> class_names(["10", "9", "9"]), class_names(["b", "a"])
        (('9', '10'), ('a', 'b'))
    """
    found = set(labels)
    by_number = all(label.removeprefix("-").isdecimal() for label in found)
    return tuple(sorted(found, key=int) if by_number else sorted(found))


def class_targets(labels: Sequence[str], classes: Sequence[str], where: Sequence[str]) -> Tensor:
    """The place of each label among the classes.

    Args:
        labels: one a sample.
        classes: see `class_names`.
        where: where each label stands, for the error.

    Shape: (N,) int64.

    Raises:
        DataError: a label is no class.
    """
    place = {name: index for index, name in enumerate(classes)}
    for label, spot in zip(labels, where, strict=True):
        if label not in place:
            raise _unknown(label, classes, spot)
    return torch.tensor([place[label] for label in labels], dtype=torch.int64)


def multi_label_targets(labels: Sequence[Sequence[str]], classes: Sequence[str], where: Sequence[str]) -> Tensor:
    """A row of zeros and ones for each sample.

    Shape: (N, K) float32.

    Raises:
        DataError: a label is no class.
    """
    place = {name: index for index, name in enumerate(classes)}
    rows = torch.zeros(len(labels), len(classes))
    for row, (names, spot) in enumerate(zip(labels, where, strict=True)):
        for name in names:
            if name not in place:
                raise _unknown(name, classes, spot)
            rows[row, place[name]] = 1.0
    return rows


def _unknown(label: str, classes: Sequence[str], where: str) -> DataError:
    return DataError(
        f"label '{label}' is not among the {len(classes)} classes of the training samples",
        where=where,
        suggestions=did_you_mean(label, classes),
    )
