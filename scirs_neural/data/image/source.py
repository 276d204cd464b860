"""A dataset of pictures with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scirs_neural.data.samples import Samples
from scirs_neural.data.source import DataSource

IMAGE, LABEL = "image", "label"


def image_source(
    name: str,
    classes: Sequence[str],
    samples: Mapping[str, Samples],
    *,
    multi_label: bool = False,
    description: str = "",
    licence: str = "",
    shuffle_window: int | None = None,
    channels: int = 3,
    **picture: Any,
) -> DataSource:
    """A dataset whose samples have an "image" and a "label".

    Args:
        name: the dataset's name.
        classes: class names, in the order of the labels.
        samples: those of "train", and of "val" and "test" as far as the data has such splits of its own.
        multi_label: whether a sample has any number of classes.
        description: one line.
        licence: of the data.
        shuffle_window: how many training samples in a row are shuffled among each other; None: all.
        channels: 1 or 3.
        **picture: what else is known of the pictures, see `ImageField`: ``size``, the side of the input in px that
            suits the data, or (height, width); ``picture``, ``augment``, ``crop``; ``mean`` and ``std`` a channel on
            0..1, else measured on the training split; ``value_range`` of arrays of floats.
    """
    image = {"kind": "image", "channels": channels, **picture}
    target = {"kind": "labels" if multi_label else "class", "classes": [str(each) for each in classes]}
    return DataSource(
        name, samples["train"], {IMAGE: image}, {LABEL: target}, samples.get("val"), samples.get("test"), description,
        licence, shuffle_window,
    )  # fmt: skip
