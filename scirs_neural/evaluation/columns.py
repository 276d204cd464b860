"""Columns of predictions: one entry a sample, in arrays that can lie in memory or on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

import numpy as np

from scirs_neural.core.errors import DataError

BLOCK_BYTES = 32 * 2**20  # of a column that are looked at, or copied, at a time


@dataclass(frozen=True, eq=False)
class Ragged:
    """N arrays of different lengths, as Arrow's list arrays have them.

    Args:
        values: of all, one after the other (sum of lengths, …).
        offsets: where each begins, and the end of the last (N + 1,).

    Raises:
        DataError: the offsets do not cut up the values.

    Example:
        >>> held = Ragged.of([np.array([1, 2]), np.array([], dtype=int), np.array([3])])
        >>> len(held), held[0].tolist(), held[1].tolist(), held.take([2, 0]).values.tolist()
        (3, [1, 2], [], [3, 1, 2])
    """

    values: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        offsets, count = self.offsets, len(self.values)
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or not len(offsets):
            raise DataError("the offsets of a ragged column are not whole numbers")
        if offsets[0] != 0 or offsets[-1] != count or (offsets[1:] < offsets[:-1]).any():
            raise DataError(f"the offsets of a ragged column do not cut up its {count} values")

    @classmethod
    def of(cls, arrays: Sequence[Any]) -> Ragged:
        """Arrays that lie apart, as one column."""
        parts = [np.asarray(array) for array in arrays]
        values = np.concatenate(parts) if parts else np.zeros(0)
        return cls(values, np.cumsum([0, *map(len, parts)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        found: np.ndarray = self.values[self.offsets[index] : self.offsets[index + 1]]
        return found

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def take(self, indices: Sequence[int] | np.ndarray) -> Ragged:
        """The entries at some places."""
        index = np.asarray(indices, dtype=np.int64)
        starts, lengths = self.offsets[index], self.offsets[index + 1] - self.offsets[index]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
        return Ragged(self.values[places], np.concatenate([[0], ends]).astype(np.int64))


class Texts(Sequence[str]):
    """N texts as UTF-8 bytes with offsets: as long as they are, and without pickles.

    Example:
        >>> held = Texts.of(["кот", ""])
        >>> len(held), held[0], held == ["кот", ""], held.take([1, 0])[1]
        (2, 'кот', True, 'кот')
    """

    def __init__(self, content: Ragged) -> None:
        if content.values.dtype != np.uint8 or content.values.ndim != 1:
            raise DataError("a column of texts does not hold bytes")
        self.content = content

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Texts in a list, as one column."""
        parts = [text.encode("utf-8", "surrogateescape") for text in texts]  # file names can be any bytes
        values = np.frombuffer(b"".join(parts), dtype=np.uint8)
        return cls(Ragged(values, np.cumsum([0, *map(len, parts)], dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.content)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return bytes(self.content[index]).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        whole, offsets = self.content.values.tobytes(), self.content.offsets.tolist()
        return (whole[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise(offsets))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"Texts.of({list(self[:3])!r}{', …' if len(self) > 3 else ''})"

    def take(self, indices: Sequence[int] | np.ndarray) -> Texts:
        """The texts at some places."""
        return Texts(self.content.take(indices))


Column = np.ndarray | Ragged | Texts
"""An array (N, …), N arrays of different lengths, or N texts."""


def as_column(values: Any) -> Column:
    """What a task gives for a column: an array, a list of N arrays, or a list of N texts.

    Raises:
        DataError: it is a list of something else, or an array of objects.
    """
    if isinstance(values, Ragged | Texts):
        return values
    if isinstance(values, list | tuple) and len(values):
        if isinstance(values[0], str):
            return Texts.of(values)
        if isinstance(values[0], np.ndarray) and values[0].ndim:
            return Ragged.of(values)
    array = np.asarray(values)
    if array.dtype.kind in "US":
        return Texts.of(array.tolist())
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise DataError(
            f"a column holds {array.dtype} of shape {array.shape}: it must be numbers or texts, one a sample"
        )
    return array


def take(column: Column, indices: Sequence[int] | np.ndarray) -> Column:
    """The entries at some places."""
    if isinstance(column, Ragged | Texts):
        return column.take(indices)
    found: np.ndarray = column[np.asarray(indices, dtype=np.int64)]
    return found


def join(columns: Sequence[Column]) -> Column:
    """Columns of one kind, one after the other."""
    first = columns[0]
    if isinstance(first, Texts):
        return Texts(_join_ragged([column.content for column in columns if isinstance(column, Texts)]))
    if isinstance(first, Ragged):
        return _join_ragged([column for column in columns if isinstance(column, Ragged)])
    return np.concatenate([np.asarray(column) for column in columns])


def blocks(column: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of an array in blocks of bounded size, which are read from the disk one after the other; at least one.

    Example:
        >>> [len(block) for block in blocks(np.zeros((10, 2**21), dtype=np.float32))]
        [4, 4, 2]
    """
    row = max(1, column.itemsize * int(np.prod(column.shape[1:], dtype=np.int64)))
    step = max(1, BLOCK_BYTES // row)
    for start in range(0, max(1, len(column)), step):
        yield column[start : start + step]


def _join_ragged(columns: Sequence[Ragged]) -> Ragged:
    lengths = np.concatenate([np.diff(column.offsets) for column in columns])
    values = np.concatenate([column.values for column in columns])
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
