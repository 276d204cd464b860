"""The header of a safetensors file, held to the format before anything else is believed. No torch.

Format: 8 bytes with the header's length, the header (JSON: name to dtype, shape, and first and last byte), the data.
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS, MIB
from scirs_neural.guard.names import shown
from scirs_neural.guard.text import read_json

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "C128": 128,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_MAX_BYTES = 2**63


@dataclass(frozen=True)
class TensorInfo:
    """What a file says of one tensor; ``start`` and ``stop`` count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """What a file says of its tensors, in the order of their bytes, and the texts beside them."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    data_start: int


def read_header(source: str | Path | bytes | memoryview, *, where: str | None = None) -> Header:
    """Read and judge the header of a safetensors file.

    Args:
        source: a path, or the whole file's bytes.
        where: what to call it in errors.

    Raises:
        CheckpointError: there is no such file.
        RefusedError: the header is too large, no JSON, or says what the file does not hold: its tensors must fill the
            data from the first byte to the last, without holes or overlaps, each as long as its shape says.

    Example:
        >>> text = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
        >>> read_header(len(text).to_bytes(8, "little") + text + bytes(8)).tensors["w"].shape
        (2,)
    """
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        where = where or str(path)
        with storage_errors(path, "read"):
            if not path.exists():
                raise CheckpointError(f"no such file: {path}")
            if not stat.S_ISREG(path.stat().st_mode):
                _refuse("not a regular file", where)
            with open(path, "rb") as file:
                size = path.stat().st_size
                length = _length(file.read(8), size, where)
                content = file.read(length)
    else:
        where = where or "the safetensors bytes"
        size = len(source)
        length = _length(bytes(source[:8]), size, where)
        content = bytes(source[8 : 8 + length])
    if len(content) != length or content[:1] != b"{":
        _refuse("its header is cut off, or no JSON object", where)
    header = read_json(content, where=f"{where}, header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse("its metadata are not texts by name", where)
    if len(header) > BUDGETS.tensors:
        _refuse(f"it has more than {BUDGETS.tensors:,} tensors", where)
    tensors = {name: _tensor(name, facts, where) for name, facts in header.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)))
    end = 0
    for name, info in ordered.items():
        if info.start != end:
            _refuse(f"before {shown(name)} is a hole, or it lies on top of another tensor", where)
        end = info.stop
    if end != size - 8 - length:
        _refuse(f"its tensors have {end:,} bytes, its data {size - 8 - length:,}", where)
    return Header(ordered, metadata, 8 + length)


def _length(head: bytes, size: int, where: str) -> int:
    length = int.from_bytes(head, "little")
    if len(head) < 8 or not 2 <= length <= min(BUDGETS.header_bytes, size - 8):
        limit = BUDGETS.header_bytes // MIB
        _refuse(f"its header of {length:,} bytes is cut off or over {limit} MiB", where)
    return length


def _tensor(name: str, facts: Any, where: str) -> TensorInfo:
    if not isinstance(facts, dict) or facts.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(f"{shown(name)} has not just a dtype, a shape and offsets", where)
    if len(name.encode()) > BUDGETS.name_bytes:
        _refuse(f"the name {shown(name)} is longer than {BUDGETS.name_bytes} bytes", where)
    dtype, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(f"{shown(name)} has the unknown dtype {shown(dtype)}", where)
    if not _are_counts(shape) or len(shape) > BUDGETS.dimensions:
        _refuse(f"{shown(name)} has the shape {shown(shape)}", where)
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(f"{shown(name)} has the offsets {shown(offsets)}", where)
    bits = math.prod(shape) * BITS[dtype]
    if bits >= _MAX_BYTES or bits % 8 or bits // 8 != offsets[1] - offsets[0]:
        _refuse(f"{shown(name)}: {dtype} of the shape {shown(shape)} does not have the bytes {shown(offsets)}", where)
    return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < _MAX_BYTES for value in values)


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
