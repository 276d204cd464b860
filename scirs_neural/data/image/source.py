"""A dataset of pictures with labels."""

from __future__ import annotations

from collections.abc import Sequence

from scirs_neural.data.samples import Samples
from scirs_neural.data.source import DataSource

IMAGE, LABEL = "image", "label"


def image_source(
    name: str,
    classes: Sequence[str],
    train: Samples,
    val: Samples | None = None,
    test: Samples | None = None,
    *,
    picture: str | None = None,
    channels: int = 3,
    size: int | tuple[int, int] = 224,
    crop: bool = False,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    value_range: tuple[float, float] | None = (0.0, 1.0),
    multi_label: bool = False,
    augment: str = "none",
    description: str = "",
    licence: str = "",
    shuffle_window: int | None = None,
    notes: Sequence[str] = (),
) -> DataSource:
    """A dataset whose samples have an "image" and a "label".

    Args:
        name: the dataset's name.
        classes: class names, in the order of the labels.
        train: its training samples.
        val: its own validation samples, if it has any.
        test: its own test samples, if it has any.
        picture: what the pictures are of, for augmentation: one of `augment.KINDS`, or None if nobody knows.
        channels: 1 or 3.
        size: side of the input in px that suits the data, or (height, width).
        crop: scale the shorter side to a seventh more than the input and cut out the centre, as is usual for photos,
            instead of scaling both sides.
        mean: per channel on 0..1; None measures the training split.
        std: per channel on 0..1; None measures the training split.
        value_range: see `Preprocess`.
        multi_label: whether a sample has any number of classes.
        augment: the preset that "auto" means.
        description: one line.
        licence: of the data.
        shuffle_window: how many training samples in a row are shuffled among each other; None: all.
        notes: what was inferred, a line each.
    """
    known = {
        "kind": "image", "picture": picture, "channels": channels, "size": size, "crop": crop, "mean": mean, "std": std,
        "value_range": value_range, "augment": augment,
    }  # fmt: skip
    target = {"kind": "labels" if multi_label else "class", "classes": [str(each) for each in classes]}
    return DataSource(
        name, train, {IMAGE: known}, {LABEL: target}, val, test, description, licence, shuffle_window, notes=list(notes)
    )
