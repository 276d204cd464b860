"""What a dataset's builder returns: its samples and the facts that nobody else can know."""

from __future__ import annotations

from dataclasses import dataclass

from scirs_neural.data.samples import Samples

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class DataSource:
    """A dataset before it is split, scaled and fed.

    Args:
        name: the dataset's name.
        classes: class names, in the order of the labels.
        train: its training samples.
        val: its own validation samples; None takes a share of ``train``.
        test: its own test samples; None takes a share of ``train``.
        kind: what the pictures are, for augmentation: one of `augment.KINDS`, or None if nobody knows.
        channels: 1 or 3.
        image_size: side of the model's input in px that suits the data.
        crop: scale the shorter side to a seventh more than the input and cut out the centre, as is usual for photos,
            instead of scaling both sides.
        mean: per channel on 0..1; None measures the training split.
        std: per channel on 0..1; None measures the training split.
        multi_label: whether a sample has any number of classes.
        augment: the preset that "auto" means.
        description: one line.
        licence: of the data.
        task: the task that the data is for, by registry name.
        shuffle_window: how many training samples in a row are shuffled among each other; None: all.
    """

    name: str
    classes: tuple[str, ...]
    train: Samples
    val: Samples | None = None
    test: Samples | None = None
    kind: str | None = None
    channels: int = 3
    image_size: int | tuple[int, int] = 224
    crop: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    multi_label: bool = False
    augment: str = "none"
    description: str = ""
    licence: str = ""
    task: str = "image_classification"
    shuffle_window: int | None = None
