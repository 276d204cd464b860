"""Raw samples: what every dataset is turned into before anything else happens to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from scirs_neural.core.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.data.spec import DataSpec


@runtime_checkable
class Samples(Protocol):
    """One set of samples.

    ``ids`` names each sample: its file, or its place in the source. ``columns`` holds what else is known of each, by
    name: who or where it is from, for splits that keep groups together and for scores by slice.
    """

    ids: Sequence[Any]

    def __len__(self) -> int: ...

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """What else is known of each sample."""

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


@runtime_checkable
class Describable(Protocol):
    """Samples whose encoded values depend on the description, such as places in a list of categories."""

    def described_by(self, spec: DataSpec) -> Samples:
        """The same samples, encoded as a description of the data has them."""


class ArraySamples:
    """Samples that are all in memory, encoded.

    Args:
        fields: name to values (N, …), a tensor or an array: images (N, C, H, W) in uint8 or float32, classes int64,
            numbers float64.
        ids: one a sample; None counts from 0.
        columns: see `Samples`.

    Example:
        >>> samples = ArraySamples({"x": np.arange(6).reshape(3, 2), "label": np.array([0, 1, 0])})
        >>> len(samples), samples.known("label").tolist(), samples.chosen([2]).raw(0)["x"].tolist()
        (3, [0, 1, 0], [4, 5])
    """

    def __init__(
        self,
        fields: Mapping[str, Tensor | np.ndarray],
        ids: Sequence[Any] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.fields, self.columns = dict(fields), columns or {}
        self._length = len(next(iter(self.fields.values())))
        self.ids: Sequence[Any] = range(self._length) if ids is None else ids

    def __len__(self) -> int:
        return self._length

    def raw(self, index: int) -> Mapping[str, Any]:
        """One sample's values."""
        return {name: values[index] for name, values in self.fields.items()}

    def stacked(self, indices: Sequence[int]) -> dict[str, Any]:
        """The values of many samples."""
        import torch

        places = torch.as_tensor(indices, dtype=torch.int64)
        return {n: v[places] if isinstance(v, torch.Tensor) else v[places.numpy()] for n, v in self.fields.items()}

    def known(self, name: str) -> np.ndarray | None:
        """All values of a field."""
        values = self.fields.get(name)
        return None if values is None else np.asarray(values)

    def chosen(self, indices: Sequence[int]) -> ArraySamples:
        """Some of the samples, copied so that whole batches can be indexed at once."""
        ids = [self.ids[i] for i in indices]
        return ArraySamples(self.stacked(indices), ids, chosen_columns(self.columns, indices))


class ReadSamples:
    """Samples of which one input is read when it is needed, and the rest is in memory.

    Args:
        name: of the input that is read.
        values: of it, one a sample: paths, or anything else that the field's `encode` takes.
        fields: name to encoded values (N, …) of the others, targets above all.
        ids: one a sample; None: the values as texts.
        columns: see `Samples`.
    """

    def __init__(
        self,
        name: str,
        values: Sequence[Any],
        fields: Mapping[str, np.ndarray],
        ids: Sequence[Any] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name, self.values, self.fields, self.columns = name, values, dict(fields), columns or {}
        self.ids: Sequence[Any] = [str(value) for value in values] if ids is None else ids

    def __len__(self) -> int:
        return len(self.ids)

    def raw(self, index: int) -> Mapping[str, Any]:
        """One sample: what is to be read, and what is known."""
        return {self.name: self._read(index), **{name: values[index] for name, values in self.fields.items()}}

    def stacked(self, indices: Sequence[int]) -> None:
        """Nothing: they are read one by one."""

    def known(self, name: str) -> np.ndarray | None:
        """All values of a field that is in memory."""
        return self.fields.get(name)

    def chosen(self, indices: Sequence[int]) -> ChosenSamples:
        """Some of the samples."""
        return ChosenSamples(self, indices)

    def _read(self, index: int) -> Any:
        return self.values[index]


def file_samples(
    name: str, paths: Sequence[str | Path], columns: Mapping[str, Sequence[str]] | None = None, **targets: np.ndarray
) -> ReadSamples:
    """Samples whose input is a file each; the file's path names the sample."""
    return ReadSamples(name, [str(path) for path in paths], targets, columns=columns)


class DatasetSamples(ReadSamples):
    """Samples of any torch dataset whose items are (input, target).

    Args:
        dataset: with a length and an index.
        input_name: field of an item's first part.
        targets: field to encoded values (N, …).
    """

    def __init__(self, dataset: Any, input_name: str, targets: Mapping[str, np.ndarray]) -> None:
        super().__init__(input_name, dataset, targets, range(len(dataset)))

    def _read(self, index: int) -> Any:
        try:
            return self.values[index][0]
        except (OSError, ValueError, SyntaxError, EOFError) as error:  # what readers raise; bugs stay what they are
            raise DataError(f"the sample cannot be read: {error}", where=str(self.ids[index])) from error


class ChosenSamples:
    """Some of the samples of another set."""

    def __init__(self, samples: Samples, indices: Sequence[int]) -> None:
        self.samples, self.indices = samples, [int(i) for i in indices]
        self.ids: Sequence[Any] = [samples.ids[i] for i in self.indices]
        self.columns: Mapping[str, Sequence[str]] = chosen_columns(samples.columns, self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def raw(self, index: int) -> Mapping[str, Any]:
        """One sample of the set chosen from."""
        return self.samples.raw(self.indices[index])

    def stacked(self, indices: Sequence[int]) -> dict[str, Any] | None:
        """Many samples of the set chosen from."""
        return self.samples.stacked([self.indices[i] for i in indices])

    def known(self, name: str) -> np.ndarray | None:
        """The values of a field, of the samples chosen."""
        values = self.samples.known(name)
        return None if values is None else values[self.indices]

    def chosen(self, indices: Sequence[int]) -> ChosenSamples:
        """Some of them."""
        return ChosenSamples(self.samples, [self.indices[i] for i in indices])


def chosen_columns(columns: Mapping[str, Sequence[str]], indices: Sequence[int]) -> dict[str, list[str]]:
    """The values at some places of every column."""
    return {name: [values[i] for i in indices] for name, values in columns.items()}


def evenly_spaced(count: int, most: int) -> list[int]:
    """Places among so many samples, at most so many of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()


def class_numbers(values: Any) -> np.ndarray:
    """The targets of a foreign dataset: class numbers (N,) int64, or rows of labels (N, K) float32.

    Raises:
        DataError: they are no whole numbers, nor rows of numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"of type {array.dtype}")
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"targets are class numbers, or rows of zeros and ones: {error}") from error
    if array.ndim == 2 and array.shape[1] > 1:
        return array.astype(np.float32)
    flat = array.reshape(len(array))
    numbers = flat.astype(np.int64)
    if not np.array_equal(numbers, flat):
        raise DataError("targets have fractions: classes are whole numbers")
    return numbers
