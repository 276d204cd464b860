"""Data that a Python user holds already: arrays, tensors, or torch datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from scirs_neural.core.errors import ConfigError, DataError, ShapeError
from scirs_neural.data.image.labels import class_names, class_targets
from scirs_neural.data.module import ImageDataModule
from scirs_neural.data.samples import DatasetSamples, Samples, TensorSamples, as_targets
from scirs_neural.data.source import DataSource
from scirs_neural.data.stream import StreamSamples


def from_arrays(
    x: Any,
    y: Any,
    *,
    val: tuple[Any, ...] | None = None,
    test: tuple[Any, ...] | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
    name: str = "arrays",
    kind: str | None = None,
    value_range: tuple[float, float] | None = None,
    **loading: Any,
) -> ImageDataModule:
    """Data from images and labels in memory.

    Args:
        x: images of 1 or 3 channels, in uint8 (0..255) or any other numbers.
        y: labels: numbers or names, or rows of zeros and ones if an image has several.
        val: (x, y) or (x, y, columns) of a validation split of your own; else a share of ``x`` is held out.
        test: the same for the test split.
        classes: names of the classes; then ``y`` holds numbers from 0. None: the different values of ``y``.
        columns: more of each image, by name, such as ``{"patient": ids}``: for ``group_by="patient"``, which keeps the
            images of one patient in one split, and for scores by slice.
        name: of the data, as it appears in run folders.
        kind: what is in the pictures, for augmentation (see `build_augment`).
        value_range: the numbers that mean black and white, if not uint8. None: 0 and 1 if all of ``x`` lies there,
            else its smallest and largest number.
        **loading: settings of `ImageDataModule`, such as ``batch_size`` or ``seed``.

    Shape: x (N, H, W), (N, C, H, W) or (N, H, W, C); y (N,) or (N, K).

    Raises:
        ShapeError: x or y has another shape.
        DataError: x has numbers that are not finite, or a label is unknown.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> scans = load_digits()
        >>> data = from_arrays(scans.images, scans.target)
        >>> data.spec.num_classes, data.spec.input_shape, data.spec.sizes["test"]
        (10, (1, 8, 8), 359)
    """
    images = _images(x)
    scale = value_range or _value_range(images)
    names = _class_names(y, classes)
    given = {"val": val, "test": test}
    splits = {
        key: _samples(_images(parts[0]), parts[1], names, classes, scale, *parts[2:])
        for key, parts in given.items()
        if parts
    }
    train = _samples(images, y, names, classes, scale, columns)
    seen = "" if images.dtype == torch.uint8 else f", {scale[0]:g} as black and {scale[1]:g} as white"
    source = DataSource(
        name,
        names,
        train,
        splits.get("val"),
        splits.get("test"),
        kind=kind,
        channels=images.shape[1],
        image_size=(images.shape[2], images.shape[3]),
        multi_label=train.targets.ndim == 2,
        description=f"arrays in memory{seen}",
    )
    return ImageDataModule(source, **loading)


def from_datasets(
    train: Any,
    val: Any = None,
    test: Any = None,
    *,
    classes: Sequence[str] | None = None,
    name: str = "datasets",
    kind: str | None = None,
    shuffle_window: int = 1024,
    stream_length: int | None = None,
    **loading: Any,
) -> ImageDataModule:
    """Data from torch datasets whose items are (image, target): with a length and an index, or iterable ones.

    Images are PIL pictures, uint8 tensors, or float tensors (on 0..1, or normalised already). Mean and deviation of
    the training images are measured, and all images are scaled to the size of the first. Targets are read from the
    dataset's ``targets`` or ``labels``, else by going through it once.

    An `IterableDataset` must give the same items each time. It is shuffled, shared among workers and ranks, and gone
    on with after a break here: it must not do so by itself (see `StreamSamples`).

    Args:
        train: the training samples.
        val: the validation samples; None takes a share of ``train``.
        test: the test samples; None takes a share of ``train``.
        classes: names of the classes; None: the dataset's own ``classes``, else the numbers of the targets.
        name: of the data, as it appears in run folders.
        kind: what is in the pictures, for augmentation (see `build_augment`).
        shuffle_window: of an iterable one, so many samples in a row are shuffled among each other.
        stream_length: of an iterable ``train``, so many samples make an epoch; None: all. An endless one needs it.
        **loading: settings of `ImageDataModule`.

    Raises:
        DataError: a dataset is empty, or a target is no class number.
        ConfigError: a window or length that is no such thing, or a length for a dataset that has its own.

    Example:
        >>> from itertools import cycle
        >>> from torch.utils.data import IterableDataset
        >>> class Endless(IterableDataset):
        ...     def __iter__(self):
        ...         return ((torch.full((1, 8, 8), digit / 9), digit) for digit in cycle(range(10)))
        >>> from_datasets(Endless(), stream_length=500).spec.sizes
        {'train': 360, 'val': 40, 'test': 100}
    """
    given = {key: dataset for key, dataset in (("train", train), ("val", val), ("test", test)) if dataset is not None}
    if shuffle_window < 1 or (stream_length is not None and stream_length < 1):
        raise ConfigError("shuffle_window and stream_length must be at least 1")
    if stream_length is not None and not isinstance(train, IterableDataset):
        raise ConfigError(
            "stream_length is for iterable datasets", fix="torch.utils.data.Subset takes a part of others"
        )
    samples: dict[str, Samples] = {}
    for key, dataset in given.items():
        length = stream_length if key == "train" else None
        samples[key] = _dataset_samples(dataset, key, shuffle_window, length)
    targets = {key: held.targets for key, held in samples.items()}
    names = tuple(classes or getattr(train, "classes", None) or ())
    if not names:
        count = (
            targets["train"].shape[1] if targets["train"].ndim == 2 else 1 + max(int(t.max()) for t in targets.values())
        )
        names = tuple(str(index) for index in range(count))
    for key, rows in targets.items():
        _check_numbers(rows, len(names), f"the {key} dataset")
    first = samples["train"].image(0)
    shape = tuple(first.shape) if isinstance(first, Tensor) else (len(first.getbands()), first.height, first.width)
    source = DataSource(
        name,
        tuple(str(each) for each in names),
        samples["train"],
        samples.get("val"),
        samples.get("test"),
        kind=kind,
        channels=1 if shape[0] == 1 else 3,
        image_size=(shape[1], shape[2]),
        multi_label=targets["train"].ndim == 2,
        description=f"a {type(train).__name__} of the user's",
        shuffle_window=shuffle_window if isinstance(train, IterableDataset) else None,
    )
    return ImageDataModule(source, **loading)


def _images(x: Any) -> Tensor:
    images = x.detach().cpu() if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x))
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[-1] in (1, 3):
        images = images.permute(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ShapeError(
            f"x has shape {tuple(x.shape) if hasattr(x, 'shape') else tuple(images.shape)}",
            fix="give (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels: x.reshape(n, height, width)",
        )
    if images.dtype != torch.uint8:
        images = images.float()
        if not images.isfinite().all():
            raise DataError("x has numbers that are not finite", fix="replace NaN and infinity before training")
    return images.contiguous()


def unit_images(x: Any, value_range: tuple[float, float] | None = None) -> tuple[Tensor, tuple[float, float]]:
    """Images as float32 on 0..1, and the numbers that meant black and white.

    Shape: x as for `from_arrays` -> (N, C, H, W).
    """
    images = _images(x)
    scale = value_range or ((0.0, 255.0) if images.dtype == torch.uint8 else _value_range(images))
    return _to_unit(images.float(), scale), scale


def _to_unit(images: Tensor, scale: tuple[float, float]) -> Tensor:
    return ((images - scale[0]) / (scale[1] - scale[0])).clamp(0.0, 1.0)


def _value_range(images: Tensor) -> tuple[float, float]:
    low, high = float(images.min()), float(images.max())
    return (0.0, 1.0) if (low >= 0.0 and high <= 1.0) or low == high else (low, high)


def _class_names(y: Any, classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is not None:
        return tuple(str(name) for name in classes)
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return tuple(str(index) for index in range(labels.shape[1]))
    return class_names(_spelt(labels))


def _samples(
    images: Tensor,
    y: Any,
    names: tuple[str, ...],
    classes: Sequence[str] | None,
    scale: tuple[float, float],
    columns: Mapping[str, Any] | None = None,
) -> TensorSamples:
    labels = np.asarray(y)
    if len(labels) != len(images) or labels.ndim not in (1, 2):
        raise ShapeError(
            f"y has shape {labels.shape} for {len(images)} images", fix="give one label, or one row of labels, an image"
        )
    if images.dtype != torch.uint8:
        images = _to_unit(images, scale)
    if labels.ndim == 2 and labels.shape[1] > 1:
        targets = torch.from_numpy(labels.astype(np.float32))
        _check_numbers(targets, len(names), "y")
    elif classes is not None and labels.dtype.kind in "iub":
        targets = torch.from_numpy(labels.reshape(-1).astype(np.int64))
        _check_numbers(targets, len(names), "y")
    else:
        spelt = _spelt(labels)
        targets = class_targets(spelt, names, [f"y[{index}]" for index in range(len(spelt))])
    return TensorSamples(images, targets, columns=_columns(columns or {}, len(images)))


def _columns(columns: Mapping[str, Any], samples: int) -> dict[str, list[str]]:
    plain = {str(name): [str(value) for value in np.asarray(values).tolist()] for name, values in columns.items()}
    for name, values in plain.items():
        if len(values) != samples:
            raise ShapeError(f"the column '{name}' has {len(values)} values for {samples} images")
    return plain


def _spelt(labels: np.ndarray) -> list[str]:
    flat = labels.reshape(-1)
    if flat.dtype.kind == "f":
        if not np.array_equal(flat, np.rint(flat)):
            raise DataError("y has fractions: classes are whole numbers or names")
        flat = flat.astype(np.int64)
    return [str(label) for label in flat.tolist()]


def _dataset_samples(dataset: Any, split: str, window: int, length: int | None) -> Samples:
    if isinstance(dataset, IterableDataset):
        return StreamSamples(dataset, window=window, length=length)
    if not hasattr(dataset, "__len__") or not len(dataset):
        raise DataError(f"the {split} dataset is empty or has no length", fix="a Dataset, or an IterableDataset")
    return DatasetSamples(dataset, _dataset_targets(dataset))


def _dataset_targets(dataset: Any) -> Tensor:
    for attribute in ("targets", "labels"):
        if getattr(dataset, attribute, None) is not None:
            return as_targets(getattr(dataset, attribute))
    if isinstance(dataset, torch.utils.data.TensorDataset):
        return as_targets(dataset.tensors[1])
    return as_targets([np.asarray(dataset[index][1]) for index in range(len(dataset))])


def _check_numbers(targets: Tensor, num_classes: int, where: str) -> None:
    if targets.ndim == 2:
        if targets.shape[1] != num_classes or not ((targets == 0) | (targets == 1)).all():
            raise DataError(f"rows of labels must be zeros and ones for {num_classes} classes", where=where)
    elif int(targets.min()) < 0 or int(targets.max()) >= num_classes:
        wrong = int(targets.max()) if int(targets.max()) >= num_classes else int(targets.min())
        raise DataError(f"label {wrong} is outside 0..{num_classes - 1}", where=where)
