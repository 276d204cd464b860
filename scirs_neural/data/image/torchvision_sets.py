"""Torchvision's classification datasets by name, from a local folder. Nothing is ever downloaded.

Torchvision's own classes find, verify and index the files (those of CIFAR are pickles, which torchvision compares with
known MD5 sums before it opens them). Sets of small pictures are taken into memory whole; files are opened by
`load_image`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from scirs_neural.core.errors import DataError, OfflineError
from scirs_neural.core.paths import cache_dir
from scirs_neural.data.image.source import image_source
from scirs_neural.data.image.spec import IMAGENET_MEAN, IMAGENET_STD
from scirs_neural.data.image.torchvision_table import SETS, TorchvisionSet
from scirs_neural.data.samples import ArraySamples, DatasetSamples, Samples, file_samples
from scirs_neural.data.source import DataSource


def __getattr__(name: str) -> Callable[..., DataSource]:
    if name in SETS:
        return partial(_build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _build(name: str, root: str | Path | None = None) -> DataSource:
    entry = SETS[name]
    folder = cache_dir() / "datasets" if root is None else Path(root).expanduser()
    if not folder.is_dir():
        raise _absent(name, entry, folder, entry.splits["train"], "no such folder")
    found = {split: _open(name, entry, folder, arguments) for split, arguments in entry.splits.items()}
    labels = {split: _labels(dataset) for split, dataset in found.items()}
    classes, numbers = _classes(entry, found["train"], labels["train"])
    samples = {
        split: _samples(found[split], np.array([numbers[i] for i in labels[split]], dtype=np.int64), entry)
        for split in found
    }
    if not isinstance(samples["train"], ArraySamples) and entry.channels == 3:
        scale: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    else:
        scale = {}  # measured
    return image_source(
        name, classes, samples, picture=entry.kind, channels=entry.channels, size=entry.size,
        crop=entry.kind == "photo", augment="light" if entry.kind == "glyph" else "standard",
        description=f"torchvision.datasets.{entry.cls} from {folder}", **scale,
    )  # fmt: skip


def _open(name: str, entry: TorchvisionSet, folder: Path, arguments: Mapping[str, Any]) -> Any:
    cls = getattr(datasets, entry.cls)
    given = dict(arguments)
    if "download" in inspect.signature(cls.__init__).parameters:
        given["download"] = False  # the default of one of them is True
    try:
        return cls(str(folder), **given)
    except (RuntimeError, OSError, ValueError, IndexError) as error:
        raise _absent(name, entry, folder, arguments, error) from error


def _absent(
    name: str, entry: TorchvisionSet, folder: Path, arguments: Mapping[str, Any], reason: object
) -> OfflineError:
    said = ", ".join(f"{key}={value!r}" for key, value in {**arguments, "download": True}.items())
    get = f"where there is a network, run torchvision.datasets.{entry.cls}('data', {said})"
    if not entry.downloads:
        get = "get it from its makers, for torchvision may not fetch it"
    why = str(reason).partition("\n")[0].partition(" You can use")[0]
    return OfflineError(
        f"data '{name}' is not there, or damaged: it needs {entry.expects}",
        where=f"{folder} ({why.rstrip('.')})",
        fix=f"{get}; bring the folder here and say data.root=<folder>",
    )


def _labels(dataset: Any) -> list[int]:
    """The labels of all samples, wherever the class keeps them."""
    for attribute in ("targets", "labels", "_labels", "y"):
        if getattr(dataset, attribute, None) is not None:
            values = np.asarray(getattr(dataset, attribute))
            return [int(label) for label in (values[:, 0] if values.ndim == 2 else values)]
    return [int(label) for _, label in dataset._samples]


def _classes(entry: TorchvisionSet, dataset: Any, labels: list[int]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Class names, and the place of each label among them."""
    names = entry.classes or getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    if names is None:  # labels that are quantities: numbered in order
        found = sorted(set(labels))
        return tuple(str(label) for label in found), {label: place for place, label in enumerate(found)}
    if isinstance(names, int):
        names = [str(index) for index in range(names)]
    spelt = tuple(name if isinstance(name, str) else ", ".join(name) for name in names)
    return spelt, {index: index for index in range(len(spelt))}


def _samples(dataset: Any, targets: np.ndarray, entry: TorchvisionSet) -> Samples:
    held = getattr(dataset, "data", None)
    if isinstance(held, np.ndarray | Tensor):
        pixels = torch.as_tensor(held)
        if pixels.ndim == 3:
            pixels = pixels[:, None]
        elif pixels.shape[-1] == entry.channels:
            pixels = pixels.permute(0, 3, 1, 2)
        if pixels.dtype != torch.uint8:
            raise DataError(f"expected pixels of 8 bits, got {pixels.dtype}")
        return ArraySamples({"image": pixels.contiguous(), "label": targets})
    for attribute in ("_image_files", "_images"):
        if getattr(dataset, attribute, None):
            return file_samples("image", getattr(dataset, attribute), label=targets)
    for attribute in ("samples", "_samples", "imgs"):
        rows = getattr(dataset, attribute, None)
        if rows and isinstance(rows[0][0], str | Path):
            return file_samples("image", [path for path, _ in rows], label=targets)
    return DatasetSamples(dataset, "image", {"label": targets})
