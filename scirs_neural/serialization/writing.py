"""Packages onto the disk: whole, or not at all."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from scirs_neural.core.errors import StorageError
from scirs_neural.core.paths import replacing, replacing_folder, storage_errors
from scirs_neural.serialization.manifest import hash_of
from scirs_neural.serialization.schema import MANIFEST, Member
from scirs_neural.serialization.zip_form import Piece, frame

_CHUNK = 1 << 20


def write_package(target: Path, fill: Callable[[Path], None], seal: Callable[[dict[str, Member]], bytes]) -> None:
    """Write a package: its members first, the manifest last, and its name when all of it is on the disk.

    Args:
        target: ``….zip`` for a single file, any other name for a folder.
        fill: writes every member but the manifest into a folder.
        seal: the manifest's bytes, from size and SHA-256 of every member.

    Raises:
        StorageError: it could not be written, or something stands there that is no package. What stood there before is
            untouched.
    """
    _check_target(target)
    with storage_errors(target, "write the package"):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not is_zip_name(target):
            with replacing_folder(target) as folder:
                fill(folder)
                (folder / MANIFEST).write_bytes(seal(_facts(folder)))
            return
        with replacing(target) as temporary, _staging(target) as folder:
            fill(folder)
            (folder / MANIFEST).write_bytes(seal(_facts(folder)))
            with open(temporary, "wb") as file:
                write_zip(folder, file)


def is_zip_name(path: Path) -> bool:
    """Whether a package of this name is a single zip; one of any other name is a folder."""
    return path.suffix.lower() == ".zip"


def write_zip(folder: Path, file: BinaryIO) -> None:
    """Write the files of a folder as a package's zip, in its one byte form."""
    names = [path.relative_to(folder).as_posix() for path in _files(folder)]
    ordered = [MANIFEST, *sorted(set(names) - {MANIFEST})]
    members = [Piece(name, (folder / name).stat().st_size, _crc(folder / name)) for name in ordered]
    for (_, head), name in zip(frame(members), [*ordered, None], strict=True):
        file.write(head)
        if name is not None:
            for piece in _pieces(folder / name):
                file.write(piece)


def _check_target(target: Path) -> None:
    if not target.exists():
        return
    if target.is_dir() == is_zip_name(target):
        kind = "folder" if target.is_dir() else "file"
        fix = "a package of a name with .zip is a file, of any other name a folder"
        raise StorageError(f"will not overwrite the {kind} {target}", fix=fix)
    if target.is_dir() and not (target / MANIFEST).is_file():
        raise StorageError(f"will not overwrite {target}: it is no package", fix="choose another name")


@contextlib.contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder beside a target, gone when the block ends; `replacing` sweeps away what a killed writer left."""
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _facts(folder: Path) -> dict[str, Member]:
    return {path.relative_to(folder).as_posix(): hash_of(_pieces(path)) for path in _files(folder)}


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _crc(path: Path) -> int:
    crc = 0
    for piece in _pieces(path):
        crc = zlib.crc32(piece, crc)
    return crc
