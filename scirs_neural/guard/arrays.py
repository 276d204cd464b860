"""Arrays from ``.npz`` and ``.npy``: numbers and texts, never pickles. No torch."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scirs_neural.core.errors import RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown
from scirs_neural.guard.zip_index import read_index, read_member

_KINDS = "biufcSU"  # numbers and texts; no objects, no dates, no records


def read_arrays(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read some arrays of an ``.npz``.

    Args:
        path: the file.
        names: of the arrays that it must hold.

    Raises:
        StorageError: there is no such file, or it may not be read.
        RefusedError: it is damaged, has not these arrays, or holds objects.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(file, ids=[1, 2])
        >>> read_arrays(file, ["ids"])["ids"].tolist()
        [1, 2]
    """
    path = Path(path)
    where = str(path)
    with storage_errors(path, "read"):
        if path.exists() and not path.is_file():
            raise RefusedError("refused: not a regular file", where=where)
        with open(path, "rb") as file:
            members = read_index(file, where, max_inflated=BUDGETS.array_bytes)
            found = {}
            for name in names:
                member = members.get(f"{name}.npy")
                if member is None:
                    raise RefusedError(f"refused: it has no array {shown(name)}", where=where)
                found[name] = _array(b"".join(read_member(file, member, where)), name, where)
    return found


def map_array(path: str | Path) -> np.ndarray:
    """An ``.npy`` of numbers, mapped into memory: nothing is read until it is used, so its size has no limit.

    Args:
        path: the file.

    Raises:
        StorageError: there is no such file, or it may not be read.
        RefusedError: it is damaged, or holds anything but numbers.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(file, np.arange(3))
        >>> map_array(file).tolist()
        [0, 1, 2]
    """
    path = Path(path)
    where = str(path)
    with storage_errors(path, "read"):
        if path.exists() and not path.is_file():
            raise RefusedError("refused: not a regular file", where=where)
        try:
            with open(path, "rb") as file:
                if np.lib.format.read_magic(file) != (1, 0):  # later ones are for headers of more than 64 KiB
                    raise ValueError("of a version that nobody here writes")
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
            size = math.prod(shape) * dtype.itemsize
            if dtype.kind not in "biufc" or not shape or size != path.stat().st_size - start:
                raise ValueError("its size is not what its header says, or it holds no numbers")
            if not size:
                return np.zeros(shape, dtype)  # nothing cannot be mapped
            return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
        except OSError:
            raise
        except Exception as error:  # as in `_array`
            raise RefusedError(f"refused: it is damaged: {_reason(error)}", where=where) from error


def _reason(error: Exception) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__)[:200]


def _array(content: bytes, name: str, where: str) -> np.ndarray:
    """An array, after its own header was held to what follows it."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
            raise ValueError("its size is not what its header says, or it holds objects")
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # numpy's header is a Python literal, and parsing a damaged one raises anything
        raise RefusedError(f"refused: the array {shown(name)} is damaged: {_reason(error)}", where=where) from error
