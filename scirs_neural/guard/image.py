"""Picture files: of known formats, held to a size before a single pixel is unpacked. No torch."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from scirs_neural.core.errors import ConfigError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS

# Pillow knows 40 more, some of which start other programs (EPS calls Ghostscript).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = "SCIRS_MAX_PIXELS"
_DEFLATE_BITS = 8 * 1032  # what one byte of a deflated stream can unpack to, at most


@contextlib.contextmanager
def opened_image(path: str | Path) -> Iterator[Image.Image]:
    """Open a picture; inside the block it may be loaded, and what goes wrong there is said in our words.

    Args:
        path: the file. Its content decides the format, not its name.

    Raises:
        RefusedError: it is no picture of a format in `FORMATS`, is damaged or cut short, or costs more memory, once it
            is decoded and converted, than `Budgets.pixels` in RGB do; the environment's ``SCIRS_MAX_PIXELS`` takes
            their place. `PIL.Image.MAX_IMAGE_PIXELS` holds too where it was lowered.
        StorageError: there is no such file, or it may not be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "dot.png"
        >>> Image.new("RGB", (3, 2)).save(file)
        >>> with opened_image(file) as image:
        ...     image.size
        (3, 2)
    """
    path = Path(path)
    with storage_errors(path, "read the picture"):
        if not path.is_file() and path.exists():
            raise RefusedError("refused: not a regular file", where=str(path))
        size = path.stat().st_size
    if size > BUDGETS.image_bytes:
        raise RefusedError(f"refused: it is larger than {BUDGETS.image_bytes:,} bytes", where=str(path))
    limit = _max_pixels()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height * _cost(image) > limit or max(image.size) > BUDGETS.image_side:
                    raise Image.DecompressionBombError
                if image.format == "PNG" and image.width * image.height * _least_bits(image) > size * _DEFLATE_BITS:
                    raise ValueError("it is cut short")  # Pillow would give black for what is missing
                yield image
    except UnidentifiedImageError as error:
        raise RefusedError("refused: not an image, or of a kind that is not read here", where=str(path)) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise RefusedError(
            f"refused: an image of more pixels than is safe to open (limit {limit:,}; {BUDGETS.image_side:,} a side)",
            where=str(path),
            fix=f"scale the file down, or, if it is yours, set {MAX_PIXELS}=… in the environment",
        ) from error
    except RefusedError:
        raise
    except Exception as error:  # decoders raise anything on damaged bytes: OSError, SyntaxError, struct.error, …
        reason = str(error) or type(error).__name__
        raise RefusedError(f"refused: the image cannot be read: {reason}", where=str(path)) from error


def _max_pixels() -> int:
    """The limit; Pillow's own is lifted where a user's is higher."""
    given = os.environ.get(MAX_PIXELS, "")
    if not given:
        return min(BUDGETS.pixels, Image.MAX_IMAGE_PIXELS or BUDGETS.pixels)
    if not given.isdecimal():
        raise ConfigError(f"{MAX_PIXELS} is a whole number, not {given!r}", where="environment")
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, int(given))
    return int(given)


def _cost(image: Image.Image) -> float:
    """What a pixel costs, decoded and converted, in pixels of RGB."""
    return 4 / 3 if image.has_transparency_data or len(image.getbands()) > len("RGB") else 1.0


def _least_bits(image: Image.Image) -> int:
    """Bits a pixel has in a file, at least."""
    return 1 if image.mode in ("1", "L", "P") else 8 * len(image.getbands())
