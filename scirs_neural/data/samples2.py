"""Raw samples: what every dataset is turned into before anything else happens to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Samples(Protocol):
    """One set of samples.

    ``ids`` names each sample: its file, or its place in the source. ``columns`` holds what else is known of each, by
    name: who or where it is from, for splits that keep groups together and for scores by slice.
    """

    ids: Sequence[Any]
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int: ...

    def raw(self, index: int) -> Mapping[str, Any]:
        """The inputs and targets of one sample, by field, as `Field.encode` takes them.

        Raises:
            DataError: it cannot be read.
        """

    def stacked(self, indices: Sequence[int]) -> dict[str, Any] | None:
        """The encoded fields of many samples at once, by name, where they are in memory; else None."""

    def known(self, name: str) -> np.ndarray | None:
        """The encoded values (N, …) of a target (or "weight") of all samples; None where only reading would tell."""

    def chosen(self, indices: Sequence[int]) -> Samples:
        """The samples at some places, in that order."""
