"""Tensors as the bytes of a safetensors file, and out of them again, without a copy.

safetensors' own writer ends the header at a multiple of 8 bytes and orders tensors by dtype and name, so that where one
begins is chance. torch's memory begins at multiples of 64 bytes, and from other places its kernels may add in another
order: a tensor used where it lies in the file would change the last bit of an output. So what is written here has its
header padded with spaces to a multiple of 64, and the tensors of whole multiples of 64 bytes, nearly all, first. It is
a safetensors file like any other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.names import shown
from scirs_neural.guard.tensors import read_header

ALIGNMENT = 64  # bytes: torch's own, for memory on the CPU
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
    "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64, "F16": torch.float16,
    "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
    "C128": torch.complex128, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu, "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> list[bytes | memoryview]:
    """A safetensors file, in pieces: its header, then the memory of each tensor.

    Tensors that share memory are there each for itself.

    Args:
        tensors: names to tensors, on any device; the pieces share the memory of those that lie in one piece on the CPU.
        metadata: text entries to keep with them.

    Raises:
        CheckpointError: one is of a layout or dtype that the format does not have.

    Example:
        >>> header, data = to_bytes({"w": torch.tensor([1.0, 2.0])})
        >>> header[8:].rstrip(), len(header), data.tobytes() == bytes(4 * [0])
        (b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 64, False)
    """
    plain = {name: _plain(name, tensor) for name, tensor in tensors.items()}
    # Wide numbers before narrow ones, so that each begins at a multiple of its own width, as readers need it.
    names = sorted(plain, key=lambda name: (plain[name].nbytes % ALIGNMENT != 0, -plain[name].itemsize, name))
    facts: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        start, end = end, end + plain[name].nbytes
        facts[name] = {
            "dtype": _NAMES[plain[name].dtype],
            "shape": list(plain[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return [len(text).to_bytes(8, "little") + text, *(memory_of(plain[name]) for name in names)]


def memory_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor that lies in one piece on the CPU."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def tensors_in(memory: memoryview, where: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file that is in memory, or mapped.

    They share its bytes. Only one that does not begin at a multiple of 64 bytes, where torch's own would, is copied.

    Raises:
        CheckpointError: the header is not as the format has it, or a dtype is not one of torch's.
    """
    header = read_header(memory, where=where)
    found = {}
    for name, info in header.tensors.items():
        if info.dtype not in DTYPES:
            raise CheckpointError(f"{shown(name)} is of dtype {info.dtype}, which torch does not have", where=where)
        dtype, count = DTYPES[info.dtype], math.prod(info.shape)
        if not count:
            found[name] = torch.empty(info.shape, dtype=dtype)
            continue
        start = header.data_start + info.start
        flat = torch.frombuffer(memory, dtype=torch.uint8, count=info.stop - info.start, offset=start)
        aligned = flat if flat.data_ptr() % ALIGNMENT == 0 else flat.clone()
        found[name] = aligned.view(dtype).reshape(info.shape)
    return found


def _plain(name: str, tensor: Tensor) -> Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.dtype not in _NAMES:
        what = f"of {tensor.dtype}" if tensor.layout is torch.strided else f"a {tensor.layout} tensor"
        raise CheckpointError(f"{shown(name)} is {what}, which safetensors does not have")
    return tensor.detach().cpu().contiguous().resolve_conj().resolve_neg()
