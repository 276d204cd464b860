"""Packages onto the disk: whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from scirs_neural.core.errors import StorageError
from scirs_neural.core.paths import replacing, replacing_folder, storage_errors
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
                (folder / MANIFEST).write_bytes(seal({name: member for name, (member, _) in _sums(folder).items()}))
            return
        with replacing(target) as temporary, _staging(target) as folder:
            fill(folder)
            sums = _sums(folder)
            manifest = seal({name: member for name, (member, _) in sums.items()})
            pieces = [Piece(name, member.size, crc) for name, (member, crc) in sums.items()]
            with open(temporary, "wb") as file:
                _write_zip(manifest, folder, pieces, file)


def is_zip_name(path: Path) -> bool:
    """Whether a package of this name is a single zip; one of any other name is a folder."""
    return path.suffix.lower() == ".zip"


def _write_zip(manifest: bytes, folder: Path, members: list[Piece], file: BinaryIO) -> None:
    """Write a manifest and the files of a folder, in the order of their names, as a zip in its one byte form."""
    first = Piece(MANIFEST, len(manifest), zlib.crc32(manifest))
    contents = [[manifest], *(_pieces(folder / member.name) for member in members), []]
    for (_, head), content in zip(frame([first, *members]), contents, strict=True):
        file.write(head)
        for piece in content:
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


def _sums(folder: Path) -> dict[str, tuple[Member, int]]:
    """By member name, in the order of the names: size and SHA-256, and the zip's own checksum."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: _sum(files[name]) for name in sorted(files)}


def _sum(path: Path) -> tuple[Member, int]:
    digest, crc, size = hashlib.sha256(), 0, 0
    for piece in _pieces(path):
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
        size += len(piece)
    return Member(size=size, sha256=digest.hexdigest()), crc


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
