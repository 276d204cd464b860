"""Files of ``torch.save``: looked at from outside first, then read with ``weights_only=True``.

torch's own reader has let through what it should not have (CVE-2025-32434, CVE-2026-24747), trusts what a zip says of
itself, and does not look at checksums. So, before it is asked:

- the zip has one honest meaning and nothing compressed (``torch.save`` never compresses: a megabyte that becomes a
  gigabyte is no checkpoint), or the file is the one stream that torch wrote before version 1.6;
- every bit is held to a checksum: of the whole file where this package wrote it (`seal`), else of each member;
- the pickle in it is read step by step without being run (`guard.pickles`).

Below torch 2.10 no pickle is read at all. What is loaded is held to the size of the file.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import torch
from isal.isal_zlib import crc32
from torch import Tensor

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS, MIB
from scirs_neural.guard.names import shown
from scirs_neural.guard.pickles import scan
from scirs_neural.guard.zip_index import STORED, Member, read_index, read_member

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".pth.tar")  # the last two: older folders of Hugging Face, timm
FIRST_SAFE_TORCH = "2.10"
_MAGIC = re.compile(rb"\x80[\x02\x03]\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)  # a stream's first pickle
_STREAM_PICKLES = 5  # a magic number, a version, the machine, the object, the keys of its storages
_SEAL = b"scirs-neural crc32 "
_SEAL_DIGITS = 8
_CHUNK = 4 * MIB
_File = BufferedReader | BufferedRandom
_CONTAINERS = (dict, list, tuple, set, frozenset)
_MAX_SPREAD = 64 * MIB  # what tensors may be larger than their storages, in all: expanded ones


def read_checkpoint(path: str | Path) -> Any:
    """Read a .pth, .pt or .ckpt file whole: tensors on the CPU in plain containers.

    Raises:
        CheckpointError: there is no such file, or torch is too old to read it safely.
        RefusedError: it is damaged, dishonest, or asks for more than tensors and plain data.
    """
    path = existing(path, SUFFIXES)
    if torch.__version__ < FIRST_SAFE_TORCH:
        raise CheckpointError(
            f"torch {torch.__version__} cannot read pickled files safely (CVE-2026-24747, fixed in {FIRST_SAFE_TORCH})",
            where=str(path),
            fix=f"install torch {FIRST_SAFE_TORCH} or newer, or give a .safetensors file",
        )
    with storage_errors(path, "read"), open(path, "rb") as file, ThreadPoolExecutor(1) as beside:
        checksums = _inspect(file, str(path))
        checked = beside.submit(checksums)  # while torch reads: together they take little longer than one
        found = _loaded(path)
        checked.result()
    _Values(str(path), path.stat().st_size).check(found)
    return found


class _Namespace(dict[str, Any]):
    """What stands for the command line that many training scripts keep in a checkpoint: a plain mapping."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


