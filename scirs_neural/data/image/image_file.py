"""The one way in which an image file is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scirs_neural.core.errors import DataError, RefusedError, StorageError
from scirs_neural.guard.image import opened_image

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def load_image(path: str | Path, mode: str = "RGB") -> Image.Image:
    """Read an image file whole, turn it upright, and convert it.

    The camera's orientation (EXIF) is applied. Transparent parts become white. Greys of 16 bits are scaled to 8. Of
    an animation, the first frame is taken.

    Args:
        path: the file. Its content decides the format, not its name.
        mode: "RGB" or "L" (grey).

    Raises:
        DataError: there is no such file, it is no image, it is cut short, or it has more pixels than
            `Budgets.pixels` allows. Names the file and the reason.
    """
    try:
        with opened_image(path) as file:
            file.load()
            return _converted(ImageOps.exif_transpose(file), mode)
    except RefusedError as error:
        raise DataError(error.what.removeprefix("refused: "), where=str(path), fix=error.fix) from error
    except StorageError as error:
        what = error.what if Path(path).exists() else "no such image file"
        raise DataError(what, where=str(path)) from error


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """An opened picture with 1 (grey) or 3 (RGB) channels, converted as `load_image` does."""
    return _converted(image, "L" if channels == 1 else "RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode == "F":
        raise ValueError("pictures of floating-point numbers have no fixed scale: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip at 255
        wide = image.convert("I")
        deep = np.asarray(wide).max() > 255
        image = wide.point(lambda value: value * (1 / 257)).convert("L") if deep else wide.convert("L")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert(mode)
