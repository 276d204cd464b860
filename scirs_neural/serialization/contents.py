"""What is in a package, opened: the manifest, the JSON members as plain data, and the others as bytes where they lie.

A package of an older version is migrated here, in memory, so that everything above this file knows one version only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal.isal_zlib import crc32

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.archive import Archive, open_archive
from scirs_neural.guard.names import shown
from scirs_neural.guard.tensors import Header, read_header
from scirs_neural.guard.text import read_json
from scirs_neural.serialization.manifest import check_seal, hash_of, is_same, version_of
from scirs_neural.serialization.migrate import migrate, read_0
from scirs_neural.serialization.schema import MANIFEST, MODEL, TYPES, VERSION, WEIGHTS, Manifest, Member, check
from scirs_neural.serialization.schema_1 import LABELS, PREPROCESS, check_1
from scirs_neural.serialization.zip_form import Piece, first_difference

JSON_MEMBERS = tuple(name for name in TYPES if name != MANIFEST)
_JSON_MEMBERS = {1: (MODEL, PREPROCESS, LABELS, "metrics.json"), VERSION: JSON_MEMBERS}
MODIFICATIONS = ("channels", "settings")


@dataclass(frozen=True)
class Contents:
    """An open package.

    Args:
        archive: the folder or zip.
        version: of the format, as it lies there.
        manifest: of the newest version.
        members: size and sums of every other file, as the package's own manifest lists them.
        documents: the JSON members of the newest version, by name, each of the type that the schema has for it.
        plain: the same as plain data.
    """

    archive: Archive
    version: int
    manifest: Manifest
    members: dict[str, Member]
    documents: dict[str, Any]
    plain: dict[str, Any]

    @property
    def where(self) -> str:
        """What to call it in errors."""
        return str(self.archive.path)

    def weights(self) -> Header:
        """Names, dtypes and shapes of the weights."""
        return read_header(self.archive.map(WEIGHTS), where=f"{self.where}, {WEIGHTS}")

    def map(self, name: str) -> memoryview:
        """A member's bytes where they lie, held to the manifest's CRC-32, and to its SHA-256 where there is none.

        Raises:
            CheckpointError: a bit of it is not as it was written.
        """
        content, listed = self.archive.map(name), self.members[name]
        is_whole = (
            is_same(listed, hash_of([content])) if listed.crc32 is None else f"{crc32(content):08x}" == listed.crc32
        )
        if not is_whole:
            raise damaged(name, "its checksum is not that of the manifest", self.where)
        return content

    def check_members(self, *, names: tuple[str, ...] | None = None) -> None:
        """Hold members to the sizes and hashes of the manifest.

        Args:
            names: which; None takes all, and holds a zip to its one byte form too.

        Raises:
            CheckpointError: a bit of one is not as it was written.
        """
        if names is None and self.version >= 1 and self.archive.is_zip:
            self._check_all_of_zip()
            return
        for name in self.archive.names if names is None else names:
            if name in self.members and name not in self.plain:
                self._check(name)

    def _check(self, name: str) -> Member:
        """Hold one member to the manifest; gives its sums."""
        measured = hash_of(self.archive.pieces(name))
        if name != MANIFEST and not is_same(self.members[name], measured):
            raise damaged(name, "its SHA-256 is not that of the manifest", self.where)
        return measured

    def _check_all_of_zip(self) -> None:
        sums = {name: self._check(name) for name in self.archive.names}
        pieces = [Piece(name, member.size, int(member.crc32 or "0", 16)) for name, member in sums.items()]
        place = first_difference(self.archive.path, pieces)
        ordered = [MANIFEST, *sorted(set(self.archive.names) - {MANIFEST})]
        if place is not None or list(self.archive.names) != ordered:
            raise CheckpointError(
                f"the members are whole, but byte {place or 0:,} of the zip is not as this format writes it",
                where=self.where,
                fix="it is damaged there, or another tool wrote the zip: unpack it, and package the folder again",
            )


def is_package(path: str | Path) -> bool:
    """Whether a path is a folder or a zip that holds a manifest. What the manifest says is not looked at."""
    path = Path(path).expanduser()
    if path.is_dir():
        return (path / MANIFEST).is_file()
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
    with contextlib.suppress(CheckpointError), open_archive(path) as archive:
        return MANIFEST in archive
    return False


@contextlib.contextmanager
def open_package(path: str | Path) -> Iterator[Contents]:
    """Open a package: the manifest and the JSON members are read, checked, and brought to the newest version.

    Raises:
        CheckpointError: it is no package, damaged, or newer than this library.
    """
    with open_archive(Path(path).expanduser()) as archive:
        where = str(archive.path)
        if MANIFEST not in archive:
            raise CheckpointError("it is no package: there is no manifest.json", where=where)
        raw = archive.read(MANIFEST)
        plain = read_json(raw, where=f"{where}, {MANIFEST}")
        version = version_of(plain, where)
        if version:
            check_seal(raw, plain, where)
        documents, members = _read(archive, plain, version, where) if version else read_0(archive, plain, where)
        manifest, documents = migrate(documents, members, version, where)
        yield Contents(archive, version, manifest, members, _typed(documents, where), documents)


def _read(
    archive: Archive, plain: dict[str, Any], version: int, where: str
) -> tuple[dict[str, Any], dict[str, Member]]:
    """The JSON members as plain data, the manifest among them; and the manifest's list of all others."""
    hold = check_1 if version == 1 else check
    hold(MANIFEST, plain, where)
    members = {name: Member(**facts) for name, facts in plain["members"].items()}
    _check_names(archive, members, where)
    documents = {MANIFEST: plain}
    for name in _JSON_MEMBERS[version]:
        if name in members:
            content = archive.read(name)
            if not is_same(members[name], hash_of([content])):
                raise damaged(name, "its SHA-256 is not that of the manifest", where)
            documents[name] = read_json(content, where=f"{where}, {name}")
            if version == 1:
                check_1(name, documents[name], where)
    return documents, members


def _typed(documents: dict[str, Any], where: str) -> dict[str, Any]:
    changes = documents[MODEL].get("modifications") if isinstance(documents[MODEL], dict) else None
    for change in changes if isinstance(changes, list) else ():
        kind = change.get("kind") if isinstance(change, dict) else change
        if kind not in MODIFICATIONS:
            raise CheckpointError(
                f"model.json has a modification of the kind {shown(kind)}, which version {VERSION} does not know",
                where=where,
                fix=f"it knows {', '.join(MODIFICATIONS)}",
            )
    return {name: check(name, plain, where) for name, plain in documents.items()}


def _check_names(archive: Archive, members: dict[str, Member], where: str) -> None:
    there, listed = set(archive.names) - {MANIFEST}, set(members)
    for name in (MODEL, WEIGHTS):
        if name not in listed:
            raise CheckpointError(f"the package has no {name}", where=where)
    if missing := sorted(listed - there):
        raise damaged(missing[0], "it is not there", where)
    if more := sorted(there - listed):
        raise CheckpointError(f"the package holds {shown(more[0])}, which its manifest does not name", where=where)
    for name in sorted(listed):
        if archive.size(name) != members[name].size:
            raise damaged(name, f"it has {archive.size(name):,} bytes, not {members[name].size:,}", where)


def damaged(name: str, why: str, where: str) -> CheckpointError:
    """The error for a member that is not as it was written."""
    return CheckpointError(f"{name} is damaged: {why}", where=where, fix="get the package again")
