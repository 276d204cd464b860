"""Tensors out of the bytes of a safetensors file, without a copy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.tensors import read_header

DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
    "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64, "F16": torch.float16,
    "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
    "C128": torch.complex128, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


def tensors_in(memory: memoryview, where: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file that is in memory, or mapped. They share its bytes.

    Raises:
        CheckpointError: the header is not as the format has it, or a dtype is not one of torch's.
    """
    header = read_header(memory, where=where)
    found = {}
    for name, info in header.tensors.items():
        if info.dtype not in DTYPES:
            raise CheckpointError(f"'{name}' is of dtype {info.dtype}, which torch does not have", where=where)
        dtype, count = DTYPES[info.dtype], math.prod(info.shape)
        flat = (
            torch.frombuffer(memory, dtype=dtype, count=count, offset=header.data_start + info.start)
            if count
            else torch.empty(0, dtype=dtype)
        )
        found[name] = flat.reshape(info.shape)
    return found
