"""Checkpoints that are written while training goes on: a step waits for a copy of the state, never for the disk."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.utilities.apply_func import apply_to_collection
from lightning.pytorch.plugins.io import CheckpointIO


@dataclass
class _Job:
    """What the writer is to do with a path: write a checkpoint, or remove it."""

    path: str
    checkpoint: dict[str, Any] | None
    options: Any = None


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
        self._jobs: deque[_Job] = deque()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._error: BaseException | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Copy a checkpoint and have it written.

        Raises:
            StorageError: an earlier one could not be written.
        """
        self.check()
        copy = apply_to_collection(checkpoint, torch.Tensor, lambda held: held.detach().to("cpu", copy=True))
        with self._state:
            for job in self._jobs:
                if job.path == str(path) and job.checkpoint is not None:
                    job.checkpoint, job.options = copy, storage_options
                    return
            self._add(_Job(str(path), copy, storage_options))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Have a checkpoint removed, once everything that was to be written before is written."""
        self.check()
        with self._state:
            self._add(_Job(str(path), None))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint, once everything is written."""
        self.drain()
        return self.inner.load_checkpoint(path, map_location, weights_only)

    def drain(self) -> None:
        """Wait until everything is written.

        Raises:
            StorageError: something could not be.
        """
        with self._state:
            self._state.wait_for(lambda: not self._jobs and not self._busy)
        self.check()

    def check(self) -> None:
        """Raise the error of a write that failed, once."""
        with self._state:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def teardown(self) -> None:
        """Write what is left, end the thread, and raise what went wrong."""
        try:
            self.drain()
        finally:
            self.inner.teardown()

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints")  # no daemon: the exit waits for it
            self._thread.start()

    def _work(self) -> None:
        """Do the jobs in order; end when there are none."""
        while True:
            with self._state:
                if not self._jobs:
                    self._thread = None
                    return
                job, self._busy = self._jobs.popleft(), True
            error: BaseException | None = None
            try:
                if job.checkpoint is None:
                    self.inner.remove_checkpoint(job.path)
                else:
                    self.inner.save_checkpoint(job.checkpoint, job.path, job.options)
            except BaseException as raised:  # whatever it is, it belongs to the thread that trains
                error = raised
            with self._state:
                self._busy = False
                if error is not None:
                    self._error = error
                    self._jobs.clear()
                self._state.notify_all()


class SavingErrors(L.Callback):
    """Ends training at the step after a write has failed."""

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Raise what went wrong, if anything did."""
        io = trainer.strategy.checkpoint_io
        if isinstance(io, AsyncCheckpointIO):
            io.check()
