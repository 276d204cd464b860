"""Data that a Python user holds already: arrays, tensors, or torch datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from scirs_neural.core.errors import ConfigError, DataError, ShapeError
from scirs_neural.data.image.field import channels_first
from scirs_neural.data.image.source import image_source
from scirs_neural.data.module import DataModule
from scirs_neural.data.samples import ArraySamples, DatasetSamples, Samples, class_numbers
from scirs_neural.data.stream import StreamSamples
from scirs_neural.data.targets import class_names, class_targets

_LOOKED_AT = 256  # pictures, for their range of values


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
) -> DataModule:
    """Data from images and labels in memory.

    Args:
        x: images of 1 or 3 channels, in uint8 (0..255) or any other numbers.
        y: labels: numbers or names, or rows of zeros and ones if an image has several.
        val: (x, y) or (x, y, columns) of a validation split of your own; else a fraction of ``x`` is held out.
        test: the same for the test split.
        classes: names of the classes; then ``y`` holds numbers from 0. None: the different values of ``y``.
        columns: more of each image, by name, such as ``{"patient": ids}``: for ``group_by="patient"``, which keeps the
            images of one patient in one split, and for scores by slice.
        name: of the data, as it appears in run folders.
        kind: what is in the pictures, for augmentation (see `build_augment`).
        value_range: the numbers that mean black and white, if not uint8. None: 0 and 1 if all of ``x`` lies there,
            else its smallest and largest number.
        **loading: settings of `DataModule`, such as ``batch_size`` or ``seed``.

    Shape: x (N, H, W), (N, C, H, W) or (N, H, W, C); y (N,) or (N, K).

    Raises:
        ShapeError: x or y has another shape.
        DataError: x has numbers that are not finite, or a label is unknown.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> scans = load_digits()
        >>> data = from_arrays(scans.images, scans.target)
        >>> len(data.spec.target["classes"]), data.spec.input["size"], data.spec.sizes["test"]
        (10, [8, 8], 359)
    """
    images = _images(x)
    scale = value_range or _value_range(images)
    names = _class_names(y, classes)
    samples = {"train": _samples(images, y, names, classes, columns)}
    for split, parts in (("val", val), ("test", test)):
        if parts:
            samples[split] = _samples(_images(parts[0]), parts[1], names, classes, *parts[2:])
    seen = "" if images.dtype == torch.uint8 else f", {scale[0]:g} as black and {scale[1]:g} as white"
    source = image_source(
        name, names, samples, picture=kind, channels=images.shape[1], size=(images.shape[2], images.shape[3]),
        multi_label=samples["train"].fields["label"].ndim == 2, description=f"arrays in memory{seen}",
        value_range=(0.0, 1.0) if images.dtype == torch.uint8 else scale,
    )  # fmt: skip
    return DataModule(source, **loading)


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
) -> DataModule:
    """Data from torch datasets whose items are (image, target): with a length and an index, or iterable ones.

    Images are PIL pictures, uint8 tensors, or float tensors (on 0..1, or normalised already). Mean and deviation of
    the training images are measured, and all images are scaled to the size of the first. Targets are read from the
    dataset's ``targets`` or ``labels``, else by going through it once.

    An `IterableDataset` must give the same items each time. It is shuffled, shared among workers and ranks, and gone
    on with after a break here: it must not do so by itself (see `StreamSamples`).

    Args:
        train: the training samples.
        val: the validation samples; None takes a fraction of ``train``.
        test: the test samples; None takes a fraction of ``train``.
        classes: names of the classes; None: the dataset's own ``classes``, else the numbers of the targets.
        name: of the data, as it appears in run folders.
        kind: what is in the pictures, for augmentation (see `build_augment`).
        shuffle_window: of an iterable one, so many samples in a row are shuffled among each other.
        stream_length: of an iterable ``train``, so many samples make an epoch; None: all. An endless one needs it.
        **loading: settings of `DataModule`.

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
    targets = {key: np.asarray(held.known("label")) for key, held in samples.items()}
    names = tuple(classes or getattr(train, "classes", None) or ())
    if not names:
        count = (
            targets["train"].shape[1] if targets["train"].ndim == 2 else 1 + max(int(t.max()) for t in targets.values())
        )
        names = tuple(str(index) for index in range(count))
    for key, rows in targets.items():
        _check_numbers(rows, len(names), f"the {key} dataset")
    channels, size, value_range = _look_at(samples["train"])
    source = image_source(
        name, names, samples, picture=kind, channels=channels, size=size, value_range=value_range,
        multi_label=targets["train"].ndim == 2, description=f"a {type(train).__name__} of the user's",
        shuffle_window=shuffle_window if isinstance(train, IterableDataset) else None,
    )  # fmt: skip
    return DataModule(source, **loading)


