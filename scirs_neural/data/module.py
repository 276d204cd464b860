"""The data of a run: splits, their description, and the loaders that feed a model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from scirs_neural.core.errors import ConfigError, DataError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.batching import BatchSampler, BatchSource, build_mix
from scirs_neural.data.dataset import ImageSplit
from scirs_neural.data.image.augment import build_augment
from scirs_neural.data.image.preprocess import build_preprocess
from scirs_neural.data.loader import ResumableLoader
from scirs_neural.data.samples import Samples, TensorSamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.spec import DataSpec, Preprocess
from scirs_neural.data.splits import SplitRule, divide

SPLITS = ("train", "val", "test")
MAX_WORKERS = 4
_MEASURED_IMAGES = 1024


class CorruptDataWarning(UserWarning):
    """Samples could not be read and were skipped."""


class ImageDataModule(LightningDataModule):
    """Images with labels, divided into "train", "val" and "test".

    Batches are (images float32 (N, C, H, W), targets int64 (N,)), or targets float32 (N, K) where a sample has several
    labels or samples are mixed. Everything random is a function of the seed, the epoch and the sample, so the batches
    are the same for any number of workers, and a run that is resumed meets the batches it would have met.

    Args:
        source: the samples and what is known about them.
        seed: of shuffling, augmentation and mixing.
        batch_size: samples a step and process.
        image_size: side of the square input in px; None: what suits the data.
        transforms: augmentation: a preset or a list (see `build_augment`); "auto": what suits the data.
        mixup: alpha of MixUp; 0 is off.
        cutmix: alpha of CutMix; 0 is off.
        val_fraction: share of the training samples held out, if the data has no validation split of its own.
        test_fraction: share of all samples held out, if the data has no test split of its own.
        split_seed: of the split.
        stratify: whether every class gives its share to each split.
        group_by: a column of the data whose equal values stay in one split (see `SplitRule`).
        folds: the part of the training samples that is the test split, in cross-validation (see `SplitRule`).
        num_workers: loader processes; None: 0 for data in memory, else one a CPU up to 4.
        prefetch_factor: batches that each worker keeps ready.
        pin_memory: None: when there is a GPU.
        persistent_workers: keep the workers between epochs.
        on_corrupt: "raise", or "skip" a sample that cannot be read (see `BatchSource`).
        drop_last: leave out training samples that make no full batch.

    Raises:
        DataError: the data is empty, has one class, or cannot be split.

    Example:
        >>> from scirs_neural.data import create_data
        >>> data = create_data("digits", batch_size=32, image_size=8)
        >>> data.spec.input_shape, dict(data.spec.sizes)
        ((1, 8, 8), {'train': 1294, 'val': 144, 'test': 359})
        >>> images, targets = next(iter(data.train_dataloader()))
        >>> images.shape, targets.dtype
        (torch.Size([32, 1, 8, 8]), torch.int64)
    """

    def __init__(
        self,
        source: DataSource,
        *,
        seed: int = 0,
        batch_size: int = 64,
        image_size: int | None = None,
        transforms: str | Sequence[str | Mapping[str, Any]] = "auto",
        mixup: float = 0.0,
        cutmix: float = 0.0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        stratify: bool = True,
        group_by: str | None = None,
        folds: Sequence[Mapping[str, int]] = (),
        num_workers: int | None = None,
        prefetch_factor: int = 2,
        pin_memory: bool | None = None,
        persistent_workers: bool = True,
        on_corrupt: str = "raise",
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        _check_classes(source)
        self.source, self.seed, self.batch_size = source, seed, batch_size
        self.transforms = source.augment if transforms == "auto" else transforms
        self.mixup, self.cutmix = mixup, cutmix
        self.prefetch_factor, self.pin_memory, self.persistent_workers = prefetch_factor, pin_memory, persistent_workers
        self.on_corrupt, self.drop_last = on_corrupt, drop_last
        self.skipped: dict[str, dict[Any, str]] = {split: {} for split in SPLITS}
        self._loaders: WeakSet[ResumableLoader] = WeakSet()  # a cycle would keep workers alive
        self._samples = divide(source, SplitRule(split_seed, stratify, group_by, val_fraction, test_fraction, folds))
        in_memory = isinstance(self._samples["train"], TensorSamples)
        self.num_workers = _checked_workers(num_workers, 0 if in_memory else min(_cpus(), MAX_WORKERS))
        self.spec = DataSpec(
            source.name,
            source.task,
            source.classes,
            _preprocess(source, self._samples["train"], image_size),
            {split: len(samples) for split, samples in self._samples.items()},
            source.multi_label,
            source.description,
            source.licence,
        )
        build_augment(self.transforms, source.kind, self.spec.preprocess)  # wrong names are said now, not in fit

    def use_preprocess(self, preprocess: Preprocess) -> None:
        """Feed images as another description says, such as that of pretrained weights. Before any loader is made."""
        self.spec = replace(self.spec, preprocess=preprocess)

    @property
    def corrupt_count(self) -> dict[str, int]:
        """How many different samples of each split could not be read so far; `skipped` names them, with reasons."""
        return {split: len(found) for split, found in self.skipped.items()}

    def dataset(self, split: str) -> ImageSplit:
        """The samples of a split, in the order of its evaluation loader, without augmentation.

        Raises:
            UnknownNameError: there is no split of that name.
            DataError: the split is empty.
        """
        if split not in SPLITS:
            known = ", ".join(SPLITS)
            raise UnknownNameError(
                f"unknown split '{split}'", suggestions=did_you_mean(split, SPLITS), fix=f"one of {known}"
            )
        if not len(self._samples[split]):
            raise DataError(
                f"data '{self.spec.name}' has no {split} split", fix=f"data.{split}_fraction=0.1, or give one"
            )
        return ImageSplit(self._samples[split], build_preprocess(self.spec.preprocess))

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled, augmented batches.

        Raises:
            DataError: there is no full batch, with ``drop_last``.
        """
        augment = build_augment(self.transforms, self.source.kind, self.spec.preprocess)
        mix = build_mix(self.mixup, self.cutmix, self.spec.num_classes)
        loader = self._loader("train", augment=augment, mix=mix, training=True)
        if len(loader) == 0:
            raise DataError(
                f"{len(loader.dataset)} training samples make no full batch of {self.batch_size}",  # type: ignore[arg-type]
                fix="a smaller data.batch_size, or keep the last batch",
            )
        return loader

    def val_dataloader(self) -> ResumableLoader | list[ResumableLoader]:
        """The validation samples in order; an empty list if there are none."""
        return self._loader("val") if len(self._samples["val"]) else []

    def test_dataloader(self) -> ResumableLoader | list[ResumableLoader]:
        """The test samples in order; an empty list if there are none."""
        return self._loader("test") if len(self._samples["test"]) else []

    def eval_dataloader(self, split: str) -> ResumableLoader:
        """Any split, the training one too, in order and without augmentation."""
        self.dataset(split)
        return self._loader(split)

    def teardown(self, stage: str) -> None:
        """Say what was skipped in passes that were broken off. Lightning calls it."""
        for loader in list(self._loaders):
            loader.report()

    def _loader(self, split: str, *, training: bool = False, **options: Any) -> ResumableLoader:
        dataset = self.dataset(split)
        source = self._batches(dataset, training=training, **options)
        drop_last = training and self.drop_last
        order = BatchSampler(
            len(dataset), self.batch_size, seed=self.seed, shuffle=training, drop_last=drop_last,
            window=self.source.shuffle_window,
        )  # fmt: skip
        workers: dict[str, Any] = {"num_workers": self.num_workers}
        if self.num_workers:
            workers |= {"prefetch_factor": self.prefetch_factor, "persistent_workers": self.persistent_workers}
        pin = torch.cuda.is_available() if self.pin_memory is None else self.pin_memory
        loader = ResumableLoader(source, order, on_skip=_Reporter(self, split), pin_memory=pin, **workers)
        self._loaders.add(loader)
        return loader

    def _batches(self, dataset: ImageSplit, **options: Any) -> Dataset[Any]:
        """What makes the batches of a split."""
        return BatchSource(dataset, seed=self.seed, on_corrupt=self.on_corrupt, **options)

    def note_skipped(self, split: str, found: Mapping[int, str]) -> None:
        """Count samples that could not be read, and warn of them."""
        ids, known = self._samples[split].ids, self.skipped[split]
        known.update({ids[index]: reason for index, reason in found.items()})
        first = f"{ids[min(found)]}: {found[min(found)]}"
        warnings.warn(
            f"{split}: {len(found)} of {len(ids)} samples could not be read and were skipped, the first: {first}",
            CorruptDataWarning,
            stacklevel=2,
        )


