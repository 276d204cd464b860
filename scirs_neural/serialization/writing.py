"""Packages onto the disk: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from isal.isal_zlib import crc32

from scirs_neural.core.errors import StorageError
from scirs_neural.core.paths import replacing, replacing_folder, storage_errors, sync_file
from scirs_neural.serialization.formats import check_target
from scirs_neural.serialization.manifest import hash_of
from scirs_neural.serialization.schema import MANIFEST, Member
from scirs_neural.serialization.zip_form import Piece, frame

_CHUNK = 1 << 20
Bytes = bytes | memoryview
Seal = Callable[[dict[str, Member]], bytes]


@dataclass(frozen=True)
class Content:
    """What a member holds.

    Args:
        size: in bytes.
        pieces: gives them from the first on, each time it is called: two threads do so at once, one writes, one hashes.
    """

    size: int
    pieces: Callable[[], Iterable[Bytes]]

    @staticmethod
    def of(*pieces: Bytes) -> Content:
        """Of what is in memory."""
        return Content(sum(len(piece) for piece in pieces), lambda: pieces)

    @staticmethod
    def of_file(path: str | Path) -> Content:
        """Of a file."""
        return Content(Path(path).stat().st_size, lambda: _pieces(Path(path)))


def write_package(target: Path, contents: Mapping[str, Content], seal: Seal) -> None:
    """Write a package: its members first, the manifest last, and its name when all of it is on the disk.

    SHA-256 is slower than a good disk, so it is found beside the writing, and nothing is read back.

    Args:
        target: ``….zip`` for a single file, any other name for a folder.
        contents: every member but the manifest.
        seal: the manifest's bytes, from size and sums of every member. Their length hangs on names and sizes alone.

    Raises:
        StorageError: it could not be written, something stands there that is no package, or a content was changed while
            it was written. What stood there before is untouched.
    """
    _check_target(target)
    beside = ThreadPoolExecutor(1)
    try:
        with storage_errors(target, "write the package"):
            target.parent.mkdir(parents=True, exist_ok=True)
            contents = {name: contents[name] for name in sorted(contents)}
            sums = {name: beside.submit(hash_of, content.pieces()) for name, content in contents.items()}
            (_write_zip if is_zip_name(target) else _write_folder)(target, contents, sums, seal)
    finally:
        beside.shutdown(cancel_futures=True)


def is_zip_name(path: Path) -> bool:
    """Whether a package of this name is a single zip; one of any other name is a folder."""
    return path.suffix.lower() == ".zip"


def _write_folder(target: Path, contents: dict[str, Content], sums: dict[str, Future[Member]], seal: Seal) -> None:
    with replacing_folder(target, MANIFEST) as folder:
        checksums = {}
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with open(folder / name, "wb") as file:
                checksums[name] = _write(content, file)
            sync_file(folder / name)  # now, while the sums are still being found
        (folder / MANIFEST).write_bytes(seal(_agreed(sums, contents, checksums)))


def _write_zip(target: Path, contents: dict[str, Content], sums: dict[str, Future[Member]], seal: Seal) -> None:
    """Members in their places first, then the manifest before them, and what stands before each, with its checksum."""
    with replacing(target) as temporary:
        blank = {name: Member(size=content.size, sha256="0" * 64, crc32="0" * 8) for name, content in contents.items()}
        manifest, checksums = seal(blank), {}
        with open(temporary, "wb") as file:
            heads = frame(_framed(manifest, blank))
            for (place, head), name in zip(heads, [MANIFEST, *contents], strict=False):
                file.seek(place + len(head))
                if name != MANIFEST:
                    checksums[name] = _write(contents[name], file)
        sync_file(temporary)  # now, while the sums are still being found
        members = _agreed(sums, contents, checksums)
        manifest = seal(members)
        with open(temporary, "r+b") as file:
            for place, head in frame(_framed(manifest, members)):
                file.seek(place)
                file.write(head + (manifest if place == 0 else b""))


def _framed(manifest: bytes, members: Mapping[str, Member]) -> list[Piece]:
    pieces = [Piece(name, member.size, int(member.crc32 or "0", 16)) for name, member in members.items()]
    return [Piece(MANIFEST, len(manifest), crc32(manifest)), *pieces]


def _write(content: Content, file: BinaryIO) -> str:
    """Write a content; gives its checksum."""
    checksum = 0
    for piece in content.pieces():
        file.write(piece)
        checksum = crc32(piece, checksum)
    return f"{checksum:08x}"


def _agreed(
    sums: dict[str, Future[Member]], contents: dict[str, Content], checksums: dict[str, str]
) -> dict[str, Member]:
    """The sums of what was written.

    Raises:
        StorageError: a content was another one when it was written than when it was hashed.
    """
    members = {name: summed.result() for name, summed in sums.items()}
    for name, member in members.items():
        if (member.size, member.crc32) != (contents[name].size, checksums[name]):
            raise StorageError(f"{name} was changed while it was written", fix="save again when nothing changes it")
    return members


def _check_target(target: Path) -> None:
    if not target.exists():
        return
    if target.is_dir() == is_zip_name(target):
        kind = "folder" if target.is_dir() else "file"
        fix = "a package of a name with .zip is a file, of any other name a folder"
        raise StorageError(f"will not overwrite the {kind} {target}", fix=fix)
    check_target(target, "package")


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