def _look_at(samples: Samples) -> tuple[int, tuple[int, int], tuple[float, float] | None]:
    """Channels, size and range of values of a dataset's pictures, from the first ones."""
    first = samples.raw(0)["image"]
    if hasattr(first, "getbands"):
        return (1 if len(first.getbands()) == 1 else 3), (first.height, first.width), (0.0, 1.0)
    array = channels_first(first)
    if array is None:
        shape = getattr(first, "shape", None)
        of_shape = "" if shape is None else f" of shape {tuple(shape)}"
        raise DataError(f"expected an image (PIL, array or tensor), got {type(first).__name__}{of_shape}")
    is_unit = array.dtype == np.uint8
    if not is_unit:
        is_unit = all(_is_unit(samples, index) for index in range(min(len(samples), _LOOKED_AT)))
    return len(array), (array.shape[1], array.shape[2]), (0.0, 1.0) if is_unit else None


def _is_unit(samples: Samples, index: int) -> bool:
    try:
        values = np.asarray(samples.raw(index)["image"])
    except DataError:
        return True  # said when it is fed
    return bool(values.min() >= 0 and values.max() <= 1)


def _images(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        try:
            x = np.ascontiguousarray(x)
        except ValueError as error:
            raise ShapeError("x holds pictures of different shapes", fix="give one array (N, H, W, C)") from error
        if x.dtype.kind not in "biuf":
            raise DataError(f"x is an array of {x.dtype}, and pictures are numbers", fix="give one array (N, H, W, C)")
    images = x.detach().cpu() if isinstance(x, Tensor) else torch.from_numpy(x)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[-1] in (1, 3):
        images = images.permute(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ShapeError(
            f"x has shape {tuple(x.shape) if hasattr(x, 'shape') else tuple(images.shape)}",
            fix="give (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels: x.reshape(n, height, width); "
            "rows of a table are for sn.data.from_table",
        )
    if images.dtype != torch.uint8:
        images = images.float()
        if not images.isfinite().all():
            raise DataError("x has numbers that are not finite", fix="replace NaN and infinity before training")
    return images.contiguous()


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
    columns: Mapping[str, Any] | None = None,
) -> ArraySamples:
    labels = np.asarray(y)
    if len(labels) != len(images) or labels.ndim not in (1, 2):
        raise ShapeError(
            f"y has shape {labels.shape} for {len(images)} images", fix="give one label, or one row of labels, an image"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        targets = labels.astype(np.float32)
        _check_numbers(targets, len(names), "y")
    elif classes is not None and labels.dtype.kind in "iub":
        targets = labels.reshape(-1).astype(np.int64)
        _check_numbers(targets, len(names), "y")
    else:
        spelt = _spelt(labels)
        targets = class_targets(spelt, names, [f"y[{index}]" for index in range(len(spelt))])
    return ArraySamples({"image": images, "label": targets}, columns=_columns(columns or {}, len(images)))


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
    return DatasetSamples(dataset, "image", {"label": _dataset_targets(dataset)})


def _dataset_targets(dataset: Any) -> np.ndarray:
    for attribute in ("targets", "labels"):
        if getattr(dataset, attribute, None) is not None:
            return class_numbers(getattr(dataset, attribute))
    if isinstance(dataset, torch.utils.data.TensorDataset):
        return class_numbers(dataset.tensors[1])
    return class_numbers([np.asarray(dataset[index][1]) for index in range(len(dataset))])


def _check_numbers(targets: np.ndarray, num_classes: int, where: str) -> None:
    if targets.ndim == 2:
        if targets.shape[1] != num_classes or not ((targets == 0) | (targets == 1)).all():
            raise DataError(f"rows of labels must be zeros and ones for {num_classes} classes", where=where)
    elif int(targets.min()) < 0 or int(targets.max()) >= num_classes:
        wrong = int(targets.max()) if int(targets.max()) >= num_classes else int(targets.min())
        raise DataError(f"label {wrong} is outside 0..{num_classes - 1}", where=where)
