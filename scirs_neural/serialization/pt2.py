"""The weights in a .pt2 file, as torch 2.8 and later write them: found without torch, and without its program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.guard.text import read_json
from scirs_neural.guard.zip_index import Member
from scirs_neural.serialization.formats import zip_bytes, zip_members

# torch's own numbers of dtypes (torch._export.serde.schema.ScalarType; a test holds them to it)
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip

_NAMES_A_MEMBER = 10  # a tensor may have several names


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies, and how its bytes are to be read."""

    member: Member
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """The weights of a program by name.

    Raises:
        CheckpointError: the file is damaged, of an older form, or keeps a tensor as a pickle.
    """
    members = {name.partition("/")[2]: member for name, member in zip_members(path).items()}
    tables = [name for name in members if name.startswith("data/weights/") and name.endswith("_weights_config.json")]
    if not tables:
        raise CheckpointError("the program is of a form before torch 2.8", where=str(path), fix="export it again")
    tensors: dict[str, StoredTensor] = {}
    for table in tables:
        config = read_json(zip_bytes(path, members[table]), where=f"{path}, {table}")
        if isinstance(config, dict) and len(config.get("config", ())) > _NAMES_A_MEMBER * len(members):
            raise RefusedError("refused: it names far more tensors than it holds", where=str(path))
        try:
            for name, fact in config["config"].items():
                tensors[name] = _tensor(fact, members[f"data/weights/{fact['path_name']}"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(f"{table} is not as torch writes it: {error!r}", where=str(path)) from error
    return tensors


def _tensor(fact: Mapping[str, Any], member: Member) -> StoredTensor:
    if fact["use_pickle"]:
        raise ValueError("a tensor is pickled")
    meta = fact["tensor_meta"]
    shape, strides = (tuple(_count(value) for value in meta[key]) for key in ("sizes", "strides"))
    return StoredTensor(member, DTYPES[meta["dtype"]], shape, strides, _count(meta["storage_offset"]))


def _count(value: Mapping[str, Any]) -> int:
    number = value["as_int"]
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"a size is {number!r}")
    return number
