"""Checkpoints whose tensors lie in several files, each with parts of them: an index, and a folder of safetensors.

The index is a checkpoint like any other. In the place of a tensor it has ``{"shard": name}``, and under ``shards`` a
table: the folder, beside the index; its files with their checksums; the shape and dtype of each tensor. The files are
those of torch's `HuggingFaceStorageWriter`: each part has its tensor's name, and the entry ``DCP_SHARDING_INFO`` of the
metadata says where in the tensor it begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from isal.isal_zlib import crc32
from torch import Tensor

from scirs_neural.core.errors import RefusedError, ScirsError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS, MIB
from scirs_neural.guard.names import check_names, shown
from scirs_neural.guard.tensors import read_header
from scirs_neural.guard.text import read_json

TABLE, PLACE = "shards", "shard"
_OFFSETS = "DCP_SHARDING_INFO"  # torch.distributed.checkpoint's name


@dataclass(frozen=True)
class Part:
    """Some of a tensor: the file, and where in the tensor it begins and how large it is."""

    file: Path
    start: tuple[int, ...]
    shape: tuple[int, ...]


def is_sharded(checkpoint: object) -> bool:
    """Whether a checkpoint is an index, with its tensors elsewhere."""
    return isinstance(checkpoint, Mapping) and TABLE in checkpoint


def name_of(node: object) -> str | None:
    """The name of the tensor in whose place something stands; None if it stands for itself."""
    return str(node[PLACE]) if isinstance(node, Mapping) and node.keys() == {PLACE} else None


def with_tensors(node: Any, tensor: Callable[[str], Tensor]) -> Any:
    """A tree with the tensors in their places."""
    name = name_of(node)
    if name is not None:
        return tensor(name)
    if isinstance(node, Mapping):
        return {key: with_tensors(value, tensor) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(with_tensors(value, tensor) for value in node)
    return node


def join_shards(index: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The whole checkpoint, its tensors put together.

    Args:
        index: what was read.
        path: from where.

    Raises:
        CheckpointError: a file is missing.
        RefusedError: one is damaged, or not what the index says.
    """
    from safetensors.torch import load_file

    shapes = Table(index, path)
    parts = shapes.parts()
    shapes.check_files(shapes.files)
    held = {file: load_file(file) for file in shapes.files}

    def whole(name: str) -> Tensor:
        if name not in parts:
            _refuse(f"its table does not know {shown(name)}", str(path))
        shape, dtype = shapes.tensors[name]
        tensor = torch.zeros(shape, dtype=dtype)
        for part in parts[name]:
            place = tuple(slice(a, a + b) for a, b in zip(part.start, part.shape, strict=True))
            tensor[place] = held[part.file][name]
        return tensor

    return {key: with_tensors(value, whole) for key, value in index.items() if key != TABLE}


