"""A loader that knows where it stands, so that a run goes on at the very batch where it stopped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from scirs_neural.core.errors import ScirsError, WorkerError
from scirs_neural.data.batching import BatchSampler, Made, rank_and_world_size
from scirs_neural.data.context import Batch


class ResumableLoader(DataLoader["Made | ScirsError"]):
    """A DataLoader over whole batches whose place is part of a checkpoint.

    Lightning calls ``state_dict`` and ``load_state_dict`` by themselves, and the sampler's ``set_epoch``. In a loop of
    your own nothing need be called: each pass that reaches its end moves on to the next epoch.

    Args:
        dataset: makes the batches.
        sampler: says which.
        on_skip: called once a pass with the samples that could not be read, {index: reason}, if there were any.
        **options: DataLoader's own, such as ``num_workers``.

    Yields:
        Batches: plain dicts, see `scirs_neural.data.context.Batch`.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: BatchSampler,
        *,
        on_skip: Callable[[dict[int, str]], None] | None = None,
        **options: Any,
    ) -> None:
        options = {**options, "batch_size": None, "collate_fn": _as_it_is}
        options["generator"] = torch.Generator()  # DataLoader draws a number a pass, from torch's own stream if it may
        super().__init__(dataset, sampler=sampler, **options)
        self.on_skip = on_skip
        self.epoch, self.place = 0, 0
        self._unreported: dict[int, str] = {}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self._order.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The place: epoch, batches given out in it, and how many samples a step has over all ranks."""
        return {"epoch": self.epoch, "batches": self.place, "samples_per_step": self._samples_per_step()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a place. After a whole epoch that is the start of the next one.

        With another batch size or number of processes than the place was made with, the pass goes on at the last step
        that begins no later, and a warning says so.
        """
        now, start = self._samples_per_step(), state["batches"]
        if state["samples_per_step"] != now:
            seen, total = start * state["samples_per_step"], self._order.num_samples
            start = len(self) if seen >= total else seen // now
            warnings.warn(
                f"a step now has {now} samples instead of {state['samples_per_step']}: epoch {state['epoch']} goes on "
                f"after {min(start * now, total)} of its samples, where {seen} had been seen",
                stacklevel=2,
            )
        finished = start >= len(self)
        self.epoch, self.place = state["epoch"], start
        self._order.epoch, self._order.start = state["epoch"] + finished, 0 if finished else start

    def report(self) -> None:
        """Say which samples could not be read since the last time. Called by itself once a pass."""
        skipped, self._unreported = self._unreported, {}
        if skipped and self.on_skip is not None:
            self.on_skip(skipped)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # of the batches that workers made
        order, count = self._order, len(self)
        batches = super().__iter__()
        self.epoch, self.place, order.start = order.epoch, order.start, 0
        try:
            for made in _from_living_workers(batches, self.num_workers):
                if isinstance(made, ScirsError):
                    raise made
                self._unreported.update(made.skipped)
                self.place += 1
                if self.place == count:  # now, not after the last batch: who knows the length never asks for more
                    order.set_epoch(self.epoch + 1)
                    self.report()
                if made.batch["id"]:
                    yield made.batch
        finally:
            self.report()  # of a pass that is broken off

    @property
    def _order(self) -> BatchSampler:
        assert isinstance(self.sampler, BatchSampler)
        return self.sampler

    def _samples_per_step(self) -> int:
        return self._order.batch_size * rank_and_world_size()[1]


def _from_living_workers(batches: Iterator[Any], num_workers: int) -> Iterator[Any]:
    """The batches; a loader process that dies is an error of its own, whatever its death looks like from here."""
    try:
        yield from batches
    except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
        said = str(error)
        is_ours = num_workers == 0 or "Caught " in said  # an error of the data's, handed on by a process that lives
        if is_ours or (isinstance(error, RuntimeError) and not is_worker_death(error)):
            raise
        raise worker_error(error) from error


def is_worker_death(error: RuntimeError) -> bool:
    """Whether this is what torch raises when a loader process dies: wherever the program is at that moment."""
    return str(error).startswith("DataLoader worker (pid")


def worker_error(error: Exception) -> WorkerError:
    """What a user is to know of a loader process that died."""
    said = str(error)
    return WorkerError(
        f"a loader process died: {said.splitlines()[0] if said else type(error).__name__}",
        fix="most often memory: fewer data.num_workers, or a larger /dev/shm; trainer.resume=auto goes on",
    )


def _as_it_is(made: Made) -> Made:
    return made
