"""The field "mask": a class for each pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import CheckpointError, ConfigError, DataError, RefusedError, StorageError
from scirs_neural.data.field import Field, FieldSpec
from scirs_neural.data.image.spec import UNKNOWN_PIXEL
from scirs_neural.data.samples import evenly_spaced
from scirs_neural.guard.image import opened_image

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.samples import Samples

_LOOKED_AT = 256  # masks, where the classes are named
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
_LOSSY = "JPEG is the likely reason: it changes the numbers at edges; save masks without loss, as PNG"
_MOST_OF_LOSSY = 16  # different values in masks that lost some: more are no classes
_MODES = ("1", "L", "P", "I", "I;16")


class MaskField(Field):
    """A class for each pixel of a picture.

    Description: ``classes``, their names, and ``values``, the number that stands for each in masks. The value 255 is a
    pixel of no known class, unless it is one of ``values``, as in masks of 0 and 255. ``colors``, where masks have a
    palette: the color of each value (or None), to which those of all masks are held.

    A value is the path of a picture of one channel (of numbers, or of a palette's places), a PIL image, or an array
    (H, W). It moves with its picture: see `scirs_neural.data.mask.pipeline.ImageMaskPipeline`.

    Example:
        >>> mask = MaskField("mask", {"kind": "mask", "classes": ["ground", "thing"], "values": [0, 7]})
        >>> mask.encode(np.array([[0, 7], [255, 7]])).tolist()
        [[0, 1], [255, 1]]
    """

    kind = "mask"

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description to the schema: as many class names as values."""
        super().check(spec, where)
        names, values = spec.get("classes"), spec.get("values")
        if not (isinstance(names, list) and isinstance(values, list) and 1 < len(names) == len(values) < UNKNOWN_PIXEL):
            raise CheckpointError("a field of kind 'mask' needs classes and their values", where=where)
        if not all(isinstance(name, str) for name in names) or not all(isinstance(v, int) and v >= 0 for v in values):
            raise CheckpointError("a field of kind 'mask' has classes or values of the wrong type", where=where)
        colors = spec.get("colors", [None] * len(values))
        if not isinstance(colors, list) or len(colors) != len(values) or not all(map(_is_color, colors)):
            raise CheckpointError("a field of kind 'mask' has colors of the wrong type", where=where)

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Find the classes in the training masks, or hold some of them to the classes that are named.

        Raises:
            DataError: a mask has a value that is no class, or there is only one class; or a value has another color in
                one mask than in another.
        """
        _try_transforms(settings.get("transforms", "auto"))
        names = known.get("classes")
        picked = range(len(train)) if names is None else evenly_spaced(len(train), _LOOKED_AT)
        first: dict[int, int] = {}  # value to the first mask that has it
        palettes: dict[int, tuple[np.ndarray, str]] = {}  # value to the first palette, and its file
        for index in picked:
            where = _file(train.raw(index)[name], str(train.ids[index]))
            mask, palette = _read(train.raw(index)[name], where)
            for value in np.unique(mask).tolist():
                first.setdefault(int(value), index)
                if palette is not None and value != UNKNOWN_PIXEL:
                    held, file = palettes.setdefault(int(value), (palette, where))
                    _same_color(int(value), held[value], file, palette, where)
        lossy = [file for i in set(first.values()) if _is_lossy(file := _file(train.raw(i)[name], ""))]
        if names is None and lossy and len(first) > _MOST_OF_LOSSY:
            raise DataError(f"the masks have {len(first)} different values", where=lossy[0], fix=_LOSSY)
        if set(first) <= {0, UNKNOWN_PIXEL} and UNKNOWN_PIXEL in first and len(names or "12") == 2:
            values, names = [0, UNKNOWN_PIXEL], list(names or ("background", "foreground"))
        else:
            values = sorted(first.keys() - {UNKNOWN_PIXEL}) if names is None else list(range(len(names)))
            names = list(map(str, values)) if names is None else list(names)
            wrong = sorted(first.keys() - {UNKNOWN_PIXEL, *values})
            if wrong:
                index = first[wrong[0]]
                file = _file(train.raw(index)[name], str(train.ids[index]))
                what = f"'{name}' has the value {wrong[0]}, and there are {len(names)} classes, 0 to {len(names) - 1}"
                fix = _LOSSY if _is_lossy(file) else "name all classes in data.classes; 255 means unknown"
                raise DataError(what, where=file, fix=fix)
        if not 1 < len(names) < UNKNOWN_PIXEL:
            raise DataError(f"'{name}' has {len(names)} classes, where 2 to {UNKNOWN_PIXEL - 1} can be told apart")
        colors = [palettes[v][0][v].tolist() if v in palettes else None for v in values]
        found = {"kind": cls.kind, "version": cls.version, **known, "classes": names, "values": values}
        return found | ({"colors": colors} if palettes else {})

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """A mask as class numbers (H, W) uint8.

        Raises:
            DataError: it is no mask, cannot be read, or has a value that is no class.
        """
        numbers, palette = _read(value, where)
        found = numbers.astype(np.int32)
        coded = self._numbers[np.minimum(found, len(self._numbers) - 1)]
        if (coded < 0).any():
            error = self.refuse(f"the value {int(found[coded < 0][0])} is none of its classes", where)
            error.fix = _LOSSY if _is_lossy(_file(value, where)) else None
            raise error
        for number, color in zip(self.spec["values"], self.spec.get("colors", ()), strict=False):
            if palette is not None and color is not None and (found == number).any():
                _same_color(number, np.asarray(color), "training", palette, _file(value, where))
        return coded.astype(np.uint8)

    def collate(self, values: Any, ctx: Context, keys: Sequence[int]) -> Tensor:
        """Class numbers (N, H, W) uint8, of masks of one size."""
        import torch

        return values if isinstance(values, torch.Tensor) else torch.stack([torch.as_tensor(v) for v in values])

    def example(self, n: int) -> Tensor:
        """One class after the other, along the pixels."""
        return self.example_of(n, 32, 32)

    def example_of(self, *shape: int) -> Tensor:
        """Made-up masks of a shape (N, H, W)."""
        import torch

        pixels = torch.arange(math.prod(shape)) % max(1, len(self.spec["classes"]))
        return pixels.reshape(shape).to(torch.uint8)

    def shape(self) -> tuple[int | None, ...]:
        """(height, width): its picture's."""
        return (None, None)

    def model_arguments(self) -> dict[str, Any]:
        """``num_classes``."""
        return {"num_classes": len(self.spec["classes"])}

    def describe(self) -> str:
        """How many classes."""
        return f"{len(self.spec['classes'])} classes of pixels"

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The class number of each value, 255 for unknown, -1 for none."""
        numbers = np.full(max(UNKNOWN_PIXEL, *self.spec["values"]) + 2, -1, dtype=np.int16)
        numbers[UNKNOWN_PIXEL] = UNKNOWN_PIXEL
        numbers[self.spec["values"]] = np.arange(len(self.spec["values"]))
        return numbers


def read_mask(value: Any, where: str = "") -> np.ndarray:
    """The numbers of a mask (H, W) as they stand in it, at least 0.

    Raises:
        DataError: it cannot be read, has several channels, or holds no whole numbers.
    """
    return _read(value, where)[0]


def _read(value: Any, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The numbers of a mask (H, W), and its palette (256, 3) if it has one."""
    from PIL import ImageOps

    if isinstance(value, str | Path):
        try:
            with opened_image(value) as file:
                file.load()
                return _read(ImageOps.exif_transpose(file), str(value))
        except (RefusedError, StorageError) as error:
            what = error.what.removeprefix("refused: ") if Path(value).exists() else "no such mask"
            raise DataError(what, where=str(value), fix=error.fix) from error
    mode = getattr(value, "mode", "L")
    if mode not in _MODES:
        raise DataError(
            f"a mask of the mode {mode} has several channels", where=where or None,
            fix="save it with one channel of class numbers, or with a palette",
        )  # fmt: skip
    array = np.asarray(value)
    array = array.astype(np.uint8) * UNKNOWN_PIXEL if array.dtype == bool else array
    if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size or array.min() < 0:
        raise DataError(
            f"an array of {array.dtype} and shape {array.shape} is no mask", where=where or None,
            fix="whole numbers from 0, of shape (H, W)",
        )  # fmt: skip
    if mode != "P":
        return array, None
    palette = np.zeros((256, 3), dtype=np.int64)
    colors = np.array(value.getpalette()).reshape(-1, 3)
    palette[: len(colors)] = colors
    return array, palette


def _same_color(number: int, color: np.ndarray, file: str, palette: np.ndarray, where: str) -> None:
    """Refuse a mask in which a number has another color than in the first file that has it."""
    if (palette[number] == color).all():
        return
    here, there = tuple(palette[number].tolist()), tuple(color.tolist())
    shown = f"the number {number} is the color {there} in {file}, and {here} here"
    again = np.flatnonzero((palette == color).all(1)).tolist()
    moved = f": the same colors in another order, {there} is {again[0]} here" if again else ""
    raise DataError(
        f"the palettes of masks differ: {shown}{moved}", where=where or None,
        fix="save all masks with one palette, or with one channel of class numbers",
    )  # fmt: skip


def _file(value: Any, otherwise: str) -> str:
    """The mask's own file, if it is one."""
    return str(value) if isinstance(value, str | Path) else otherwise


def _is_lossy(file: str) -> bool:
    return Path(file).suffix.lower() in LOSSY_SUFFIXES


def _is_color(color: Any) -> bool:
    return color is None or (isinstance(color, list) and len(color) == 3 and all(isinstance(c, int) for c in color))


def _try_transforms(transforms: Any) -> None:
    """Refuse transforms that cannot move a mask, before anything is trained."""
    import torch
    from torchvision import tv_tensors

    from scirs_neural.data.image.augment import build_augment, seeded

    augment = None if transforms == "auto" else build_augment(transforms)
    if augment is not None:
        with seeded():
            try:
                augment(
                    tv_tensors.Image(torch.zeros(3, 64, 64, dtype=torch.uint8)), tv_tensors.Mask(torch.zeros(64, 64))
                )
            except (TypeError, NotImplementedError) as error:
                raise ConfigError(f"a transform does not know masks: {error}", where="data.transforms") from error
            except (RuntimeError, ValueError):
                pass  # of this size, which is not the pictures'
