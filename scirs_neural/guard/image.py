"""Picture files: of known formats, held to a size before a single pixel is unpacked. No torch."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from scirs_neural.core.errors import RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS

# Pillow knows 40 more, some of which start other programs (EPS calls Ghostscript).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DEFLATE_BITS = 8 * 1032  # what one byte of a deflated stream can unpack to, at most


@contextlib.contextmanager
def opened_image(path: str | Path) -> Iterator[Image.Image]:
    """Open a picture; inside the block it may be loaded, and what goes wrong there is said in our words.

    Args:
        path: the file. Its content decides the format, not its name.

    Raises:
        RefusedError: it is no picture of a format in `FORMATS`, is damaged or cut short, or has more pixels than
            `Budgets.pixels`, or than `PIL.Image.MAX_IMAGE_PIXELS` where that was lowered.
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
    limit = min(BUDGETS.pixels, Image.MAX_IMAGE_PIXELS or BUDGETS.pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > limit:
                    raise Image.DecompressionBombError
                if image.format == "PNG" and image.width * image.height * _least_bits(image) > size * _DEFLATE_BITS:
                    raise ValueError("it is cut short")  # Pillow would give black for what is missing
                yield image
    except UnidentifiedImageError as error:
        raise RefusedError("refused: not an image, or of a kind that is not read here", where=str(path)) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise RefusedError(
            f"refused: an image of more pixels than is safe to open (limit {limit:,})",
            where=str(path),
            fix="scale the file down",
        ) from error
    except RefusedError:
        raise
    except Exception as error:  # decoders raise anything on damaged bytes: OSError, SyntaxError, struct.error, …
        reason = str(error) or type(error).__name__
        raise RefusedError(f"refused: the image cannot be read: {reason}", where=str(path)) from error


def _least_bits(image: Image.Image) -> int:
    """Bits a pixel has in a file, at least."""
    return 1 if image.mode in ("1", "L", "P") else 8 * len(image.getbands())
