"""What data says of itself. Heads, transforms, metrics, exports and servers are wired from it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preprocess:
    """How one image file becomes one model input, the same in training, prediction and every deployment.

    Args:
        channels: 1 (grey) or 3 (RGB); files are converted to it.
        size: height and width of the input in px.
        resize: length in px to which the shorter side is scaled before the centre crop to `size`; None scales both
            sides straight to `size`.
        interpolation: "bilinear", "bicubic" or "nearest" (torchvision's names).
        mean: per channel, on the scale 0..1; subtracted.
        std: per channel, on the scale 0..1; divided by.
    """

    channels: int
    size: tuple[int, int]
    resize: int | None
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class DataSpec:
    """The facts about a dataset that everything downstream needs.

    Args:
        name: the dataset's name.
        task: the task that it is for, by registry name.
        classes: class names, in the order of the labels; of regression, the names of the outputs.
        preprocess: from a file to the model's input.
        sizes: samples per split: "train", "val", "test".
        multi_label: whether a sample has any number of classes rather than one. Targets are then 0/1 rows.
        description: one line: what it is and where it came from.
        licence: of the data, if known.
        shape: of one input that is no image but a row of numbers, such as (64,). Each number then counts as a channel
            of a single pixel, and `preprocess` only scales it.
        target_mean: of each output of regression: what the network learns is scaled by it.
        target_std: see `target_mean`.

    Example:
        >>> pre = Preprocess(1, (32, 32), None, "bilinear", (0.5,), (0.25,))
        >>> spec = DataSpec("digits", "image_classification", tuple("0123456789"), pre)
        >>> spec.num_classes, spec.input_shape
        (10, (1, 32, 32))
        >>> DataSpec.from_dict(spec.to_dict()) == spec
        True
    """

    name: str
    task: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    sizes: Mapping[str, int] = field(default_factory=dict)
    multi_label: bool = False
    description: str = ""
    licence: str = ""
    shape: tuple[int, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        """How many classes, or outputs, there are."""
        return len(self.classes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of one input; of a row of numbers, (their count,)."""
        return self.shape or (self.preprocess.channels, *self.preprocess.size)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it is kept in checkpoints and packages."""
        plain = asdict(self)
        return {
            **_listed(plain),
            "classes": list(self.classes),
            "sizes": dict(self.sizes),
            "preprocess": _listed(plain["preprocess"]),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> DataSpec:
        """The spec that `to_dict` gave the plain data of."""
        pre: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in plain["preprocess"].items()
        }
        own: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
        return cls(**{**own, "preprocess": Preprocess(**pre)})


def _listed(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}
