"""Rows 141 and 142: segmentation and texts on real data, against what is simplest.

Both sets lie inside packages that are installed anyway: scikit-learn's scanned digits on its two photos, and the
docstrings of four libraries.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits, load_sample_images
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score
from sklearn.pipeline import make_pipeline

import scirs_neural as sn
from scirs_neural.data import from_texts
from scirs_neural.data.context import Context
from scirs_neural.tasks.collect import collect

SIDE = 48
LIBRARIES = {
    "numpy": ["numpy", "numpy.linalg", "numpy.random", "numpy.ma"],
    "torch": ["torch", "torch.nn", "torch.nn.functional", "torch.optim"],
    "sklearn": ["sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection", "sklearn.preprocessing"],
    "scipy": ["scipy.stats", "scipy.signal", "scipy.optimize", "scipy.ndimage"],
}


def scenes(root: Path) -> None:
    """Digits on crops of photos: those to test with are other scans, from other rows of the photos."""
    scans, stream = load_digits(), np.random.default_rng(0)
    photos = [np.asarray(Image.fromarray(photo).convert("L"), dtype=float) for photo in load_sample_images().images]
    order = stream.permutation(len(scans.images))
    for split, (first, last), count, (top, bottom) in (
        ("train", (0, 1200), 600, (0, 260)),
        ("test", (1200, 1797), 150, (310, 379)),
    ):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            y, x = stream.integers(top, bottom), stream.integers(0, 640 - SIDE)
            picture, mask = (
                photos[stream.integers(2)][y : y + SIDE, x : x + SIDE].copy(),
                np.zeros((SIDE, SIDE), np.uint8),
            )
            for _ in range(stream.integers(1, 4)):
                scan, size = scans.images[order[stream.integers(first, last)]], int(stream.integers(18, 28))
                grey = Image.fromarray((scan * 15.9).astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)
                ink, (a, b) = np.asarray(grey) / 255, stream.integers(0, SIDE - size, 2)
                place = picture[a : a + size, b : b + size]
                place[:] = place * (1 - ink) + (20 if place.mean() > 110 else 235) * ink
                mask[a : a + size, b : b + size][ink > 0.35] = 255
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / split / "images" / f"{number}.png")
            Image.fromarray(mask).save(root / split / "masks" / f"{number}.png")


def best_band(pixels: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The band of brightness outside of which pixels are best called digits."""
    edges = np.quantile(pixels, np.linspace(0, 1, 21))
    bands = [(low, high) for low in edges for high in edges if low <= high]
    return max(bands, key=lambda band: jaccard_score(truth, outside(pixels, band), average="macro"))


def outside(pixels: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    return (pixels < band[0]) | (pixels > band[1])


@pytest.mark.slow
@pytest.mark.feature(141)
def test_a_u_net_finds_real_digits_on_real_photos_and_a_threshold_does_not(tmp_path: Path) -> None:
    scenes(tmp_path)
    data = sn.create_data("mask_folder", root=str(tmp_path), batch_size=16, num_workers=0, transforms="none")
    task = sn.create_task(data.spec, loss=["cross_entropy", "dice"])
    net = sn.create_model("unet", **task.model_arguments(), width=8, depth=4, seed=0)
    sn.Trainer(max_epochs=10, console=Console(quiet=True)).fit(
        sn.Module(task, net, {"name": "adamw", "lr": 5e-3}), data
    )
    found = collect(task, net, data.eval_dataloader("test"), ctx=Context("test")).score()
    pixels = {}
    for split in ("train", "test"):
        batch = data.dataset(split).batch(range(150))
        pixels[split] = batch["image"].numpy().ravel(), batch["mask"].numpy().ravel() == 1
    band = best_band(*(values[::7] for values in pixels["train"]))
    threshold = jaccard_score(pixels["test"][1], outside(pixels["test"][0], band), average="macro")
    assert found["mean_iou"] >= 0.85
    assert found["mean_iou"] > threshold + 0.2


def paragraphs() -> tuple[list[str], list[str], list[str]]:
    """Paragraphs of prose from docstrings, the library of each, and the function that it is from."""
    texts: dict[str, tuple[str, str]] = {}
    for library, modules in LIBRARIES.items():
        for module in map(import_module, modules):
            for name in sorted(dir(module)):
                held = inspect.getdoc(getattr(module, name, None)) or ""
                for part in held.split("\n\n"):
                    plain = re.sub(
                        rf"\b({'|'.join(LIBRARIES)}|np|scikit|learn)\b", "it", " ".join(part.split()), flags=re.I
                    )
                    if 60 < len(plain) < 400 and plain[0].isupper() and ">>>" not in plain:
                        texts.setdefault(plain, (library, name))
    return list(texts), [library for library, _ in texts.values()], [name for _, name in texts.values()]


@pytest.mark.slow
@pytest.mark.feature(142)
def test_a_bag_of_embeddings_tells_libraries_apart_as_well_as_tf_idf() -> None:
    texts, libraries, names = paragraphs()
    data = from_texts(texts, libraries, columns={"name": names}, group_by="name", tokenizer="words", batch_size=32)
    task = sn.create_task(data.spec)
    options = {"embed_dim": 128, "hidden": [], "dropout": 0.5}
    net = sn.create_model("bag_of_embeddings", **task.model_arguments(), **options, seed=0)
    sn.Trainer(max_epochs=12, console=Console(quiet=True)).fit(
        sn.Module(task, net, {"name": "adamw", "lr": 5e-3}), data
    )
    found = collect(task, net, data.eval_dataloader("test"), ctx=Context("test")).score()
    train, test = (data.dataset(split) for split in ("train", "test"))
    judge = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), LogisticRegression(max_iter=1000))
    judge.fit([train.raw(i)["text"] for i in range(len(train))], train.targets)
    reached = judge.score([test.raw(i)["text"] for i in range(len(test))], test.targets)
    assert len(texts) > 2000
    assert found["accuracy"] > reached - 0.01
