"""Undecoded samples: what every dataset is turned into before anything else happens to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scirs_neural.core.errors import DataError
from scirs_neural.data.image.image_file import load_image


@runtime_checkable
class Samples(Protocol):
    """One set of samples.

    ``targets`` has shape (N,) and type int64, or (N, K) and type float32 where a sample has any number of labels.
    ``ids`` names each sample: its file, or its place in the source. ``columns`` holds what else is known of each, by
    name: who or where it is from, for splits that keep groups together and for scores by slice.
    """

    ids: Sequence[Any]
    targets: Tensor
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image | Tensor:
        """One image; raises `DataError` if it cannot be read."""


class TensorSamples:
    """Samples that are all in memory.

    Args:
        images: (N, C, H, W), uint8, or float32 on the scale 0..1.
        targets: see `Samples`.
        ids: see `Samples`; None counts from 0.
        columns: see `Samples`.
    """

    def __init__(
        self,
        images: Tensor,
        targets: Tensor,
        ids: Sequence[Any] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.images, self.targets, self.columns = images, targets, columns or {}
        self.ids: Sequence[Any] = range(len(images)) if ids is None else ids

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Tensor:
        """One image as (C, H, W)."""
        return self.images[index]

    def chosen(self, indices: Sequence[int]) -> TensorSamples:
        """Some of the samples, copied so that whole batches can be indexed at once."""
        picked = torch.as_tensor(indices, dtype=torch.int64)
        ids = [self.ids[i] for i in indices]
        return TensorSamples(self.images[picked], self.targets[picked], ids, _chosen(self.columns, indices))


class FileSamples:
    """Samples that are image files, read when they are needed."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        targets: Tensor,
        channels: int = 3,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.ids: Sequence[str] = [str(path) for path in paths]
        self.targets, self.mode, self.columns = targets, "L" if channels == 1 else "RGB", columns or {}

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> Image.Image:
        """One image, read now."""
        return load_image(self.ids[index], self.mode)


class DatasetSamples:
    """Samples of any torch dataset whose items are (image, target)."""

    def __init__(self, dataset: Any, targets: Tensor, ids: Sequence[Any] | None = None) -> None:
        self.dataset, self.targets = dataset, targets
        self.columns: Mapping[str, Sequence[str]] = {}
        self.ids: Sequence[Any] = range(len(dataset)) if ids is None else ids

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> Image.Image | Tensor:
        """One image, as the dataset gives it."""
        try:
            item = self.dataset[index][0]
        except (OSError, ValueError, SyntaxError, EOFError) as error:  # what readers raise; bugs stay what they are
            raise DataError(f"the sample cannot be read: {error}", where=str(self.ids[index])) from error
        return as_image(item)


class ChosenSamples:
    """Some of the samples of another set."""

    def __init__(self, samples: Samples, indices: Sequence[int]) -> None:
        self.samples, self.indices = samples, [int(i) for i in indices]
        self.targets = samples.targets[torch.as_tensor(self.indices, dtype=torch.int64)]
        self.ids: Sequence[Any] = [samples.ids[i] for i in self.indices]
        self.columns: Mapping[str, Sequence[str]] = _chosen(samples.columns, self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def image(self, index: int) -> Image.Image | Tensor:
        """One image of the set chosen from."""
        return self.samples.image(self.indices[index])


def choose(samples: Samples, indices: Sequence[int]) -> Samples:
    """The samples at some places, in that order."""
    chosen = [int(i) for i in indices]
    return samples.chosen(chosen) if isinstance(samples, TensorSamples) else ChosenSamples(samples, chosen)


def _chosen(columns: Mapping[str, Sequence[str]], indices: Sequence[int]) -> dict[str, list[str]]:
    return {name: [values[i] for i in indices] for name, values in columns.items()}


def as_image(item: Any) -> Image.Image | Tensor:
    """An item of a foreign dataset as an image: PIL, or a tensor of (C, H, W) in uint8 or float32 0..1.

    Raises:
        DataError: it is neither.
    """
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, np.ndarray):
        item = torch.from_numpy(np.ascontiguousarray(item))
        item = item.permute(2, 0, 1) if item.ndim == 3 and item.shape[-1] in (1, 3) else item
    if isinstance(item, Tensor):
        item = item[None] if item.ndim == 2 else item
        return item if item.dtype == torch.uint8 else item.float()
    raise DataError(f"expected an image (PIL, array or tensor), got {type(item).__name__}")


def as_targets(found: Any) -> Tensor:
    """The targets of a foreign dataset as `Samples` has them.

    Raises:
        DataError: they are no whole numbers, nor rows of numbers.
    """
    try:
        values = torch.as_tensor(np.asarray(found))
    except (TypeError, ValueError) as error:
        raise DataError(f"targets are class numbers, or rows of zeros and ones: {error}") from error
    if values.ndim == 2 and values.shape[1] > 1:
        return values.float()
    numbers = values.reshape(len(values)).long()
    if not torch.equal(numbers.to(values.dtype), values.reshape(len(values))):
        raise DataError("targets have fractions: classes are whole numbers")
    return numbers
