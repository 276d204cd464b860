"""Real images for the data tests: scikit-learn's two photos, cut into tiles, and its digits as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from torch import distributed as dist

TILE = 60


@pytest.fixture(scope="session")
def scans():
    """scikit-learn's digits: 1,797 images of 8x8, values 0..16."""
    return load_digits()


@pytest.fixture(scope="session")
def tiles() -> dict[str, list[Image.Image]]:
    """Twelve tiles each of a Chinese temple and of a flower."""
    photos = dict(zip(("china", "flower"), load_sample_images().images, strict=True))
    spots = [(row * 100, column * 150) for row in range(3) for column in range(4)]
    return {
        name: [Image.fromarray(photo[y : y + TILE, x : x + TILE + 10]) for y, x in spots]
        for name, photo in photos.items()
    }


@pytest.fixture(scope="session")
def photo_root(tmp_path_factory, tiles) -> Path:
    """Class folders of JPEG files. Not to be changed by tests."""
    root = tmp_path_factory.mktemp("photos")
    write_classes(root, tiles)
    return root


def write_classes(root: Path, tiles: dict[str, list[Image.Image]], first: int = 0, last: int | None = None) -> None:
    for name, pictures in tiles.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures[first:last]):
            picture.save(root / name / f"{number:02d}.jpg", quality=90)


@pytest.fixture
def make_classes(tiles):
    """Write class folders of tiles first..last below a folder."""

    def make(root: Path, first: int = 0, last: int | None = None, only: str | None = None) -> Path:
        chosen = {name: pictures for name, pictures in tiles.items() if only in (None, name)}
        write_classes(root, chosen, first, last)
        return root

    return make


@pytest.fixture(scope="session")
def digit_png(tmp_path_factory, scans) -> Path:
    """The first digit of the file, a zero, as a PNG in 256 greys."""
    path = tmp_path_factory.mktemp("digit") / "0.png"
    Image.fromarray(np.rint(scans.images[0] * 255 / 16).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def pretend_rank(monkeypatch):
    """Make torch.distributed say that this process is one of several."""

    def pretend(rank, world_size):
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_rank", lambda: rank)
        monkeypatch.setattr(dist, "get_world_size", lambda: world_size)

    return pretend