class _Reporter:
    def __init__(self, module: ImageDataModule, split: str) -> None:
        self.module, self.split = module, split

    def __call__(self, found: dict[int, str]) -> None:
        self.module.note_skipped(self.split, found)


def _check_classes(source: DataSource) -> None:
    if not len(source.train):
        raise DataError(f"data '{source.name}' has no training samples")
    if len(source.classes) < 2 and not source.multi_label:
        raise DataError(
            f"data '{source.name}' has one class ({source.classes[0]!r}): there is nothing to tell apart",
            fix="give samples of at least two classes",
        )


def _preprocess(source: DataSource, train: Samples, image_size: int | None) -> Preprocess:
    size = source.image_size if image_size is None else image_size
    height, width = (size, size) if isinstance(size, int) else size
    resize = round(min(height, width) * 8 / 7) if source.crop else None
    plain = Preprocess(
        source.channels, (height, width), resize, "bilinear", (0.0,) * source.channels, (1.0,) * source.channels
    )
    if source.mean is not None and source.std is not None:
        return replace(plain, mean=source.mean, std=source.std)
    mean, std = _measured(ImageSplit(train, build_preprocess(plain)))
    return replace(plain, mean=mean, std=std)


def _measured(split: ImageSplit) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel over the training images, or over evenly spaced ones of very many."""
    picked = np.unique(np.linspace(0, len(split) - 1, min(len(split), _MEASURED_IMAGES)).astype(int)).tolist()
    inputs = torch.stack([split.to_input(split.raw(i)) for i in picked]).double()
    mean, std = inputs.mean((0, 2, 3)), inputs.std((0, 2, 3), correction=0)
    std = torch.where(std > 1e-6, std, torch.ones_like(std))
    return tuple(round(float(x), 4) for x in mean), tuple(round(float(x), 4) for x in std)


def _checked_workers(wanted: int | None, automatic: int) -> int:
    """How many loader processes there will be. A slip of the finger must not bring the machine down."""
    if wanted is None:
        return automatic
    most = max(16, 8 * _cpus())
    if wanted > most:
        raise ConfigError(
            f"data.num_workers={wanted} would start {wanted} processes on {_cpus()} CPUs",
            fix=f"at most {most} here; null chooses what suits the data and machine",
        )
    return wanted


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
