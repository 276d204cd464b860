"""What torchvision does not say of its classification datasets. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_ALL_THREE = {split: {"split": split} for split in ("train", "val", "test")}
_NAMED_TWO = {split: {"split": split} for split in ("train", "test")}
_TRAIN_VAL = {split: {"split": split} for split in ("train", "val")}


@dataclass(frozen=True)
class TorchvisionSet:
    """What torchvision does not say of one of its datasets.

    Args:
        cls: the class's name in torchvision.datasets.
        summary: one line.
        expects: what must lie in the root folder.
        splits: the class's arguments for each split that it has.
        kind: what the pictures are, see `augment.KINDS`.
        size: side of the model's input in px.
        channels: 1 or 3.
        classes: class names, where the class has none; a number stands for "0", "1", ….
        downloads: whether torchvision could fetch it, where there is a network.
    """

    cls: str
    summary: str
    expects: str
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"train": {}})
    kind: str = "photo"
    size: int = 224
    channels: int = 3
    classes: int | tuple[str, ...] | None = None
    downloads: bool = True


def _raw(folder: str) -> str:
    return f"{folder}/raw/train-images-idx3-ubyte, …-labels-idx1-ubyte, t10k-… (unpacked)"


SETS = {
    "caltech101": TorchvisionSet(
        "Caltech101", "9 k photos of 101 objects", "caltech101/101_ObjectCategories/, caltech101/Annotations/",
    ),
    "caltech256": TorchvisionSet("Caltech256", "31 k photos of 257 objects", "caltech256/256_ObjectCategories/"),
    "cifar10": TorchvisionSet(
        "CIFAR10", "60 k photos of 32x32, 10 classes", "cifar-10-batches-py/", _TRAIN_TEST, "thumbnail", 32,
    ),
    "cifar100": TorchvisionSet(
        "CIFAR100", "60 k photos of 32x32, 100 classes", "cifar-100-python/", _TRAIN_TEST, "thumbnail", 32,
    ),
    "clevr_count": TorchvisionSet(
        "CLEVRClassification", "85 k rendered scenes, by number of objects", "clevr/CLEVR_v1.0/", _TRAIN_VAL,
    ),
    "country211": TorchvisionSet(
        "Country211", "63 k photos, by country", "country211/",
        {s: {"split": t} for s, t in (("train", "train"), ("val", "valid"), ("test", "test"))},
    ),
    "dtd": TorchvisionSet("DTD", "5,640 photos of textures, 47 kinds", "dtd/dtd/", _ALL_THREE),
    "emnist_balanced": TorchvisionSet(
        "EMNIST", "132 k letters and digits of 28x28, 47 classes",
        "EMNIST/raw/emnist-balanced-train-images-idx3-ubyte and its three sisters (unpacked)",
        {"train": {"split": "balanced", "train": True}, "test": {"split": "balanced", "train": False}}, "glyph", 28, 1,
    ),
    "eurosat": TorchvisionSet(
        "EuroSAT", "27 k satellite pictures of 64x64, 10 land uses", "eurosat/2750/", kind="thumbnail", size=64,
    ),
    "fashion_mnist": TorchvisionSet(
        "FashionMNIST", "70 k articles of clothing of 28x28, 10 classes", _raw("FashionMNIST"), _TRAIN_TEST, "glyph",
        28, 1,
    ),
    "fer2013": TorchvisionSet(
        "FER2013", "36 k faces of 48x48, 7 expressions", "fer2013/icml_face_data.csv, or fer2013/fer2013.csv",
        {"train": {"split": "train"}}, "thumbnail", 48, 1,
        ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), downloads=False,
    ),
    "fgvc_aircraft": TorchvisionSet(
        "FGVCAircraft", "10 k photos of aircraft, 100 variants", "fgvc-aircraft-2013b/", _ALL_THREE,
    ),
    "flowers102": TorchvisionSet(
        "Flowers102", "8,189 photos of flowers, 102 kinds", "flowers-102/jpg/, imagelabels.mat, setid.mat", _ALL_THREE,
        classes=102,
    ),
    "food101": TorchvisionSet(
        "Food101", "101 k photos of dishes, 101 kinds", "food-101/images/, food-101/meta/", _NAMED_TWO,
    ),
    "gtsrb": TorchvisionSet(
        "GTSRB", "52 k photos of German traffic signs, 43 kinds", "gtsrb/GTSRB/, gtsrb/GT-final_test.csv", _NAMED_TWO,
        "sign", 48, classes=43,
    ),
    "imagenet": TorchvisionSet(
        "ImageNet", "1.28 M photos, 1,000 classes",
        "ILSVRC2012_devkit_t12.tar.gz, and ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or train/ and val/",
        _TRAIN_VAL, downloads=False,
    ),
    "imagenette": TorchvisionSet("Imagenette", "13 k photos, 10 easy classes of ImageNet", "imagenette2/", _TRAIN_VAL),
    "kmnist": TorchvisionSet(
        "KMNIST", "70 k Japanese characters of 28x28, 10 classes", _raw("KMNIST"), _TRAIN_TEST, "glyph", 28, 1,
    ),
    "mnist": TorchvisionSet("MNIST", "70 k digits of 28x28", _raw("MNIST"), _TRAIN_TEST, "glyph", 28, 1, 10),
    "oxford_iiit_pet": TorchvisionSet(
        "OxfordIIITPet", "7,349 photos of cats and dogs, 37 breeds",
        "oxford-iiit-pet/images/, oxford-iiit-pet/annotations/",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
    ),
    "places365": TorchvisionSet(
        "Places365", "1.8 M photos of places, 365 kinds (the 256 px version)",
        "places365_standard/data_256_standard/, val_256/, and the file lists",
        {"train": {"split": "train-standard", "small": True}, "val": {"split": "val", "small": True}},
    ),
    "qmnist": TorchvisionSet(
        "QMNIST", "120 k digits of 28x28", "QMNIST/raw/qmnist-train-images-idx3-ubyte and its sisters (unpacked)",
        _TRAIN_TEST, "glyph", 28, 1, 10,
    ),
    "rendered_sst2": TorchvisionSet(
        "RenderedSST2", "9,613 sentences as pictures, 2 sentiments", "rendered-sst2/", _ALL_THREE, kind="sign",
    ),
    "semeion": TorchvisionSet(
        "SEMEION", "1,593 digits of 16x16", "semeion.data", kind="glyph", size=16, channels=1, classes=10,
    ),
    "stanford_cars": TorchvisionSet(
        "StanfordCars", "16 k photos of cars, 196 models", "stanford_cars/", _NAMED_TWO, downloads=False,
    ),
    "stl10": TorchvisionSet(
        "STL10", "13 k labelled photos of 96x96, 10 classes", "stl10_binary/", _NAMED_TWO, "thumbnail", 96,
    ),
    "sun397": TorchvisionSet("SUN397", "109 k photos of scenes, 397 kinds", "SUN397/"),
    "svhn": TorchvisionSet(
        "SVHN", "99 k house-number digits of 32x32", "train_32x32.mat, test_32x32.mat", _NAMED_TWO, "sign", 32,
        classes=10,
    ),
    "usps": TorchvisionSet("USPS", "9,298 digits of 16x16", "usps.bz2, usps.t.bz2", _TRAIN_TEST, "glyph", 16, 1, 10),
}  # fmt: skip
