"""Writers that are killed, and disks that fail: what stood there before is there, or what was written is, whole."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from scirs_neural import create_model
from scirs_neural.core import paths
from scirs_neural.core.errors import StorageError
from scirs_neural.guard import read_state_dict, write_state_dict
from scirs_neural.serialization import load_package, save_package
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import write_checkpoint

SERVER = Path(__file__).parent / "crash_server.py"


def killed(writers: str, kills: int, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(SERVER), writers, str(kills), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.timeout(300)
def test_forty_kills_leave_a_complete_state(tmp_path: Path) -> None:
    for found in killed("checkpoint,folder", 20, tmp_path):
        assert found["complete"] == found["kills"] == 20, found["faults"]
        assert found["within_a_save"] >= 1, "no kill came while a file was written: nothing was tried"


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("writer", ["checkpoint", "folder", "zip", "weights"])
def test_a_thousand_kills_leave_a_complete_state(tmp_path: Path, writer: str) -> None:
    (found,) = killed(writer, 1000, tmp_path)
    assert found["complete"] == found["kills"] == 1000, found["faults"]
    assert found["within_a_save"] >= 100


# ---------------------------------------------------------------------------------------------------- disks that fail

Faulty = Callable[[pytest.MonkeyPatch, Path], Any]


@contextmanager
def _short_files() -> Iterator[None]:
    """No file may grow past 2 kB: a write is cut short in the middle, for C code too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _failing(code: int) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def no_space(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths.os, "fsync", _failing(errno.ENOSPC))


def broken_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths, "sync_file", _failing(errno.EIO))


def broken_folder(patch: pytest.MonkeyPatch) -> None:
    """The folder cannot be flushed, after everything else has gone well."""
    patch.setattr(paths, "sync_dir", _failing(errno.EIO))


def no_rename(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths.os, "replace", _failing(errno.EIO))
    patch.setattr(paths.os, "rename", _failing(errno.EIO))
    patch.setattr(paths, "_exchange", _failing(errno.EIO))


def no_permission(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Path, "touch", _failing(errno.EACCES))
    patch.setattr(Path, "mkdir", _failing(errno.EACCES))


FAULTS = [no_space, broken_disk, broken_folder, no_rename, no_permission]


def _checkpoint(path: Path, number: int) -> None:
    write_checkpoint({"w": torch.full((3000,), float(number))}, path / "last.ckpt")


def _weights(path: Path, number: int) -> None:
    write_state_dict(path / "net.safetensors", {"w": torch.full((3000,), float(number))})


def _package(name: str) -> Callable[[Path, int], None]:
    def save(path: Path, number: int) -> None:
        model = create_model("cnn", num_classes=2, depth=1, width=8)
        for held in model.parameters():
            torch.nn.init.constant_(held, float(number))
        save_package(path / name, model)

    return save


def _number(path: Path) -> set[float]:
    (file,) = [one for one in path.iterdir() if not one.name.startswith(".")]
    if file.suffix == ".ckpt":
        return set(read_checkpoint(file)["w"].tolist())
    if file.suffix == ".safetensors":
        return set(read_state_dict(file)["w"].tolist())
    return {float(one) for held in load_package(file).model.parameters() for one in held.detach().unique()}


WRITERS = {"checkpoint": _checkpoint, "weights": _weights, "folder": _package("net"), "zip": _package("net.zip")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_failing_disk_is_told_and_leaves_a_complete_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    WRITERS[writer](tmp_path, 1)
    with monkeypatch.context() as patch:
        fault(patch)
        with pytest.raises(StorageError):
            WRITERS[writer](tmp_path, 2)
    assert _number(tmp_path) in ({1.0}, {2.0}) if fault is broken_folder else _number(tmp_path) == {1.0}
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_that_is_cut_short_is_told_and_leaves_the_old_state(tmp_path: Path, writer: str) -> None:
    WRITERS[writer](tmp_path, 1)
    with _short_files(), pytest.raises(StorageError):
        WRITERS[writer](tmp_path, 2)
    assert _number(tmp_path) == {1.0}
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []
