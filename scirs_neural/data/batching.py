"""Which samples make a batch, and how a batch is made, as pure functions of (seed, epoch, step, rank).

Nothing here keeps random state, so a run that was interrupted draws what the unbroken one would have drawn, with any
number of loader workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch import distributed as dist
from torch.utils.data import Dataset, Sampler
from torchvision.transforms import v2

from scirs_neural.core.errors import DataError, ScirsError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.dataset import ImageSplit
from scirs_neural.data.image.augment import Augment, seeded

Reseed = Callable[[int], object]


class BatchKey(NamedTuple):
    """All that decides a batch, beside the run's seed."""

    epoch: int
    step: int
    rank: int
    indices: tuple[int, ...]


class Batch(NamedTuple):
    """What a worker hands to the loader: the batch itself, and what it had to leave out."""

    images: Tensor
    targets: Tensor
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


class BatchSource(Dataset["Batch | ScirsError"]):
    """Makes batches: a map from `BatchKey` to `Batch`. Lives in the loader's workers.

    An error that the user must see is handed back instead of being raised: torch would turn it into a text with the
    worker's traceback and lose its parts.

    Args:
        split: the samples.
        seed: of augmentation and mixing.
        augment: applied to each sample, seeded by (seed, epoch, sample); None in evaluation.
        mix: MixUp or CutMix, applied to the batch, seeded by (seed, epoch, step, rank).
        on_corrupt: "raise", or "skip". In training the next sample that can be read takes the place of one
            that cannot, so batches keep their size and ranks stay in step; in evaluation it is left out, so that no
            sample counts twice.
        training: see ``on_corrupt``.
    """

    def __init__(
        self,
        split: ImageSplit,
        *,
        seed: int = 0,
        augment: Augment | None = None,
        mix: v2.Transform | None = None,
        on_corrupt: str = "raise",
        training: bool = False,
    ) -> None:
        self.split, self.seed, self.augment, self.mix = split, seed, augment, mix
        self.on_corrupt, self.training = on_corrupt, training

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: BatchKey) -> Batch | ScirsError:
        try:
            return self._make(key)
        except ScirsError as error:
            return error

    def _make(self, key: BatchKey) -> Batch:
        to_input = self.split.to_input
        with seeded() as reseed:
            images, indices, skipped = self._pictures(key, reseed)
            inputs, targets = to_input.normalise(images), self.split.targets[indices]
            if self.mix is not None and len(indices):
                reseed(stream_seed("mix", self.seed, key.epoch, key.step, key.rank))
                inputs, targets = self.mix(inputs, targets)
        return Batch(inputs, targets, tuple(skipped))

    def _pictures(self, key: BatchKey, reseed: Reseed) -> tuple[Tensor, Tensor, list[tuple[int, str]]]:
        to_input, augment = self.split.to_input, self.augment
        raw = self.split.stacked(key.indices)
        if raw is not None:
            images = raw if augment and augment.crops else to_input.fit(raw)
            if augment is not None:
                seeds = [self._seed(key, index) for index in key.indices]
                images = torch.stack([self._at_size(image) for image in augment.batch(images, seeds, reseed)])
            return images, torch.tensor(key.indices), []
        pictures: list[Tensor] = []
        indices: list[int] = []
        skipped: list[tuple[int, str]] = []
        for wanted in key.indices:
            index, picture = self._readable(wanted, skipped)
            if picture is None:
                continue
            if augment is None or not augment.crops:
                picture = to_input.fit(picture)
            if augment is not None:
                reseed(self._seed(key, index))
                picture = self._at_size(augment(picture))
            pictures.append(picture)
            indices.append(index)
        if not pictures:
            channels, size = to_input.preprocess.channels, to_input.preprocess.size
            return torch.empty(0, channels, *size), torch.empty(0, dtype=torch.int64), skipped
        return torch.stack(pictures), torch.tensor(indices), skipped

    def _seed(self, key: BatchKey, index: int) -> int:
        return stream_seed("augment", self.seed, key.epoch, index)

    def _at_size(self, picture: Tensor) -> Tensor:
        to_input = self.split.to_input
        return picture if picture.shape[-2:] == to_input.preprocess.size else to_input.fit(picture)

    def _readable(self, wanted: int, skipped: list[tuple[int, str]]) -> tuple[int, Tensor | None]:
        tries = len(self.split) if self.training and self.on_corrupt == "skip" else 1
        for step in range(tries):
            index = (wanted + step) % len(self.split)
            try:
                return index, self.split.raw(index)
            except DataError as error:
                if self.on_corrupt == "raise":
                    raise _at_sample(error, index) from error
                skipped.append((index, error.what))
        if self.training:
            raise DataError(f"none of the {len(self.split)} samples can be read", where=str(self.split.ids[wanted]))
        return wanted, None


def _at_sample(error: DataError, index: int) -> DataError:
    what = f"sample {index}: {error.what}"
    fix = error.fix or "repair or remove it, or leave such samples out with data.on_corrupt=skip"
    return DataError(what, where=error.where, suggestions=error.suggestions, fix=fix, see=error.see)


def build_mix(mixup: float, cutmix: float, num_classes: int) -> v2.Transform | None:
    """MixUp, CutMix, or for each batch one of the two; None if both are off.

    Args:
        mixup: alpha of MixUp's Beta distribution; 0 is off.
        cutmix: alpha of CutMix's; 0 is off.
        num_classes: targets become rows of so many numbers.

    Source: Zhang et al. 2018 (arXiv:1710.09412), Yun et al. 2019 (arXiv:1905.04899); torchvision's code.
    """
    chosen: list[v2.Transform] = []
    if mixup > 0:
        chosen.append(v2.MixUp(alpha=mixup, num_classes=num_classes))
    if cutmix > 0:
        chosen.append(v2.CutMix(alpha=cutmix, num_classes=num_classes))
    return v2.RandomChoice(chosen) if len(chosen) > 1 else next(iter(chosen), None)