class Table:
    """What an index says of its files.

    Args:
        index: what was read.
        path: from where.

    Raises:
        RefusedError: the table is damaged, or leads out of the folder beside the index.
    """

    def __init__(self, index: Mapping[str, Any], path: str | Path) -> None:
        self.where = str(path)
        try:
            table = index[TABLE]
            names = {str(name): int(checksum) for name, checksum in table["files"].items()}
            folder = str(table["folder"])
            self.tensors = {
                str(name): (_counts(shape), _dtype(dtype)) for name, (shape, dtype) in table["tensors"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RefusedError(f"refused: its table of shards is damaged: {error}", where=self.where) from error
        if len(names) > BUDGETS.members or len(self.tensors) > BUDGETS.tensors:
            _refuse("its table of shards is larger than any honest one", self.where)
        check_names([f"{folder}/{name}" for name in names], self.where)
        self.folder = Path(path).parent / folder
        self.files: dict[Path, int] = {self.folder / name: checksum for name, checksum in names.items()}

    def parts(self) -> dict[str, list[Part]]:
        """Where each tensor's parts lie.

        Raises:
            CheckpointError: a file is missing.
            RefusedError: a header is not honest, or the parts are not the whole.
        """
        parts_of: dict[str, list[Part]] = {name: [] for name in self.tensors}
        for file in self.files:
            header = read_header(file)
            starts = read_json(header.metadata.get(_OFFSETS, "{}").encode(), where=str(file))
            for name, info in header.tensors.items():
                if name not in parts_of:
                    _refuse(f"the table of {self.where} does not know {shown(name)}", str(file))
                try:
                    start = _counts(starts[name]["saved_offsets"])
                except (KeyError, TypeError, ValueError):
                    _refuse(f"it does not say where {shown(name)} belongs", str(file))
                shape = self.tensors[name][0]
                if not len(start) == len(info.shape) == len(shape) or any(
                    a + b > c for a, b, c in zip(start, info.shape, shape, strict=True)
                ):
                    _refuse(f"{shown(name)} does not lie within its tensor", str(file))
                parts_of[name].append(Part(file, start, info.shape))
        for name, parts in parts_of.items():
            here, all_of_it = sum(math.prod(part.shape) for part in parts), math.prod(self.tensors[name][0])
            if here != all_of_it:
                _refuse(f"of {shown(name)} it has {here:,} values of {all_of_it:,}", self.where)
            if overlap := _overlap(parts):
                files = " and ".join(part.file.name for part in overlap)
                _refuse(f"two parts of {shown(name)} claim the same place: in {files}", self.where)
        return parts_of

    def check_files(self, files: Iterable[Path]) -> None:
        """Hold files to their checksums.

        Raises:
            RefusedError: one is not what was written.
            StorageError: one cannot be read.
        """
        for file in files:
            if checksum(file) != self.files[file]:
                _refuse("the file is damaged: its bytes are not those that were written", str(file))


def fill_from_shards(targets: dict[str, Tensor], index: Mapping[str, Any], path: str | Path) -> None:
    """Fill tensors, each of them whole or a rank's part of one, however the parts on the disk are cut.

    All ranks call this together. Each checks the checksums of some of the files, then reads what it needs.

    Args:
        targets: by the names of the table.
        index: what was read.
        path: from where.

    Raises:
        RefusedError: on all ranks, if one of them finds a file that is missing, damaged, or not what the index says.

    Source: torch.distributed.checkpoint.
    """
    from torch import distributed as dist
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import HuggingFaceStorageReader

    said: list[str | None] = [None] * dist.get_world_size()
    try:
        table = Table(index, path)
        table.parts()
        table.check_files(list(table.files)[dist.get_rank() :: dist.get_world_size()])
        mine = None
    except ScirsError as error:
        mine = f"{error.what}, in {error.where}"
    dist.all_gather_object(said, mine)
    for words in filter(None, said):
        raise RefusedError(words, where=str(path))
    checkpoint.load(targets, storage_reader=HuggingFaceStorageReader(str(table.folder)))


def checksum(file: Path) -> int:
    """CRC-32 of a file.

    Raises:
        StorageError: it cannot be read.
    """
    crc = 0
    with storage_errors(file, "read"), open(file, "rb") as held:
        while piece := held.read(MIB):
            crc = crc32(piece, crc)
    return crc


def _overlap(parts: Sequence[Part]) -> tuple[Part, Part] | None:
    """Two parts with a value in common; a part without values has none."""
    ordered = sorted((part for part in parts if math.prod(part.shape) and part.shape), key=lambda part: part.start)
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            if other.start[0] >= one.start[0] + one.shape[0]:
                break  # so are all behind it
            sides = zip(one.start, one.shape, other.start, other.shape, strict=True)
            if all(a < c + d and c < a + b for a, b, c, d in sides):
                return one, other
    return None


def _counts(values: Sequence[int]) -> tuple[int, ...]:
    if not all(type(value) is int and value >= 0 for value in values) or len(values) > BUDGETS.dimensions:
        raise ValueError(f"{shown(values)} is no shape")
    return tuple(values)


def _dtype(name: str) -> torch.dtype:
    parts_of = getattr(torch, name, None)
    if not isinstance(parts_of, torch.dtype):
        raise ValueError(f"no dtype {shown(name)}")
    return parts_of


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
