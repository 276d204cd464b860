"""Checkpoints that are written while training goes on: a step waits for a copy of the state, never for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.utilities.apply_func import apply_to_collection
from lightning.pytorch.plugins.io import CheckpointIO


class AsyncCheckpointIO(CheckpointIO):
    """Hands checkpoints to one thread that writes them, in order, through another checkpoint IO.

    The state is copied to the CPU's memory before `save_checkpoint` returns. A checkpoint that waits while a newer one
    of the same path comes is replaced by it, so at most one copy a path waits, and none is waited for. When a write
    fails, nothing after it is done (an older checkpoint is never removed for one that does not exist), and the error
    is raised by the next call, by the next training step (`SavingErrors`), or at the end.

    Args:
        inner: what writes and reads.

    Source: the order of Lightning's own AsyncCheckpointIO; that one removes old checkpoints before new ones are
        written, and tells of an error at the end only.
    """

    def __init__(self, inner: CheckpointIO) -> None:
        self.inner = inner
        self._writer = ThreadPoolExecutor(1, "checkpoints")  # the interpreter's exit waits for it
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[dict[str, Any], Any]] = {}  # the newest of each path that is not begun
        self._jobs: list[Future[None]] = []
        self._error: BaseException | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Copy a checkpoint and have it written.

        Raises:
            StorageError: an earlier one could not be written.
        """
        self.check()
        copy = apply_to_collection(checkpoint, torch.Tensor, lambda held: held.detach().to("cpu", copy=True))
        with self._lock:
            is_waiting = str(path) in self._waiting
            self._waiting[str(path)] = copy, storage_options
            if not is_waiting:
                self._submit(self._write, str(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Have a checkpoint removed, once everything that was to be written before is written."""
        self.check()
        with self._lock:
            self._submit(self.inner.remove_checkpoint, str(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint, once everything is written."""
        self.drain()
        return self.inner.load_checkpoint(path, map_location, weights_only)

    def drain(self) -> None:
        """Wait until everything is written.

        Raises:
            StorageError: something could not be.
        """
        wait(self._jobs)
        self.check()

    def check(self) -> None:
        """Raise the error of a write that failed, once."""
        with self._lock:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def teardown(self) -> None:
        """Write what is left, and raise what went wrong."""
        try:
            self.drain()
        finally:
            self.inner.teardown()

    def _submit(self, act: Callable[[str], None], path: str) -> None:
        self._jobs = [job for job in self._jobs if not job.done()]
        self._jobs.append(self._writer.submit(self._attempt, act, path))

    def _write(self, path: str) -> None:
        with self._lock:
            checkpoint, options = self._waiting.pop(path)
        self.inner.save_checkpoint(checkpoint, path, options)

    def _attempt(self, act: Callable[[str], None], path: str) -> None:
        """Do a job; when it fails, none that waits is done."""
        try:
            act(path)
        except BaseException as error:  # whatever it is, it belongs to the thread that trains
            with self._lock:
                self._error = error
                self._waiting.clear()
                for job in self._jobs:
                    job.cancel()


class SavingErrors(L.Callback):
    """Ends training at the step after a write has failed."""

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Raise what went wrong, if anything did."""
        io = trainer.strategy.checkpoint_io
        if isinstance(io, AsyncCheckpointIO):
            io.check()
