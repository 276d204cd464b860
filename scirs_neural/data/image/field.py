"""The field "image": pictures from files, arrays and tensors to a network's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from scirs_neural.core.errors import CheckpointError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.field import Field, FieldSpec
from scirs_neural.data.image.image_file import IMAGE_SUFFIXES, load_image, to_mode
from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.samples import evenly_spaced

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.image.augment import Augment
    from scirs_neural.data.image.preprocess import Preprocessor
    from scirs_neural.data.samples import Samples

_MEASURED_IMAGES = 1024
_CHANNELS = (1, 3)


class ImageField(Field):
    """A picture.

    Description: that of `Preprocess`. Beside it, who makes samples may say what nobody can measure: ``picture``, what
    the pictures are of (see `augment.KINDS`), ``augment``, the preset that "auto" means, ``crop``, whether the shorter
    side is scaled to a seventh more than the input before the centre is cut out.

    A value is a path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W).
    """

    kind = "image"
    settings_used = ("image_size", "transforms", "mixup", "cutmix")
    suffixes = IMAGE_SUFFIXES
    mixable = True

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description to the schema."""
        super().check(spec, where)
        try:
            pre = Preprocess.of(spec)
            fits = pre.channels in _CHANNELS and len(pre.mean) == len(pre.std) == pre.channels
            fits = fits and all(isinstance(side, int) and side > 0 for side in pre.size) and all(pre.std)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(f"a field of kind 'image' is not as the kind has it: {error}", where=where) from error
        if not fits:
            raise CheckpointError(
                "a field of kind 'image' has sizes, channels, mean or std that do not fit", where=where
            )

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Settle the size, and measure mean and deviation of the training pictures unless they are known."""
        from scirs_neural.data.image.augment import build_augment

        size = settings.get("image_size") or known.get("size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        channels = known["channels"]
        plain = Preprocess(
            channels, (height, width), round(min(height, width) * 8 / 7) if known.get("crop") else None, "bilinear",
            tuple(known.get("mean") or (0.0,) * channels), tuple(known.get("std") or (1.0,) * channels),
            known.get("value_range", (0.0, 1.0)),
        )  # fmt: skip
        spec = plain.to_spec()
        if known.get("mean") is None or known.get("std") is None:
            spec["mean"], spec["std"] = _measured(cls(name, spec), train)
        build_augment(_transforms({**settings, **known}), known.get("picture"), Preprocess.of(spec))
        return spec

    @cached_property
    def preprocess(self) -> Preprocess:
        """The description, typed."""
        return Preprocess.of(self.spec)

    @cached_property
    def to_input(self) -> Preprocessor:
        """Channels, size and scale of pictures as tensors."""
        from scirs_neural.data.image.preprocess import Preprocessor

        return Preprocessor(self.preprocess)

    @cached_property
    def augment(self) -> Augment | None:
        """The random transforms of training."""
        from scirs_neural.data.image.augment import build_augment

        return build_augment(_transforms(self.settings), self.settings.get("picture"), self.preprocess)

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """A picture as (C, H, W), uint8 or float32. It is neither resized nor scaled.

        One rule for all ways in: a file's or a PIL image's orientation (EXIF) is applied; arrays have their channels
        last, tensors first, and arrays of 1 or 3 channels in front are taken too where that cannot be mistaken.

        Raises:
            DataError: it is no picture, cannot be read, or its range of values is not that of training.
        """
        if isinstance(value, str | Path):
            return self._of_picture(load_image(value, "L" if self.preprocess.channels == 1 else "RGB"))
        if hasattr(value, "getbands"):
            return self._of_picture(ImageOps.exif_transpose(value))
        array = channels_first(value)
        if array is None:
            shape = getattr(value, "shape", None)
            what = f"an array of shape {tuple(shape)}" if shape is not None else f"a {type(value).__name__}"
            raise self.refuse(f"{what} is no picture: give (H, W), (H, W, C), a PIL image or a file", where)
        return self._in_range(array, where)

    def collate(self, values: Any, ctx: Context, keys: Sequence[int]) -> Tensor:
        """Inputs (N, channels, *size) float32: resized, in training augmented, and normalised."""
        import torch

        if not len(values):
            return torch.empty(0, self.preprocess.channels, *self.preprocess.size)
        return self.to_input.normalise(self._sized(values, ctx, keys))

    def collate_with(
        self, values: Sequence[Any], beside: Sequence[Any], ctx: Context, keys: Sequence[int]
    ) -> tuple[Tensor, list[Any]]:
        """Inputs as `collate` gives them, and what lies on the same pixels, resized and moved with them.

        Args:
            values: encoded pictures (C, H, W).
            beside: a `torchvision.tv_tensors.Mask` (H, W) or boxes for each picture.
            ctx: see `collate`.
            keys: see `collate`.
        """
        import torch
        from torchvision import tv_tensors

        augment, size = (self.augment if ctx.stage == "train" else None), self.preprocess.size
        fit = self.to_input.fit
        pairs = [(tv_tensors.Image(self._picture(value)), held) for value, held in zip(values, beside, strict=True)]
        if augment is None or not augment.crops:
            pairs = [(fit(image), fit(held)) for image, held in pairs]
        if augment is not None:
            pairs = augment.batch(pairs, self._seeds(ctx, keys))
        pairs = [pair if pair[0].shape[-2:] == size else (fit(pair[0]), fit(pair[1])) for pair in pairs]
        images = torch.stack([image.as_subclass(torch.Tensor) for image, _ in pairs])
        return self.to_input.normalise(images), [other for _, other in pairs]

    def example(self, n: int) -> Tensor:
        """Grey pictures."""
        import torch

        return torch.zeros(n, self.preprocess.channels, *self.preprocess.size)

    def shape(self) -> tuple[int | None, ...]:
        """(channels, height, width)."""
        return (self.preprocess.channels, *self.preprocess.size)

    def model_arguments(self) -> dict[str, Any]:
        """``in_channels`` and ``input_size``."""
        return {"in_channels": self.preprocess.channels, "input_size": self.preprocess.size}

    def describe(self) -> str:
        """Channels and size."""
        return "x".join(map(str, self.shape()))

    def read(self, inputs: Any) -> Iterator[tuple[str, Any]]:
        """Name and value of each picture in what a user gives: one picture, or any iterable of them."""
        for number, item in enumerate([inputs] if self._is_one(inputs) else inputs):
            yield (str(item) if isinstance(item, str | Path) else str(number)), item

    def show(self, value: Any) -> np.ndarray:
        """The picture, uint8, (H, W) or (H, W, 3)."""
        array = self.encode(value)
        if array.dtype != np.uint8:
            low, high = self.preprocess.value_range or (array.min(), array.max())
            array = np.rint(np.clip((array - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
        return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)

    def write_samples(self, values: Mapping[str, Any], folder: Path) -> None:
        """Write raw values as PNG files, named by their key."""
        for stem, value in values.items():
            Image.fromarray(self.show(value)).save(folder / f"{stem}.png")

    def _sized(self, values: Any, ctx: Context, keys: Sequence[int]) -> Tensor:
        import torch

        augment = self.augment if ctx.stage == "train" else None
        crops = augment is not None and augment.crops
        images: Any
        if isinstance(values, torch.Tensor):
            images = self._unit(self.to_input.to_tensor(values))
            images = images if crops else self.to_input.fit(images)
        else:
            images = [self._picture(value) for value in values]
            images = images if crops else [self.to_input.fit(image) for image in images]
        if augment is not None:
            moved, size = augment.batch(images, self._seeds(ctx, keys)), self.preprocess.size
            images = [image if image.shape[-2:] == size else self.to_input.fit(image) for image in moved]
        return images if isinstance(images, torch.Tensor) else torch.stack(images)

    def _seeds(self, ctx: Context, keys: Sequence[int]) -> list[int]:
        return [stream_seed("augment", ctx.seed, ctx.epoch, key) for key in keys]

    def _picture(self, value: Any) -> Tensor:
        """An encoded picture as a tensor with the right channels, neither resized nor normalised."""
        import torch

        return self._unit(self.to_input.to_tensor(torch.from_numpy(np.require(value, requirements=["C", "W"]))))

    def _unit(self, images: Tensor) -> Tensor:
        """Floats on the scale 0..1, if they have another that is known."""
        import torch

        bounds = self.preprocess.value_range
        if images.dtype == torch.uint8 or bounds is None or bounds == (0.0, 1.0):
            return images
        return ((images - bounds[0]) / (bounds[1] - bounds[0])).clamp(0.0, 1.0)

    def _of_picture(self, picture: Any) -> np.ndarray:
        if self.preprocess.value_range is None:
            raise self.refuse(
                "the network learnt from floats that were scaled already, and a picture file has no such scale"
            )
        array = np.array(to_mode(picture, self.preprocess.channels))
        return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)

    def _in_range(self, array: np.ndarray, where: str) -> np.ndarray:
        bounds = self.preprocess.value_range
        if array.dtype == np.uint8:
            if bounds != (0.0, 1.0):
                learnt = "scaled already" if bounds is None else f"from {bounds[0]:g} to {bounds[1]:g}"
                raise self.refuse(f"is an array of uint8, and the network learnt from floats, {learnt}", where)
            return array
        if array.dtype.kind not in "fiub":
            raise self.refuse(f"an array of {array.dtype} is no picture", where)
        numbers = array.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise self.refuse("has numbers that are not finite", where)
        if bounds is not None and numbers.size:
            low, high = bounds
            margin = high - low  # those of validation may lie a little outside of training's range, and are clipped
            if numbers.min() < low - margin or numbers.max() > high + margin:
                raise self.refuse(
                    f"has numbers from {numbers.min():g} to {numbers.max():g}, and the network learnt from "
                    f"{low:g} to {high:g}", where,
                )  # fmt: skip
        return numbers

    def _is_one(self, inputs: Any) -> bool:
        if isinstance(inputs, str | Path) or hasattr(inputs, "getbands"):
            return True
        shape = getattr(inputs, "shape", None)
        if shape is None:
            return False
        return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4) and shape[1] > 4)


def _transforms(settings: Mapping[str, Any]) -> Any:
    chosen = settings.get("transforms", "auto")
    return settings.get("augment", "none") if chosen == "auto" else chosen


def channels_first(value: Any) -> np.ndarray | None:
    """An array as (C, H, W) with 1 or 3 channels; None if it is no picture."""
    if type(value).__module__.partition(".")[0] in ("torch", "torchvision"):
        array = value.detach().cpu().numpy()
        array = array[None] if array.ndim == 2 else array
        return array if array.ndim == 3 and array.shape[0] in _CHANNELS else None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        return None
    if array.shape[-1] in (*_CHANNELS, 4) and not (array.shape[0] in _CHANNELS and array.shape[-1] == 4):
        return np.moveaxis(array[..., :3], -1, 0)
    return array if array.shape[0] in _CHANNELS else None


def _measured(field: ImageField, train: Samples) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel over the training pictures, or over evenly spaced ones of very many."""
    import torch

    from scirs_neural.data.context import Context

    picked = evenly_spaced(len(train), _MEASURED_IMAGES)
    held = train.stacked(picked)
    if held is None:
        values = [field.encode(train.raw(index)[field.name], str(train.ids[index])) for index in picked]
    else:
        values = held[field.name]
    inputs = field.collate(values, Context(), picked).double()
    mean, std = inputs.mean((0, 2, 3)), inputs.std((0, 2, 3), correction=0)
    std = torch.where(std > 1e-6, std, torch.ones_like(std))
    return [round(float(x), 4) for x in mean], [round(float(x), 4) for x in std]
