"""How one picture becomes one input of a network, as plain data. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNKNOWN_PIXEL = 255
"""Stands for a pixel whose class is not known, in masks as they are read and in batches."""


@dataclass(frozen=True)
class Preprocess:
    """From a picture to an input, the same in training, prediction and every deployment.

    Args:
        channels: 1 (grey) or 3 (RGB); files are converted to it.
        size: height and width of the input in px.
        resize: length in px to which the shorter side is scaled before the centre crop to `size`; None scales both
            sides straight to `size`.
        interpolation: "bilinear", "bicubic" or "nearest" (torchvision's names).
        mean: per channel, on the scale 0..1; subtracted.
        std: per channel, on the scale 0..1; divided by.
        value_range: the numbers that mean black and white in arrays of floats; None: such arrays are taken as they are,
            and nothing else is taken.
    """

    channels: int
    size: tuple[int, int]
    resize: int | None
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] | None = (0.0, 1.0)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Preprocess:
        """That of a field of kind "image".

        Example:
            >>> pre = Preprocess(1, (8, 8), None, "bilinear", (0.5,), (0.25,))
            >>> Preprocess.of(pre.to_spec()) == pre
            True
        """
        height, width = spec["size"]
        bounds = spec.get("value_range", (0.0, 1.0))
        return cls(
            spec["channels"], (height, width), spec["resize"], spec["interpolation"], tuple(spec["mean"]),
            tuple(spec["std"]), None if bounds is None else (bounds[0], bounds[1]),
        )  # fmt: skip

    def to_spec(self) -> dict[str, Any]:
        """The field's description."""
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"kind": "image", "version": 1, **plain}
