"""Where things are kept: run folders, the cache, and writes that are whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from scirs_neural.core.errors import ConfigError, StorageError

RUN_DIR_ENV = "SCIRS_RUN_DIR"
_TEMPORARY = ".tmp"
_ABANDONED_SEC = 3600
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux


def cache_dir() -> Path:
    """The folder for what can be made or fetched again: ``SCIRS_CACHE``, else ``~/.cache/scirs_neural``."""
    chosen = os.environ.get("SCIRS_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen).expanduser() if chosen else Path(base) / "scirs_neural"


def is_offline() -> bool:
    """Whether nothing may be fetched (``SCIRS_OFFLINE=1``)."""
    return os.environ.get("SCIRS_OFFLINE", "").lower() not in ("", "0", "false", "no")


def new_run_dir(root: str | Path, name: str) -> Path:
    """Make and return the next free folder ``root/name/<n>``.

    The number is taken by creating the folder, so two runs that start at once get two folders. A rank that was
    started by another process finds its parent's folder in ``SCIRS_RUN_DIR`` and takes that.

    Raises:
        StorageError: the folder cannot be made.
    """
    handed_down = os.environ.get(RUN_DIR_ENV)
    if handed_down:
        return Path(handed_down)
    parent = Path(root).expanduser().absolute() / re.sub(r"[^\w.=+-]+|^\.+", "_", name)
    with storage_errors(parent, "make the run folder"):
        parent.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.name) for p in parent.iterdir() if p.name.isdecimal()), default=0)
        while True:
            try:
                (parent / str(number)).mkdir()
                return parent / str(number)
            except FileExistsError:
                number += 1


def from_here(path: Path) -> Path:
    """A path as it is shown: from the working folder, if it lies below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def refuse_links(folder: Path) -> None:
    """Make sure that whoever writes below a folder writes nowhere else.

    Raises:
        ConfigError: it holds a symbolic link.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if os.path.islink(link := os.path.join(place, name)):
                fix = "put what it stands for in its place, or remove it"
                raise ConfigError(f"a run is not gone on with through a link: {link}", where=str(folder), fix=fix)


def refuse_input(target: Path, inputs: Iterable[str | Path], where: str) -> None:
    """Make sure that what is written takes the place of nothing that is read for it.

    Args:
        target: what will be written.
        inputs: what will be read.
        where: who named the target, for the error.

    Raises:
        ConfigError: it is one of the inputs, by whatever name.
    """
    if not target.exists():
        return
    for path in map(Path, inputs):
        if path.exists() and path.samefile(target):
            raise ConfigError(f"'{target}' is read and would be overwritten", where=where, fix="name another file")


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    A temporary file beside it is written, flushed to the disk and renamed over it, and the folder is flushed too.

    Raises:
        StorageError: it could not be written. The old file is untouched.
    """
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file to write; put it in the place of ``path`` when the block ends well.

    Raises:
        StorageError: it could not be written. The old file is untouched, the temporary one is gone.
    """
    with storage_errors(path, "write"):
        temporary = place_beside(path)
        try:
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode  # as the umask has it; some writers make files that only their owner reads
            yield temporary
            temporary.chmod(mode)
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def place_beside(path: Path) -> Path:
    """The path of a temporary file or folder in the folder of another, for what is to take that one's place."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a written file to the disk and give it the name of another, whose old content is gone then."""
    sync_file(temporary)
    os.replace(temporary, path)
    sync_dir(path.parent)
    _sweep(path)


@contextlib.contextmanager
def replacing_folder(path: Path, mark: str) -> Iterator[Path]:
    """Give a temporary folder to fill; put it in the place of ``path``, which may exist, when the block ends well.

    A file, or a folder of something else, is not replaced: all in it would be gone.

    Everything in it is flushed to the disk before it gets its name, so who finds the folder finds all of it. On Linux
    the old and the new folder change places in one step; elsewhere the old one is moved aside first, and a kill
    between the two steps leaves both under names of their own.

    Args:
        path: the folder.
        mark: a file that folders of this kind have.

    Raises:
        StorageError: it could not be written, or something else stands there. What stood there is untouched, the
            temporary folder is gone.
    """
    with storage_errors(path, "write"):
        if path.exists() and not (path / mark).is_file() and not (path.is_dir() and not any(path.iterdir())):
            what = "is a file" if not path.is_dir() else f"holds other files, and no {mark}"
            raise StorageError(f"will not overwrite {path}: it {what}", fix="choose another name")
        temporary = place_beside(path)
        try:
            temporary.mkdir()
            yield temporary
            sync_tree(temporary)
            if not os.path.lexists(path):
                os.rename(temporary, path)
            elif not _exchange(temporary, path):
                aside = place_beside(path)
                os.rename(path, aside)
                os.rename(temporary, path)
                temporary = aside
            sync_dir(path.parent)
        finally:
            _remove(temporary)
        _sweep(path)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below a folder to the disk, the innermost first."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(place, name))
        sync_dir(Path(place))


def _remove(path: Path) -> None:
    """Remove a temporary file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed writers of the same path left behind: temporaries that nobody has touched for an hour."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}{re.escape(_TEMPORARY)}")
    with contextlib.suppress(OSError):  # the write itself went well
        for candidate in path.parent.iterdir():
            if pattern.fullmatch(candidate.name) and time.time() - candidate.lstat().st_mtime > _ABANDONED_SEC:
                _remove(candidate)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step (Linux's renameat2); False where the system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # a C library older than 2018
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # a file system that does not know it
        return False
    raise OSError(code, os.strerror(code), str(other))


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_dir(path: Path) -> None:
    """Flush a folder's entries to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def storage_errors(path: str | Path, doing: str) -> Iterator[None]:
    """Turn the system's refusals into a `StorageError` that names the place and the way out."""
    fixes = {
        errno.ENOSPC: "free some space, or choose another place with paths.runs=…",
        errno.EACCES: "choose a place that you may write to with paths.runs=…",
        errno.EPERM: "choose a place that you may write to with paths.runs=…",
        errno.EROFS: "the file system is read-only: choose another place with paths.runs=…",
    }
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        fix = fixes.get(error.errno or 0)
        raise StorageError(f"could not {doing}: {reason.lower()}", where=str(path), fix=fix) from error
