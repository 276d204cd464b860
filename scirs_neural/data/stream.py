"""Samples that come in one order only: torch's `IterableDataset`, as a set that can be split, shuffled and resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from scirs_neural.core.errors import DataError, StorageError
from scirs_neural.data.samples import as_image, as_targets

WINDOWS_HELD = 4  # a batch reaches into two windows, and those are wider where a split was taken out


class StreamSamples:
    """Samples of a stream that gives the same items each time it is gone through, such as the files of an archive.

    One is found by reading on until it comes; the last few windows of items stay in memory, as they were given. So
    what is asked for nearly in order, as an order shuffled within windows is, costs one pass. Each process that
    reads goes through the whole stream, and works on its own share.

    Args:
        dataset: its items are (image, target).
        window: how many samples are shuffled among each other.
        length: samples that count, from the first; None counts all of them, which an endless stream does not survive.

    Raises:
        DataError: the stream is empty or shorter than ``length``.
    """

    def __init__(self, dataset: IterableDataset[Any], *, window: int, length: int | None = None) -> None:
        self.dataset, self.window = dataset, window
        found = [np.asarray(item[1]) for item in islice(dataset, length)]
        if len(found) < (length or 1):
            raise DataError(f"the stream ended after {len(found)} samples")
        self.targets = as_targets(found)
        self.ids: Sequence[Any] = range(len(found))
        self.columns: Mapping[str, Sequence[str]] = {}
        self._begin()

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_items": None, "_process": None, "_held": {}}

    def image(self, index: int) -> Image.Image | Tensor:
        """One image: of those in memory, or read now.

        Raises:
            DataError: the stream has changed since it was counted.
            StorageError: it cannot be read.
        """
        if self._process != os.getpid() or index < self._next - len(self._held):
            self._begin()  # in a loader process too: an open file that two processes read is read by neither
        while self._next <= index:
            self._read()
        return as_image(self._held[index])

    def _begin(self) -> None:
        self._process: int | None = os.getpid()
        self._items: Iterator[Any] = iter(self.dataset)
        self._next = 0
        self._held: dict[int, Any] = {}

    def _read(self) -> None:
        try:
            image, target = next(self._items)
        except StopIteration:
            self._changed(f"ended after {self._next} samples of {len(self)}")
        except (OSError, ValueError, EOFError) as error:  # a stream does not go on after an error: nothing to skip
            raise StorageError(f"the stream cannot be read at sample {self._next}: {error}") from error
        if not np.array_equal(np.asarray(target).reshape(-1), self.targets[self._next].numpy().reshape(-1)):
            self._changed(f"gave another target for sample {self._next}")
        self._held[self._next] = image
        self._next += 1
        self._held.pop(self._next - 1 - WINDOWS_HELD * self.window, None)

    def _changed(self, how: str) -> None:
        self._process = None
        raise StorageError(
            f"the stream {how}, unlike the first time it was gone through",
            fix="give the same items each time, in every process: shuffling and sharing among workers are done here",
        )
