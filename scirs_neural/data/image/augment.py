"""Augmentation: named presets that know what kind of picture they get, or a list of torchvision's v2 transforms.

A preset moves digits and flips photos, never the other way round. The caller seeds every sample with a function of
(run seed, epoch, sample), so a picture is augmented alike with any number of workers, ranks and restarts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.image.affine import SmallAffine
from scirs_neural.data.image.spec import UNKNOWN_PIXEL, Preprocess

PRESETS = ("none", "light", "standard", "strong")
KINDS = ("glyph", "sign", "thumbnail", "photo")

# what a list may name: transforms of images (and of boxes and masks with them); nothing that runs a user's code
_CROPPING = ("CenterCrop", "RandomCrop", "RandomIoUCrop", "RandomResize", "RandomResizedCrop", "RandomShortestSize",
             "Resize", "ScaleJitter")  # fmt: skip
_CONTAINERS = ("RandomApply", "RandomChoice", "RandomOrder")
TRANSFORMS = (
    *_CROPPING, *_CONTAINERS,
    "AugMix", "AutoAugment", "ClampBoundingBoxes", "ColorJitter", "ElasticTransform", "GaussianBlur", "Grayscale",
    "JPEG", "Pad", "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomAutocontrast",
    "RandomChannelPermutation", "RandomEqualize", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip",
    "RandomInvert", "RandomPerspective", "RandomPhotometricDistort", "RandomPosterize", "RandomRotation",
    "RandomSolarize", "RandomVerticalFlip", "RandomZoomOut", "SanitizeBoundingBoxes", "TrivialAugmentWide",
)  # fmt: skip


class Augment:
    """A random transform. Draws from torch's CPU stream, which `seeded` sets for each sample.

    Args:
        transform: what to do; takes an image, or any structure of images, boxes and masks (`torchvision.tv_tensors`).
        crops: whether it makes its own size, and so wants the picture before it was scaled to the model's input.

    Example:
        >>> import torch
        >>> shift = build_augment([{"name": "RandomAffine", "degrees": 0, "translate": [0.2, 0.2]}])
        >>> image = torch.arange(64, dtype=torch.uint8).view(1, 8, 8)
        >>> with seeded() as reseed:
        ...     first = (reseed(5), shift(image))[1]
        ...     again = (reseed(5), shift(image))[1]
        >>> torch.equal(first, again)
        True
    """

    def __init__(self, transform: v2.Transform, *, crops: bool = False) -> None:
        self.transform, self.crops = transform, crops

    def __call__(self, *sample: Any) -> Any:
        """The sample, changed: an image alone, or with its boxes and masks, which move with it."""
        return self.transform(*sample)

    def batch(self, images: Any, seeds: Sequence[int]) -> Any:
        """Many images, each with its own seed: those of one size are moved in one go where the transform can.

        Args:
            images: (N, C, H, W), N of (C, H, W), or N tuples of an image with its boxes and masks.
            seeds: one an image.
        """
        in_one_go = isinstance(self.transform, SmallAffine) and isinstance(images, Tensor)
        made = []
        with seeded() as reseed:
            for image, seed in zip(images, seeds, strict=True):
                reseed(seed)
                sample = image if isinstance(image, tuple) else (image,)
                made.append(self.transform.make_params([image]) if in_one_go else self(*sample))
            return self.transform.many(images, made) if in_one_go else made

    def __repr__(self) -> str:
        return repr(self.transform)


@contextmanager
def seeded() -> Iterator[Callable[[int], object]]:
    """Give a function that seeds torch's CPU stream, and put the stream back to where it was afterwards.

    The generator is set directly: `torch.manual_seed` also seeds every other device, which costs far more than most
    transforms.
    """
    stream = torch.default_generator
    before = stream.get_state()
    try:
        yield stream.manual_seed
    finally:
        stream.set_state(before)


def build_augment(
    transforms: str | Sequence[str | Mapping[str, Any]],
    kind: str | None = None,
    preprocess: Preprocess | None = None,
) -> Augment | None:
    """The augmentation that a setting names; None for none.

    Args:
        transforms: a preset of `PRESETS`, or a list of transforms in order, each a name of torchvision.transforms.v2
            or ``{"name": …, argument: value, …}``.
        kind: what is in the pictures, which decides what a preset may do. "glyph" (digits, letters: shift, turn,
            scale; no flip), "sign" (32 to 64 px, direction matters: crop, colour; no flip), "thumbnail" (32 to 96 px
            photos: crop, flip), "photo" (random resized crop, flip). None: as glyph, the most careful.
        preprocess: the model's input; presets that crop need its size.

    Raises:
        UnknownNameError: no such preset or transform.
        ConfigError: a transform refuses its arguments.
    """
    if isinstance(transforms, str):
        if transforms not in PRESETS:
            raise UnknownNameError(
                f"unknown transforms '{transforms}'",
                suggestions=did_you_mean(transforms, (*PRESETS, "auto")),
                fix=f"one of auto, {', '.join(PRESETS)}, or a list of transforms by name",
            )
        steps = [] if transforms == "none" else _preset(transforms, kind or "glyph", preprocess)
    else:
        steps = [_named(step) for step in transforms]
    if not steps:
        return None
    return Augment(steps[0] if len(steps) == 1 else v2.Compose(steps), crops=any(_crops(step) for step in steps))


def _preset(name: str, kind: str, preprocess: Preprocess | None) -> list[v2.Transform]:
    strength = PRESETS.index(name) - 1
    size = list(preprocess.size) if preprocess is not None else [224, 224]
    bilinear = InterpolationMode.BILINEAR
    if kind == "glyph":
        degrees, shift, scale, shear = ((5, 0.06, 0.05, 0), (10, 0.1, 0.1, 5), (15, 0.14, 0.2, 10))[strength]
        return [SmallAffine(degrees, shift, scale, shear)]
    steps: list[v2.Transform] = []
    if kind == "photo":
        smallest = (0.5, 0.25, 0.08)[strength]
        steps.append(v2.RandomResizedCrop(size, scale=(smallest, 1.0), interpolation=bilinear, antialias=True))
    else:
        steps.append(v2.RandomCrop(size, padding=max(1, size[0] // 8), padding_mode="reflect", pad_if_needed=True))
    if kind != "sign":
        steps.append(v2.RandomHorizontalFlip())
    if strength == 1 and kind != "thumbnail":
        steps.append(v2.ColorJitter(0.2, 0.2, 0.2))
    if strength == 2:
        wide = v2.TrivialAugmentWide() if kind != "sign" else v2.ColorJitter(0.4, 0.4, 0.4)
        steps += [wide, v2.RandomErasing(0.25)]
    return steps


def _named(step: str | Mapping[str, Any]) -> v2.Transform:
    arguments: dict[str, Any] = {"name": step} if isinstance(step, str) else dict(step)
    name = arguments.pop("name", None)
    if not isinstance(name, str) or name not in TRANSFORMS:
        raise UnknownNameError(
            f"unknown transform '{name}'" if name else f"a transform without a name: {step!r}",
            suggestions=did_you_mean(str(name), TRANSFORMS),
            fix="names are those of torchvision.transforms.v2 that change images",
        )
    if "interpolation" in arguments:
        arguments["interpolation"] = InterpolationMode(arguments["interpolation"])
    if name in _CONTAINERS:
        arguments["transforms"] = [_named(inner) for inner in arguments.get("transforms", ())]
    make = getattr(v2, name)
    fill = inspect.signature(make).parameters.get("fill")
    if fill is not None:  # what comes into a mask from outside is unknown
        arguments["fill"] = {tv_tensors.Mask: UNKNOWN_PIXEL, "others": arguments.get("fill", fill.default)}
    try:
        return make(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"transform {name}: {error}", where="data.transforms") from error


def _crops(step: v2.Transform) -> bool:
    inner = getattr(step, "transforms", None)
    return type(step).__name__ in _CROPPING or (isinstance(inner, list) and any(_crops(each) for each in inner))