def _loaded(path: Path) -> Any:
    try:
        quiet = warnings.catch_warnings(action="ignore", category=UserWarning)  # torch's, on the way to a refusal
        with quiet, torch.serialization.safe_globals([(_Namespace, "argparse.Namespace")]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _reason(str(error))
        raise RefusedError(f"refused, and nothing of it was run: {reason}", where=str(path)) from None
    except Exception as error:  # on damaged bytes torch raises anything, its own RuntimeError most of all
        reason = str(error).partition("\n")[0].partition("  (Could this error")[0][:200] or type(error).__name__
        raise RefusedError(f"refused: the file is damaged or no torch file: {reason}", where=str(path)) from error


def seal(path: str | Path) -> None:
    """Write the checksum of a whole torch file behind it, in the zip's comment, which every reader skips.

    `read_checkpoint` then notices any bit that is not as it was. It costs reading the file once, about 0.5 s a GB.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write((len(_SEAL) + _SEAL_DIGITS).to_bytes(2, "little"))
        file.write(_SEAL)
        end = file.tell()
        checksum = _checksum(file, end)
        file.seek(end)
        file.write(b"%08x" % checksum)


def existing(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    """A weights file that is there and has a name of its kind.

    Raises:
        CheckpointError: it is not, or has another name.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise CheckpointError(f"{what}: {path}")
    if not path.name.endswith(suffixes):
        raise CheckpointError(f"cannot read weights from '{path.name}'", fix=f"one of {', '.join(suffixes)}")
    return path


def _inspect(file: _File, where: str) -> Callable[[], None]:
    """Judge the form of a file and its pickle; gives what compares its checksums."""
    head = file.read(16)
    file.seek(0)
    if head.startswith(b"PK"):
        return _inspect_zip(file, where)
    if not _MAGIC.match(head):
        _refuse("the file is damaged or no torch file: it begins as neither a zip nor a stream of torch", where)
    size = os.fstat(file.fileno()).st_size
    for _ in range(_STREAM_PICKLES):
        scan(file, where, beside=size - file.tell())
    return lambda: None  # this format has no checksums


def _inspect_zip(file: _File, where: str) -> Callable[[], None]:
    comment = _seal_length(file)
    members = read_index(
        file, where, max_members=BUDGETS.torch_members, max_inflated=BUDGETS.archive_bytes, any_names=True,
        comment=comment,
    )  # fmt: skip
    packed = sum(member.packed for member in members.values())
    unpacked = sum(member.size for member in members.values())
    if any(member.method != STORED for member in members.values()):
        fix = "if you trust it, unpack it and save it again with torch.save, or as .safetensors"
        what = f"refused: {packed:,} bytes would unpack to {unpacked:,}, and torch never compresses"
        raise RefusedError(what, where=where, fix=fix)
    pickled = _pickled(members, where)
    file.seek(pickled.start)
    scan(file, where, beside=packed - pickled.size)
    if file.tell() != pickled.start + pickled.size:
        _refuse("something stands behind the pickle in it", where)

    def checksums() -> None:
        if comment:
            _check_seal(file, where)
            return
        for member in members.values():
            for _ in read_member(file, member, where):
                pass

    return checksums


def _pickled(members: Mapping[str, Member], where: str) -> Member:
    """The one pickle of a zip."""
    roots = {name.partition("/")[0] for name in members}
    if len(roots) != 1:
        _refuse("it is no file of torch.save: its members do not stand in one folder", where)
    (root,) = roots
    if f"{root}/constants.pkl" in members or any(name.startswith(f"{root}/code/") for name in members):
        _refuse("it is a TorchScript program, not weights", where)
    found = members.get(f"{root}/data.pkl")
    if found is None:
        _refuse("it is no file of torch.save: it has no data.pkl", where)
    if found.size > BUDGETS.pickle_bytes:
        _refuse(f"its pickle has {found.size:,} bytes, more than {BUDGETS.pickle_bytes:,}", where)
    return found


def _seal_length(file: _File) -> int:
    """The length of the seal, 0 where there is none."""
    length = len(_SEAL) + _SEAL_DIGITS
    if file.seek(0, os.SEEK_END) < length:
        return 0
    file.seek(-length, os.SEEK_END)
    return length if file.read(len(_SEAL)) == _SEAL else 0


def _check_seal(file: _File, where: str) -> None:
    end = file.seek(-_SEAL_DIGITS, os.SEEK_END)
    if file.read() != b"%08x" % _checksum(file, end):
        _refuse("the file is damaged: its bytes are not those that were written", where)


def _checksum(file: _File, end: int) -> int:
    file.seek(0)
    buffer, crc = memoryview(bytearray(_CHUNK)), 0
    while end > 0 and (count := file.readinto(buffer[:end])):
        crc = crc32(buffer[:count], crc)
        end -= count
    return crc


class _Values:
    """Holds what was loaded to what the file can hold: no cycles, no lists of lists of lists of the same list."""

    def __init__(self, where: str, size: int) -> None:
        self.where, self.bytes_left, self.views_left = where, size, _MAX_SPREAD
        self.counted: dict[int, tuple[int, int] | None] = {}  # by container: values and levels; None while it is open
        self.storages: set[int] = set()

    def check(self, tree: Any, depth: int = 0) -> tuple[int, int]:
        """Walk through containers, each once; gives how many values and levels there are, repeated ones counted again.

        Raises:
            RefusedError: they hold themselves, or more than they should.
        """
        if not isinstance(tree, _CONTAINERS):
            self.value(tree)
            return 1, 0
        if depth > BUDGETS.depth:
            _refuse(f"it is nested deeper than {BUDGETS.depth}", self.where)
        self.counted[id(tree)] = None
        values, levels = 1, 0
        for child in [*tree.keys(), *tree.values()] if isinstance(tree, dict) else tree:
            if not isinstance(child, _CONTAINERS):
                values += 1
                if isinstance(child, Tensor):
                    self.value(child)
                continue
            inner = self.counted[id(child)] if id(child) in self.counted else self.check(child, depth + 1)
            if inner is None:
                _refuse("a value in it holds itself", self.where)
            values += inner[0]
            levels = max(levels, inner[1] + 1)
            if values > BUDGETS.values or levels > BUDGETS.depth:
                _refuse(f"it has more than {BUDGETS.values:,} values, or {BUDGETS.depth} levels", self.where)
        self.counted[id(tree)] = values, levels
        return values, levels

    def value(self, value: Any) -> None:
        """Pay for a tensor's memory from the size of the file."""
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.device.type != "cpu":
            return
        storage = value.untyped_storage()
        if storage._cdata not in self.storages:
            self.storages.add(storage._cdata)
            self.bytes_left -= storage.nbytes()
        self.views_left -= max(0, value.nbytes - storage.nbytes())
        if self.bytes_left < 0 or self.views_left < 0:
            _refuse(f"a tensor of {shown(tuple(value.shape))} is larger than the file", self.where)


def _reason(message: str) -> str:
    """What a file wanted, in few words."""
    named = re.search(r"(?:GLOBAL|Unsupported class|Unsupported global:?)\s+(?:GLOBAL\s+)?([\w.]+)", message)
    if named:
        return f"it wants to call {named.group(1)}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    known = [line for line in lines if "WeightsUnpickler error" in line or "Unsupported" in line]
    return (known or lines or ["not a plain state_dict"])[0]


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
