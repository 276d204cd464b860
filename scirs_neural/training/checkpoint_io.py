"""Checkpoints that are whole or not there, that notice a changed bit, and that load as plain data only."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from scirs_neural.core.paths import replacing, storage_errors
from scirs_neural.guard.torch_file import FIRST_SAFE_TORCH, seal
from scirs_neural.guard.tree import write_tree
from scirs_neural.serialization.checkpoint import read_checkpoint


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written beside the old one, flushed to the disk and renamed over it.

    A full disk or a kill at any moment leaves the previous checkpoint as it was. A checksum of the whole file stands
    at its end, and loading holds every bit to it. Loading never unpickles objects.

    Args:
        form: "torch" for files of ``torch.save``, "plain" for such without any pickle, which every torch reads safely;
            "auto" takes the second where torch is too old to read the first.
    """

    def __init__(self, form: str = "auto") -> None:
        super().__init__()
        self.form = form

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            StorageError: it could not be written; what stood there before is untouched.
        """
        write_checkpoint(checkpoint, path, self.form)
        remove_shards(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint, with its shards: one file, never a folder or what lies by way of one's parent.

        A callback of the user's may have the path out of a checkpoint, which anybody can have written.
        """
        if ".." not in Path(path).parts and not Path(path).is_dir():
            Path(path).unlink(missing_ok=True)
            remove_shards(path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint as plain data.

        Raises:
            CheckpointError: the file is missing, damaged, or holds more than plain data.
        """
        return read_checkpoint(path)


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path, form: str = "auto") -> None:
    """Write a checkpoint whole or not at all, with a checksum; the forms are those of `DurableCheckpointIO`.

    Raises:
        StorageError: it could not be written; what stood there before is untouched.
    """
    target = Path(path)
    with storage_errors(target, "save the checkpoint"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            if form == "plain" or (form == "auto" and torch.__version__ < FIRST_SAFE_TORCH):
                write_tree(temporary, checkpoint)
                return
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch's zip writer reports a full disk as one of these
                raise _as_os_error(error, target) from error
            seal(temporary)


def shards_home(path: str | Path) -> Path:
    """The folder beside a checkpoint in which its shards lie, each time in a folder of their own."""
    return Path(path).with_name(f"{Path(path).name}.shards")


def remove_shards(path: str | Path, but: Path | None = None) -> None:
    """Remove the shards of a checkpoint, but those in one folder. What cannot be removed is in nobody's way."""
    home = shards_home(path)
    for folder in home.iterdir() if home.is_dir() and not home.is_symlink() else ():
        if folder != but:
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        home.rmdir()


def _as_os_error(error: RuntimeError, target: Path) -> Exception:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError):
        return cause
    is_torchs = "enforce fail" in str(error) or "PytorchStreamWriter" in str(error)
    if is_torchs or shutil.disk_usage(target.parent).free < 1 << 20:
        return OSError(errno.ENOSPC, "no space left on device", str(target))
    return error
