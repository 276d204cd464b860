"""Checkpoints without a pickle: one safetensors file whose text says how its tensors and plain values hang together.

Any torch reads them safely, those below 2.10 too, whose reader of pickles is not (CVE-2026-24747): torch_xla ends
there.

Format: the tensors are called "0", "1", …; the metadata entry ``tree`` is JSON. A number, text, truth value, null or
list stands for itself, everything else is an object of one entry: ``{"dict": [[key, value], …]}``, ``{"tuple": […]}``,
``{"set": […]}``, ``{"float": "inf"}``, ``{"dtype": "float32"}``, ``{"tensor": 0}``. ``crc32`` is of that text and of
all tensors' bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from isal.isal_zlib import crc32
from torch import Tensor

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown
from scirs_neural.guard.tensor_bytes import memory_of, to_bytes
from scirs_neural.guard.tensors import read_header
from scirs_neural.guard.text import read_json

_KIND = "scirs-neural tree 1"
_MAX_TUPLE_KEYS = 1_000  # in one container: of tuples of numbers, a file can hold any number with the same hash


def is_tree(path: str | Path) -> bool:
    """Whether a file begins as a safetensors file does, and not as a zip."""
    with open(path, "rb") as file:
        head = file.read(9)
    return head[:2] != b"PK" and head[8:] == b"{"


def write_tree(path: str | Path, tree: Any) -> None:
    """Write tensors in containers of plain values.

    Args:
        path: where to.
        tree: dicts, lists, tuples and sets of tensors, numbers, texts, dtypes and None.

    Raises:
        CheckpointError: something in it is of another kind; the error names its place.
        OSError: it cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "last.ckpt"
        >>> write_tree(file, {"step": 3, "state": {0: (torch.ones(2), float("inf"))}})
        >>> read_tree(file)
        {'step': 3, 'state': {0: (tensor([1., 1.]), inf)}}
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(tree, tensors, "checkpoint"), separators=(",", ":"), allow_nan=False)
    checksum = _checksum(text, tensors.values())
    pieces = to_bytes(tensors, {"kind": _KIND, "tree": text, "crc32": checksum})
    with open(path, "wb") as file:
        file.writelines(pieces)


def read_tree(path: str | Path) -> Any:
    """What `write_tree` wrote.

    Raises:
        CheckpointError: there is no such file.
        RefusedError: it is damaged, or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    where = str(path)
    metadata = read_header(path, where=where).metadata
    if metadata.get("kind") != _KIND:
        raise RefusedError("refused: it holds tensors, but no tree of them", where=where)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RefusedError(f"refused: the file is damaged: {error}", where=where) from error
    text = metadata.get("tree", "")
    if metadata.get("crc32") != _checksum(text, [tensors[name] for name in sorted(tensors, key=_number)]):
        raise RefusedError("refused: the file is damaged: its bytes are not those that were written", where=where)
    return _decode(read_json(text.encode(), where=where), tensors, where, 0)


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else -1


def _checksum(text: str, tensors: Iterable[Tensor]) -> str:
    crc = crc32(text.encode())
    for tensor in tensors:
        crc = crc32(memory_of(tensor), crc)
    return f"{crc:08x}"


def _encode(node: Any, tensors: dict[str, Tensor], place: str) -> Any:
    if isinstance(node, Tensor):
        name = str(len(tensors))
        tensors[name] = node.detach().cpu().contiguous()
        return {"tensor": int(name)}
    if node is None or isinstance(node, bool | int | str):
        return node
    if isinstance(node, float):
        return float(node) if math.isfinite(node) else {"float": repr(float(node))}
    if isinstance(node, dict):
        items = [[_encode(k, tensors, place), _encode(v, tensors, f"{place}[{k!r}]")] for k, v in node.items()]
        return {"dict": items}
    if isinstance(node, list | tuple | set | frozenset):
        inside = [_encode(value, tensors, f"{place}[{index}]") for index, value in enumerate(node)]
        return inside if isinstance(node, list) else {"tuple" if isinstance(node, tuple) else "set": inside}
    if isinstance(node, torch.dtype):
        return {"dtype": str(node).removeprefix("torch.")}
    raise CheckpointError(
        f"{place} is of the kind {type(node).__name__}, which a checkpoint without a pickle cannot hold",
        fix="keep plain values and tensors there, or set trainer.checkpoint.format=torch",
    )


def _decode(node: Any, tensors: dict[str, Tensor], where: str, depth: int) -> Any:
    if depth > BUDGETS.depth:
        raise RefusedError(f"refused: it is nested deeper than {BUDGETS.depth}", where=where)
    if isinstance(node, list):
        return [_decode(value, tensors, where, depth + 1) for value in node]
    if not isinstance(node, dict):
        return node
    makers: dict[str, Callable[[Any], Any]] = {
        "dict": lambda rows: {
            _decode(k, tensors, where, depth + 1): _decode(v, tensors, where, depth + 1) for k, v in rows
        },
        "tuple": lambda rows: tuple(_decode(value, tensors, where, depth + 1) for value in rows),
        "set": lambda rows: {_decode(value, tensors, where, depth + 1) for value in rows},
        "float": float,
        "dtype": _dtype,
        "tensor": lambda index: tensors[str(index)],
    }
    try:
        ((kind, inside),) = node.items()
        if kind in ("dict", "set") and sum(isinstance(_key(row), dict) for row in inside) > _MAX_TUPLE_KEYS:
            raise RefusedError(f"refused: more than {_MAX_TUPLE_KEYS:,} keys in it are no plain values", where=where)
        return makers[kind](inside)
    except RefusedError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise RefusedError(f"refused: its tree is damaged: {shown(str(error))}", where=where) from error


def _key(row: Any) -> Any:
    """What is hashed of an entry: a row of a mapping is a list of two, a value of a set is no list."""
    return row[0] if isinstance(row, list) and row else row


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"no dtype {name}")
    return found
