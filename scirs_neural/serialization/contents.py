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
from scirs_neural.serialization.manifest import agree, check_seal, hash_of, version_of
from scirs_neural.serialization.migrate import migrate
from scirs_neural.serialization.schema import (
    LABELS,
    MANIFEST,
    METRICS,
    MODEL,
    PREPROCESS,
    VERSION,
    WEIGHTS,
    Manifest,
    Member,
    check,
)
from scirs_neural.serialization.zip_form import Piece, first_difference

JSON_MEMBERS = (MODEL, PREPROCESS, LABELS, METRICS)
KNOWN_PLANS = ("channels", "settings")


@dataclass(frozen=True)
class Contents:
    """An open package.

    Args:
        archive: the folder or zip.
        version: of the format, as it lies there.
        manifest: of the newest version.
        documents: the JSON members, by name, each of the type that the schema has for it.
        plain: the same as plain data.
    """

    archive: Archive
    version: int
    manifest: Manifest
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
        held, said = self.archive.map(name), self.manifest.members[name]
        whole = agree(said, hash_of([held])) if said.crc32 is None else f"{crc32(held):08x}" == said.crc32
        if not whole:
            raise damaged(name, "its checksum is not that of the manifest", self.where)
        return held

    def check_members(self, *, names: tuple[str, ...] | None = None) -> None:
        """Hold members to the sizes and hashes of the manifest.

        Args:
            names: which; None takes all, and holds a zip to its one byte form too.

        Raises:
            CheckpointError: a bit of one is not as it was written.
        """
        if names is None and self.version == VERSION and self.archive.is_zip:
            self._check_all_of_zip()
            return
        for name in self.archive.names if names is None else names:
            if name != MANIFEST and name in self.manifest.members and name not in self.plain:
                self._check(name)

    def _check(self, name: str) -> Member:
        """Hold one member to the manifest; gives what was found."""
        found = hash_of(self.archive.pieces(name))
        if name != MANIFEST and not agree(self.manifest.members[name], found):
            raise damaged(name, "its SHA-256 is not that of the manifest", self.where)
        return found

    def _check_all_of_zip(self) -> None:
        found = {name: self._check(name) for name in self.archive.names}
        pieces = [Piece(name, held.size, int(held.crc32 or "0", 16)) for name, held in found.items()]
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
        if version == VERSION:
            yield _open_newest(archive, raw, plain, where)
        else:
            yield _open_older(archive, plain, version, where)


def _open_newest(archive: Archive, raw: bytes, plain: dict[str, Any], where: str) -> Contents:
    check_seal(raw, plain, where)
    manifest: Manifest = check(MANIFEST, plain, where)
    _check_names(archive, manifest, where)
    held = {}
    for name in JSON_MEMBERS:
        if name in manifest.members:
            content = archive.read(name)
            if not agree(manifest.members[name], hash_of([content])):
                raise damaged(name, "its SHA-256 is not that of the manifest", where)
            held[name] = read_json(content, where=f"{where}, {name}")
    return Contents(archive, VERSION, manifest, _typed(held, where), held)


def _open_older(archive: Archive, plain: dict[str, Any], version: int, where: str) -> Contents:
    manifest, held = migrate(archive, plain, version, where)
    return Contents(archive, version, manifest, _typed(held, where), held)


def _typed(held: dict[str, Any], where: str) -> dict[str, Any]:
    plans = held[MODEL].get("plans") if isinstance(held[MODEL], dict) else None
    for plan in plans if isinstance(plans, list) else ():
        kind = plan.get("kind") if isinstance(plan, dict) else plan
        if kind not in KNOWN_PLANS:
            raise CheckpointError(
                f"model.json has a plan of the kind {shown(kind)}, which version {VERSION} does not know",
                where=where,
                fix=f"it knows {', '.join(KNOWN_PLANS)}",
            )
    return {name: check(name, plain, where) for name, plain in held.items()}


def _check_names(archive: Archive, manifest: Manifest, where: str) -> None:
    there, named = set(archive.names) - {MANIFEST}, set(manifest.members)
    for name in (MODEL, WEIGHTS):
        if name not in named:
            raise CheckpointError(f"the package has no {name}", where=where)
    if missing := sorted(named - there):
        raise damaged(missing[0], "it is not there", where)
    if more := sorted(there - named):
        raise CheckpointError(f"the package holds {shown(more[0])}, which its manifest does not name", where=where)
    for name in sorted(named):
        if archive.size(name) != manifest.members[name].size:
            what = f"it has {archive.size(name):,} bytes, not {manifest.members[name].size:,}"
            raise damaged(name, what, where)


def damaged(name: str, why: str, where: str) -> CheckpointError:
    """The error for a member that is not as it was written."""
    return CheckpointError(f"{name} is damaged: {why}", where=where, fix="get the package again")
