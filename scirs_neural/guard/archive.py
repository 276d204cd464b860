"""Folders and zip files as one thing: named members of known size, none of which is a link or lies elsewhere.

::

    with open_archive("net.zip") as archive:
        manifest = read_json(archive.read("manifest.json"))
        weights = archive.map("weights.safetensors")
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS, MIB
from scirs_neural.guard.names import check_names, shown
from scirs_neural.guard.zip_index import STORED, Member, read_index, read_member

_CHUNK = 1 * MIB


def open_archive(path: str | Path) -> Archive:
    """Open a folder or a zip file, after looking at every name, size and kind in it.

    Raises:
        CheckpointError: there is no such file or folder.
        RefusedError: it is neither, it is damaged, or something in it is not what it seems.
        StorageError: it may not be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.json").write_text("{}")
        >>> with open_archive(folder) as archive:
        ...     archive.names, archive.size("a.json"), archive.read("a.json")
        (('a.json',), 2, b'{}')
    """
    path = Path(path).expanduser()
    with storage_errors(path, "read"):
        if path.is_dir():
            return _Folder(path)
        if not path.exists():
            raise CheckpointError(f"no such file or folder: {path}")
        return _Zip(path)


class Archive:
    """Members by name: from `open_archive`, as a context manager.

    Args:
        path: the folder or the zip file.
        sizes: the bytes of each member, by name, in the order of the file (sorted for a folder).
    """

    is_zip = False

    def __init__(self, path: Path, sizes: dict[str, int]) -> None:
        self.path, self._sizes = path, sizes

    @property
    def names(self) -> tuple[str, ...]:
        """The members, folders left out."""
        return tuple(self._sizes)

    def __contains__(self, name: object) -> bool:
        return name in self._sizes

    def size(self, name: str) -> int:
        """The bytes of a member.

        Raises:
            RefusedError: there is no such member.
        """
        if name not in self._sizes:
            self._refuse(f"it has no {shown(name)}")
        return self._sizes[name]

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A member's whole content.

        Args:
            name: the member.
            limit: how many bytes it may have; None takes `Budgets.read_bytes`.

        Raises:
            RefusedError: there is no such member, it is larger, or not what the archive says of it.
        """
        limit = BUDGETS.read_bytes if limit is None else limit
        if self.size(name) > limit:
            self._refuse(f"{shown(name)} has {self.size(name):,} bytes, more than {limit:,}")
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's content in pieces of a megabyte, to hash or copy one of any size.

        Raises:
            RefusedError: there is no such member, or it is not what the archive says of it.
        """
        self.size(name)
        with storage_errors(self.path, f"read {name}"):
            yield from self._pieces(name)

    def map(self, name: str) -> memoryview:
        """A member's bytes as memory that is read from the disk when it is looked at.

        It may be written to; the file is not changed by that. It lives on after the archive is closed.

        Raises:
            RefusedError: there is no such member, or it is compressed.
        """
        size = self.size(name)
        with storage_errors(self.path, f"map {name}"):
            file, start = self._place(name)
            if size == 0:
                return memoryview(b"")
            page = start - start % mmap.ALLOCATIONGRANULARITY
            mapped = mmap.mmap(file.fileno(), start - page + size, access=mmap.ACCESS_COPY, offset=page)
            return memoryview(mapped)[start - page :]

    def close(self) -> None:
        """Close what is open."""

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pieces(self, name: str) -> Iterator[bytes]:
        raise NotImplementedError

    def _place(self, name: str) -> tuple[BinaryIO, int]:
        raise NotImplementedError

    def _refuse(self, what: str) -> NoReturn:
        raise RefusedError(f"refused: {what}", where=str(self.path))


class _Folder(Archive):
    """A folder of plain files: a link, a pipe or a device anywhere in it refuses the whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, {})
        sizes: dict[str, int] = {}
        self._walk(path, "", sizes)
        self._sizes = dict(sorted(sizes.items()))
        check_names(self._sizes, str(path))
        self._open: dict[str, BinaryIO] = {}

    def _walk(self, folder: Path, prefix: str, sizes: dict[str, int]) -> None:
        if prefix.count("/") > BUDGETS.name_parts:
            self._refuse(f"its folders are nested deeper than {BUDGETS.name_parts}")
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if len(sizes) >= BUDGETS.members:
                    self._refuse(f"it has more than {BUDGETS.members:,} files")
                if entry.is_dir(follow_symlinks=False):
                    self._walk(Path(entry.path), name + "/", sizes)
                else:
                    facts = entry.stat(follow_symlinks=False)
                    if not stat.S_ISREG(facts.st_mode):
                        self._refuse(f"{shown(name)} is a link or a device, not a plain file")
                    sizes[name] = facts.st_size

    def _file(self, name: str) -> BinaryIO:
        if name not in self._open:
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            file = os.fdopen(os.open(self.path / name, flags), "rb")
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size != self._sizes[name]:
                file.close()
                self._refuse(f"{shown(name)} was changed while it was read")
            self._open[name] = file
        return self._open[name]

    def _pieces(self, name: str) -> Iterator[bytes]:
        file = self._file(name)
        file.seek(0)
        left = self._sizes[name]
        while left:
            piece = file.read(min(_CHUNK, left))
            if not piece:
                self._refuse(f"{shown(name)} was changed while it was read")
            left -= len(piece)
            yield piece

    def _place(self, name: str) -> tuple[BinaryIO, int]:
        return self._file(name), 0

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open = {}


class _Zip(Archive):
    """A zip file."""

    is_zip = True

    def __init__(self, path: Path) -> None:
        if not stat.S_ISREG(path.stat().st_mode):
            raise RefusedError("refused: neither a folder nor a regular file", where=str(path))
        self._file = open(path, "rb")  # noqa: SIM115 - closed by `close`
        try:
            self._members: dict[str, Member] = read_index(self._file, str(path))
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, {name: member.size for name, member in self._members.items()})

    def _pieces(self, name: str) -> Iterator[bytes]:
        return read_member(self._file, self._members[name], str(self.path))

    def _place(self, name: str) -> tuple[BinaryIO, int]:
        member = self._members[name]
        if member.method != STORED:
            self._refuse(f"{shown(name)} is compressed: weights must be stored as they are (zip -0)")
        return self._file, member.start

    def close(self) -> None:
        self._file.close()
