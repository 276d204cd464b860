"""Torchvision's classification datasets by name, from a local folder. Nothing is ever downloaded.

Torchvision's own classes find, verify and index the files (those of CIFAR are pickles, which torchvision compares with
known MD5 sums before it opens them). Sets of small pictures are taken into memory whole; files are opened by
`load_image`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from scirs_neural.data.samples import ArraySamples, DatasetSamples, Samples, file_samples
from scirs_neural.data.source import DataSource

_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_ALL_THREE = {split: {"split": split} for split in ("train", "val", "test")}
_NAMED_TWO = {split: {"split": split} for split in ("train", "test")}
_TRAIN_VAL = {split: {"split": split} for split in ("train", "val")}


@dataclass(frozen=True)
class TorchvisionSet:
    """What torchvision does not say of one of its datasets.

    Args:
        cls: the class's name in torchvision.datasets.
        expects: what must lie in the root folder.
        splits: the class's arguments for each split that it has.
        kind: what the pictures are, see `augment.KINDS`.
        size: side of the model's input in px.
        channels: 1 or 3.
        classes: class names, where the class has none; a number stands for "0", "1", ….
        downloads: whether torchvision could fetch it, where there is a network.
    """

    cls: str
    expects: str
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"train": {}})
    kind: str = "photo"
    size: int = 224
    channels: int = 3
    classes: int | tuple[str, ...] | None = None
    downloads: bool = True


def _raw(folder: str) -> str:
    return f"{folder}/raw/train-images-idx3-ubyte, …-labels-idx1-ubyte, t10k-… (unpacked)"


_SETS = {
    "caltech101": TorchvisionSet("Caltech101", "caltech101/101_ObjectCategories/, caltech101/Annotations/"),
    "caltech256": TorchvisionSet("Caltech256", "caltech256/256_ObjectCategories/"),
    "cifar10": TorchvisionSet("CIFAR10", "cifar-10-batches-py/", _TRAIN_TEST, "thumbnail", 32),
    "cifar100": TorchvisionSet("CIFAR100", "cifar-100-python/", _TRAIN_TEST, "thumbnail", 32),
    "clevr_count": TorchvisionSet("CLEVRClassification", "clevr/CLEVR_v1.0/", _TRAIN_VAL),
    "country211": TorchvisionSet(
        "Country211",
        "country211/",
        {s: {"split": t} for s, t in (("train", "train"), ("val", "valid"), ("test", "test"))},
    ),
    "dtd": TorchvisionSet("DTD", "dtd/dtd/", _ALL_THREE),
    "emnist_balanced": TorchvisionSet(
        "EMNIST",
        "EMNIST/raw/emnist-balanced-train-images-idx3-ubyte and its three sisters (unpacked)",
        {"train": {"split": "balanced", "train": True}, "test": {"split": "balanced", "train": False}},
        "glyph",
        28,
        1,
    ),
    "eurosat": TorchvisionSet("EuroSAT", "eurosat/2750/", kind="thumbnail", size=64),
    "fashion_mnist": TorchvisionSet("FashionMNIST", _raw("FashionMNIST"), _TRAIN_TEST, "glyph", 28, 1),
    "fer2013": TorchvisionSet(
        "FER2013",
        "fer2013/icml_face_data.csv, or fer2013/fer2013.csv",
        {"train": {"split": "train"}},
        "thumbnail",
        48,
        1,
        ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
        downloads=False,
    ),
    "fgvc_aircraft": TorchvisionSet("FGVCAircraft", "fgvc-aircraft-2013b/", _ALL_THREE),
    "flowers102": TorchvisionSet("Flowers102", "flowers-102/jpg/, imagelabels.mat, setid.mat", _ALL_THREE, classes=102),
    "food101": TorchvisionSet("Food101", "food-101/images/, food-101/meta/", _NAMED_TWO),
    "gtsrb": TorchvisionSet("GTSRB", "gtsrb/GTSRB/, gtsrb/GT-final_test.csv", _NAMED_TWO, "sign", 48, classes=43),
    "imagenet": TorchvisionSet(
        "ImageNet",
        "ILSVRC2012_devkit_t12.tar.gz, and ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or train/ and val/",
        _TRAIN_VAL,
        downloads=False,
    ),
    "imagenette": TorchvisionSet("Imagenette", "imagenette2/", _TRAIN_VAL),
    "kmnist": TorchvisionSet("KMNIST", _raw("KMNIST"), _TRAIN_TEST, "glyph", 28, 1),
    "mnist": TorchvisionSet("MNIST", _raw("MNIST"), _TRAIN_TEST, "glyph", 28, 1, 10),
    "oxford_iiit_pet": TorchvisionSet(
        "OxfordIIITPet",
        "oxford-iiit-pet/images/, oxford-iiit-pet/annotations/",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
    ),
    "places365": TorchvisionSet(
        "Places365",
        "places365_standard/data_256_standard/, val_256/, and the file lists",
        {"train": {"split": "train-standard", "small": True}, "val": {"split": "val", "small": True}},
    ),
    "qmnist": TorchvisionSet(
        "QMNIST",
        "QMNIST/raw/qmnist-train-images-idx3-ubyte and its sisters (unpacked)",
        _TRAIN_TEST,
        "glyph",
        28,
        1,
        10,
    ),
    "rendered_sst2": TorchvisionSet("RenderedSST2", "rendered-sst2/", _ALL_THREE, kind="sign"),
    "semeion": TorchvisionSet("SEMEION", "semeion.data", kind="glyph", size=16, channels=1, classes=10),
    "stanford_cars": TorchvisionSet("StanfordCars", "stanford_cars/", _NAMED_TWO, downloads=False),
    "stl10": TorchvisionSet("STL10", "stl10_binary/", _NAMED_TWO, "thumbnail", 96),
    "sun397": TorchvisionSet("SUN397", "SUN397/"),
    "svhn": TorchvisionSet("SVHN", "train_32x32.mat, test_32x32.mat", _NAMED_TWO, "sign", 32, classes=10),
    "usps": TorchvisionSet("USPS", "usps.bz2, usps.t.bz2", _TRAIN_TEST, "glyph", 16, 1, 10),
}


def __getattr__(name: str) -> Callable[..., DataSource]:
    if name in _SETS:
        return partial(_build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _build(name: str, root: str | Path | None = None) -> DataSource:
    entry = _SETS[name]
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
    in_memory = isinstance(samples["train"], ArraySamples)
    return image_source(
        name,
        classes,
        samples["train"],
        samples.get("val"),
        samples.get("test"),
        picture=entry.kind,
        channels=entry.channels,
        size=entry.size,
        crop=entry.kind == "photo",
        mean=None if in_memory or entry.channels == 1 else IMAGENET_MEAN,
        std=None if in_memory or entry.channels == 1 else IMAGENET_STD,
        augment="light" if entry.kind == "glyph" else "standard",
        description=f"torchvision.datasets.{entry.cls} from {folder}",
    )


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
