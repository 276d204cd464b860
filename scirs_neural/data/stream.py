"""Samples that come in one order only: torch's `IterableDataset`, as a set that can be split, shuffled and resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from scirs_neural.core.errors import DataError, ScirsError, StorageError
from scirs_neural.data.samples import ReadSamples, class_numbers

WINDOWS_HELD = 4  # a batch reaches into two windows, and those are wider where a split was taken out


class StreamSamples(ReadSamples):
    """Samples of a stream that gives the same items each time it is gone through, such as the files of an archive.

    One is found by reading on until it comes; the last few windows of items stay in memory, as they were given. So
    what is asked for nearly in order, as an order shuffled within windows is, costs one pass; where more turns out to
    be needed, more is held. Each process that reads goes through the whole stream, and works on its own part.

    Args:
        dataset: its items are (image, target).
        window: how many samples are shuffled among each other.
        length: samples that count, from the first; None counts all of them, which an endless stream does not survive.

    Raises:
        DataError: the stream is empty or shorter than ``length``, or an item is not (image, class number).
        StorageError: it cannot be read.
    """

    def __init__(self, dataset: IterableDataset[Any], *, window: int, length: int | None = None) -> None:
        self.dataset, self._room = dataset, WINDOWS_HELD * window
        self._begin()
        found = [np.asarray(target) for _, target in islice(self._items, length)]
        if len(found) < (length or 1):
            raise DataError(f"the stream ended after {len(found)} samples")
        super().__init__("image", (), {"label": class_numbers(found)}, range(len(found)))
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_items": None, "_process": None, "_held": {}}

    def _read(self, index: int) -> Any:
        """The input of one sample: of those in memory, or read now.

        Raises:
            StorageError: the stream cannot be read, or is not what it was when it was counted.
        """
        if self._process != os.getpid():  # an open file that two processes read is read by neither
            self._begin()
        elif index < self._next and index not in self._held:
            if index >= self._room:  # not the beginning of another pass
                self._room *= 2
            self._begin()
        while self._next <= index:
            self._read_on()
        return self._held[index]

    def _begin(self) -> None:
        self._process: int | None = os.getpid()
        self._items = _items(self.dataset)
        self._next = 0
        self._held: dict[int, Any] = {}

    def _read_on(self) -> None:
        try:
            image, target = next(self._items)
        except StopIteration:
            raise self._changed(f"ended after {self._next} samples of {len(self)}") from None
        except StorageError:
            self._process = None  # it does not go on after an error
            raise
        if not np.array_equal(np.asarray(target).reshape(-1), np.asarray(self.fields["label"][self._next]).reshape(-1)):
            raise self._changed(f"gave another target for sample {self._next}")
        self._held[self._next] = image
        self._held.pop(self._next - self._room, None)
        self._next += 1

    def _changed(self, how: str) -> StorageError:
        """No `DataError`, which would be skipped like a picture that cannot be read."""
        self._process = None
        return StorageError(
            f"the stream {how}, unlike the first time it was gone through",
            fix="give the same items each time, in every process: shuffling and sharing among workers are done here",
        )


def _items(dataset: IterableDataset[Any]) -> Iterator[tuple[Any, Any]]:
    """The items of a stream, with what can go wrong in its reader as errors of the user's."""
    place = -1
    try:
        for place, item in enumerate(dataset):
            if not isinstance(item, tuple | list) or len(item) != 2:
                what = f"sample {place} of the stream is a {type(item).__name__}, not (image, target)"
                raise DataError(what, fix="let it yield pairs")
            yield item[0], item[1]
    except ScirsError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(f"the stream cannot be read at sample {place + 1}: {error}") from error
