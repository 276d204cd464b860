"""Checkpoints written beside training: what waits, what is kept, and what happens when the disk is full."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from rich.console import Console

import scirs_neural as sn
from scirs_neural.core.errors import StorageError
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.async_checkpoint import AsyncCheckpointIO, SavingErrors
from scirs_neural.training.checkpoint_io import DurableCheckpointIO
from tests.training.tiny import module_of


class Gated(CheckpointIO):
    """Writes when the test lets it, and fails when the test wants."""

    def __init__(self) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()
        self.done: list[tuple[str, Any]] = []
        self.failing: set[str] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        self.begun.set()
        assert self.gate.wait(60)
        if path in self.failing:
            raise StorageError("could not save the checkpoint: no space left on device")
        self.done.append((path, checkpoint["w"].tolist()))

    def remove_checkpoint(self, path: str) -> None:
        self.done.append((path, "removed"))

    def load_checkpoint(self, path: str, map_location: Any = None, weights_only: bool | None = None) -> Any:
        return dict(self.done)[path]


def state(value: float) -> dict[str, Any]:
    return {"w": torch.full((2,), value)}


def test_training_goes_on_while_a_checkpoint_is_written() -> None:
    inner = Gated()
    io = AsyncCheckpointIO(inner)
    weights = torch.ones(2)
    io.save_checkpoint({"w": weights}, "a")
    assert inner.begun.wait(60)
    assert inner.done == []  # we are here, and it is not written yet
    weights += 1  # the next step
    inner.gate.set()
    io.teardown()
    assert inner.done == [("a", [1.0, 1.0])]


def test_of_those_that_wait_the_newest_of_each_path_is_written() -> None:
    inner = Gated()
    io = AsyncCheckpointIO(inner)
    io.save_checkpoint(state(0), "last")
    assert inner.begun.wait(60)  # this one is being written
    for value in range(1, 9):
        io.save_checkpoint(state(value), "last")
        io.save_checkpoint(state(value), f"best-{value % 2}")
    inner.gate.set()
    io.drain()
    assert inner.done == [("last", [0, 0]), ("last", [8, 8]), ("best-1", [7, 7]), ("best-0", [8, 8])]


def test_loading_waits_for_what_is_being_written() -> None:
    inner = Gated()
    io = AsyncCheckpointIO(inner)
    io.save_checkpoint(state(3), "a")
    inner.gate.set()
    assert io.load_checkpoint("a") == [3, 3]


def test_an_error_is_raised_at_the_next_step_and_once() -> None:
    inner = Gated()
    inner.failing, io = {"a"}, AsyncCheckpointIO(inner)
    io.save_checkpoint(state(1), "a")
    inner.gate.set()
    wait(io._jobs, 60)
    with pytest.raises(StorageError, match="no space left"):
        SavingErrors().on_train_batch_end(SimpleNamespace(strategy=SimpleNamespace(checkpoint_io=io)))
    io.save_checkpoint(state(2), "b")
    io.teardown()
    assert inner.done == [("b", [2, 2])]


@pytest.mark.parametrize("call", ["save_checkpoint", "load_checkpoint", "remove_checkpoint", "drain", "teardown"])
def test_no_call_swallows_an_error(call: str) -> None:
    inner = Gated()
    inner.failing, io = {"a"}, AsyncCheckpointIO(inner)
    io.save_checkpoint(state(1), "a")
    inner.gate.set()
    wait(io._jobs, 60)
    args = {"save_checkpoint": (state(1), "b"), "load_checkpoint": ("a",), "remove_checkpoint": ("a",)}.get(call, ())
    with pytest.raises(StorageError):
        getattr(io, call)(*args)


def test_the_old_checkpoint_is_not_removed_for_one_that_could_not_be_written() -> None:
    inner = Gated()
    inner.failing, io = {"best-2"}, AsyncCheckpointIO(inner)
    io.save_checkpoint(state(1), "best-1")
    io.save_checkpoint(state(2), "best-2")
    io.remove_checkpoint("best-1")
    inner.gate.set()
    with pytest.raises(StorageError):
        io.teardown()
    assert inner.done == [("best-1", [1, 1])]


def test_the_old_checkpoint_goes_after_the_new_one_has_come() -> None:
    inner = Gated()
    io = AsyncCheckpointIO(inner)
    io.save_checkpoint(state(1), "best-1")
    io.save_checkpoint(state(2), "best-2")
    io.remove_checkpoint("best-1")
    inner.gate.set()
    io.teardown()
    assert inner.done == [("best-1", [1, 1]), ("best-2", [2, 2]), ("best-1", "removed")]


def test_with_durable_files(tmp_path: Path) -> None:
    io = AsyncCheckpointIO(DurableCheckpointIO())
    for value in range(5):
        io.save_checkpoint({**state(value), "epoch": value, "list": [torch.ones(1)]}, tmp_path / "last.ckpt")
    io.drain()
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == 4
    io.remove_checkpoint(tmp_path / "last.ckpt")
    io.teardown()
    assert list(tmp_path.iterdir()) == []


def fit(folder: Path, **settings: Any) -> Any:
    data = sn.create_data("digits", image_size=8, batch_size=64)
    model = sn.create_model("cnn", num_classes=10, in_channels=1, width=4, depth=2, input_size=8, seed=0)
    task = module_of(model, data)
    quiet = Console(quiet=True)
    chosen = {"max_epochs": 2, "limit_train_batches": 4, "limit_val_batches": 1, "accelerator": "cpu", **settings}
    sn.Trainer(folder=folder, console=quiet, **chosen).fit(task, data)


def test_a_run_keeps_the_same_checkpoints_as_one_that_waits(tmp_path: Path) -> None:
    kept = {}
    for is_async in (False, True):
        folder = tmp_path / str(is_async)
        fit(folder, checkpoint={"async_save": is_async, "save_top_k": 2, "every_n_steps": 2})
        kept[is_async] = {path.name: read_checkpoint(path) for path in sorted(folder.glob("checkpoints/*"))}
    assert kept[True].keys() == kept[False].keys()
    assert {"last.ckpt"} < kept[True].keys()
    for name, one in kept[True].items():
        other = kept[False][name]
        assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"])
        assert all(torch.equal(one["state_dict"][key], held) for key, held in other["state_dict"].items())


def test_a_run_whose_checkpoints_cannot_be_written_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise StorageError("could not save the checkpoint: no space left on device")

    monkeypatch.setattr(DurableCheckpointIO, "save_checkpoint", full)
    with pytest.raises(StorageError, match="no space left"):
        fit(tmp_path, checkpoint={"async_save": True})
