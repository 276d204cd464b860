"""Which samples make a batch, and how a batch is made, as pure functions of (seed, epoch, step, rank).

Nothing here keeps random state, so a run that was interrupted draws what the unbroken one would have drawn, with any
number of loader workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import distributed as dist
from torch.utils.data import Dataset, Sampler

from scirs_neural.core.errors import DataError, ScirsError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.mixing import Mix
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.data.samples import Samples


class BatchKey(NamedTuple):
    """All that decides a batch, beside the run's seed."""

    epoch: int
    step: int
    rank: int
    indices: tuple[int, ...]


class Made(NamedTuple):
    """What a worker hands to the loader: a batch, and the samples that it had to leave out, with the reasons."""

    batch: Batch
    skipped: tuple[tuple[int, str], ...] = ()


class BatchSampler(Sampler[BatchKey]):
    """The batches of one process in one epoch.

    The order is a permutation drawn from (seed, epoch), or the order of the data. Ranks take every world-size-th
    sample of it: so together they see, at each step, the samples that one process would see with a batch that is
    world-size times as large. No sample is repeated to even out the ranks. All ranks have equally many
    batches; some last ones are a sample smaller. (Only a batch size of 1 cannot be evened out.)

    Rank and world size are read from torch.distributed when the epoch begins.

    Args:
        num_samples: how many there are.
        batch_size: samples a batch and process.
        seed: of the shuffling.
        shuffle: whether to. A shuffled epoch never ends with a batch of a single sample, on which BatchNorm fails,
            if another batch can spare one.
        drop_last: leave out the samples that make no full batch.
        window: shuffle so many samples in a row among each other, and then the next; None: all.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        window: int | None = None,
    ) -> None:
        self.num_samples, self.batch_size = num_samples, batch_size
        self.seed, self.shuffle, self.drop_last = seed, shuffle, drop_last
        self.window = window or max(1, num_samples)
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch. A place to start from, given for another epoch, is forgotten."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def order(self) -> list[int]:
        """All samples in the order of this epoch, of all ranks together."""
        if not self.shuffle:
            return list(range(self.num_samples))
        stream = torch.Generator().manual_seed(stream_seed("shuffle", self.seed, self.epoch))
        starts = range(0, self.num_samples, self.window)
        sizes = (min(self.window, self.num_samples - start) for start in starts)
        parts = [start + torch.randperm(size, generator=stream) for start, size in zip(starts, sizes, strict=True)]
        return torch.cat(parts).tolist() if parts else []

    def batches(self, rank: int = 0, world_size: int = 1) -> list[list[int]]:
        """The whole epoch's batches of one rank."""
        mine, size = self.order()[rank::world_size], self.batch_size
        if self.drop_last:
            return [mine[i * size : (i + 1) * size] for i in range(self._count(world_size))]
        cut = [mine[i : i + size] for i in range(0, len(mine), size)]
        if len(cut) < self._count(world_size) and cut and len(cut[-1]) > 1:
            cut.append([cut[-1].pop()])
        if self.shuffle and len(cut) > 1 and len(cut[-1]) == 1 and len(cut[-2]) > 2:
            cut[-1].insert(0, cut[-2].pop())
        return cut

    def __len__(self) -> int:
        return self._count(rank_and_world_size()[1])

    def __iter__(self) -> Iterator[BatchKey]:
        rank, world_size = rank_and_world_size()
        keys = [BatchKey(self.epoch, step, rank, tuple(ids)) for step, ids in enumerate(self.batches(rank, world_size))]
        return iter(keys[self.start :])  # a list, not a generator: the place is read now, not at the first batch

    def _count(self, world_size: int) -> int:
        if self.drop_last:
            return self.num_samples // (self.batch_size * world_size)
        return math.ceil(math.ceil(self.num_samples / world_size) / self.batch_size)


_sharing = 1


def share_batches(group_size: int) -> None:
    """Let so many ranks in a row see the same batches: those that hold parts of one network (tensor parallelism)."""
    global _sharing
    _sharing = group_size


def rank_and_world_size() -> tuple[int, int]:
    """This process's place among those that see different batches; (0, 1) if it is alone."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() // _sharing, dist.get_world_size() // _sharing
    return 0, 1


class BatchSource(Dataset["Made | ScirsError"]):
    """Makes batches: a map from `BatchKey` to `Made`. Lives in the loader's workers.

    An error that the user must see is handed back instead of being raised: torch would turn it into a text with the
    worker's traceback and lose its parts.

    Args:
        samples: of one split.
        pipeline: makes batches of them.
        seed: of augmentation and mixing.
        stage: "train", where fields may augment, or another.
        mix: MixUp or CutMix, applied to the batch.
        on_corrupt: "raise", or "skip". In training the next sample that can be read takes the place of one
            that cannot, so batches keep their size and ranks stay in step; in evaluation it is left out, so that no
            sample counts twice.
    """

    def __init__(
        self,
        samples: Samples,
        pipeline: Pipeline,
        *,
        seed: int = 0,
        stage: str = "val",
        mix: Mix | None = None,
        on_corrupt: str = "raise",
    ) -> None:
        self.samples, self.pipeline, self.seed, self.stage = samples, pipeline, seed, stage
        self.mix, self.on_corrupt = mix, on_corrupt
        self.names = [str(name) for name in samples.ids]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: BatchKey) -> Made | ScirsError:
        try:
            return self._make(key)
        except ScirsError as error:
            return error

    def _make(self, key: BatchKey) -> Made:
        ctx = Context(self.stage, self.seed, key.epoch, key.step, key.rank)
        indices: list[int] = list(key.indices)
        skipped: list[tuple[int, str]] = []
        columns = self.samples.stacked(indices)
        if columns is None:
            read = [(index, row) for index, row in (self._readable(i, skipped) for i in indices) if row is not None]
            indices, columns = [index for index, _ in read], self.pipeline.columns([row for _, row in read])
        batch = self.pipeline.batch([self.names[index] for index in indices], columns, ctx, indices)
        if self.mix is not None and indices:
            batch = self.mix(batch, ctx)
        return Made(batch, tuple(skipped))

    def _readable(self, wanted: int, skipped: list[tuple[int, str]]) -> tuple[int, dict[str, Any] | None]:
        is_training = self.stage == "train"
        tries = len(self.samples) if is_training and self.on_corrupt == "skip" else 1
        for step in range(tries):
            index = (wanted + step) % len(self.samples)
            try:
                raw = {ID: self.names[index], **self.samples.raw(index)}
                return index, self.pipeline.encode(raw, targets=True)
            except DataError as error:
                if self.on_corrupt == "raise":
                    raise _at_sample(error, index) from error
                skipped.append((index, error.what))
        if is_training:
            raise DataError(f"none of the {len(self.samples)} samples can be read", where=self.names[wanted])
        return wanted, None


def _at_sample(error: DataError, index: int) -> DataError:
    what = f"sample {index}: {error.what}"
    fix = error.fix or "repair or remove it, or leave such samples out with data.on_corrupt=skip"
    return DataError(what, where=error.where, suggestions=error.suggestions, fix=fix, see=error.see)
