"""The data of a run: splits, their description, and the loaders that feed a network."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakSet

import torch

from scirs_neural.core.errors import ConfigError, DataError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.batching import BatchSampler, BatchSource
from scirs_neural.data.dataset import Split
from scirs_neural.data.loader import ResumableLoader
from scirs_neural.data.mixing import build_mix
from scirs_neural.data.pipeline import Pipeline, field_of
from scirs_neural.data.registry import FIELDS, PIPELINES
from scirs_neural.data.samples import Describable
from scirs_neural.data.source import DataSource
from scirs_neural.data.spec import DataSpec
from scirs_neural.data.splits import SplitRule, divide

SPLITS = ("train", "val", "test")
MAX_WORKERS = 4
OFF: Mapping[str, Any] = {"image_size": None, "transforms": "auto", "mixup": 0.0, "cutmix": 0.0, "scale_targets": True}
"""Settings of some kinds of fields alone, with the values that ask for nothing."""


class CorruptDataWarning(UserWarning):
    """Samples could not be read and were skipped."""


class DataModule:
    """Samples of any kind, divided into "train", "val" and "test", with their spec, pipeline and loaders.

    Batches are plain dicts: "id", the inputs and the targets by name. Everything random is a function of the seed, the
    epoch and the sample, so the batches are the same for any number of workers, and a run that is resumed meets the
    batches it would have met.

    Args:
        source: the samples and what is known about them.
        seed: of shuffling, augmentation and mixing.
        batch_size: samples a step and process.
        val_fraction: fraction of the training samples held out, if the data has no validation split of its own.
        test_fraction: fraction of all samples held out, if the data has no test split of its own.
        split_seed: of the split.
        stratify: whether every class gives its fraction to each split.
        group_by: a column of the data whose equal values stay in one split (see `SplitRule`), and are drawn together
            for intervals (see `units`).
        folds: the part of the training samples that is the test split, in cross-validation (see `SplitRule`).
        num_workers: loader processes; None: 0 for data in memory, else one a CPU up to 4.
        prefetch_factor: batches that each worker keeps ready.
        pin_memory: None: when there is a GPU.
        persistent_workers: keep the workers between epochs.
        on_corrupt: "raise", or "skip" a sample that cannot be read (see `BatchSource`).
        drop_last: leave out training samples that make no full batch.
        spec: a saved description, which is taken instead of a measured one; sizes are counted anew.
        **settings: of the kinds of fields that the data has: ``image_size``, ``transforms``, ``mixup``, ``cutmix`` for
            images.

    Raises:
        DataError: the data is empty, has one class, or cannot be split.
        ConfigError: a setting is for a kind of field that the data does not have.

    Example:
        >>> from scirs_neural.data import create_data
        >>> data = create_data("digits", batch_size=32, image_size=8)
        >>> data.spec.input["size"], dict(data.spec.sizes)
        ([8, 8], {'train': 1294, 'val': 144, 'test': 359})
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["image"].shape, batch["label"].dtype, len(batch["id"])
        (torch.Size([32, 1, 8, 8]), torch.int64, 32)
    """

    def __init__(
        self,
        source: DataSource,
        *,
        seed: int = 0,
        batch_size: int = 64,
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
        spec: DataSpec | None = None,
        **settings: Any,
    ) -> None:
        if not len(source.train):
            raise DataError(f"data '{source.name}' has no training samples")
        for name, known in (*source.inputs.items(), *source.targets.items()):
            FIELDS.get(known["kind"]).check_known(name, known)
        _check_settings(source, settings)
        self.source, self.seed, self.batch_size, self.settings = source, seed, batch_size, settings
        self.prefetch_factor, self.pin_memory, self.persistent_workers = prefetch_factor, pin_memory, persistent_workers
        self.on_corrupt, self.drop_last, self.group_by = on_corrupt, drop_last, group_by
        self.skipped: dict[str, dict[Any, str]] = {split: {} for split in SPLITS}
        self._loaders: WeakSet[ResumableLoader] = WeakSet()  # a cycle would keep workers alive
        self._samples = divide(source, SplitRule(split_seed, stratify, group_by, val_fraction, test_fraction, folds))
        in_memory = self._samples["train"].stacked([0]) is not None
        self.num_workers = _checked_workers(num_workers, 0 if in_memory else min(_cpus(), MAX_WORKERS))
        self.use_spec(spec or self._fitted())

    def use_spec(self, spec: DataSpec) -> None:
        """Feed samples as another description of the same fields says. Before any loader is made."""
        for split, samples in self._samples.items():
            if isinstance(samples, Describable):
                self._samples[split] = samples.described_by(spec)
        sizes = {split: len(samples) for split, samples in self._samples.items()}
        self.spec = replace(spec, sizes=sizes)
        self.pipeline = self._pipeline(training=False)
        build_mix(self.settings.get("mixup", 0.0), self.settings.get("cutmix", 0.0), self.pipeline)

    @property
    def corrupt_count(self) -> dict[str, int]:
        """How many different samples of each split could not be read so far; `skipped` names them, with reasons."""
        return {split: len(skipped) for split, skipped in self.skipped.items()}

    def dataset(self, split: str) -> Split:
        """The samples of a split, in the order of its evaluation loader, without augmentation.

        Raises:
            UnknownNameError: there is no split of that name.
            DataError: the split is empty.
        """
        if split not in SPLITS:
            near = did_you_mean(split, SPLITS)
            raise UnknownNameError(f"unknown split '{split}'", suggestions=near, fix=f"one of {', '.join(SPLITS)}")
        if not len(self._samples[split]):
            raise DataError(
                f"data '{self.spec.name}' has no {split} split", fix=f"data.{split}_fraction=0.1, or give one"
            )
        return Split(self._samples[split], self.pipeline)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled, augmented batches.

        Raises:
            DataError: there is no full batch, with ``drop_last``.
        """
        loader = self._loader("train", training=True)
        if len(loader) == 0:
            raise DataError(
                f"{len(self._samples['train'])} training samples make no full batch of {self.batch_size}",
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
        return self._loader(split)

    def units(self, split: str) -> dict[str, str] | None:
        """What each sample of a split belongs to, by the sample's id: its value of ``group_by``, or of a column "unit".

        Samples of one unit (patient, document, series) are no independent tests; intervals draw units as wholes. None
        where every sample stands for itself.
        """
        samples = self._samples[split]
        values = samples.columns.get(self.group_by or "unit")
        return None if values is None else dict(zip(map(str, samples.ids), map(str, values), strict=True))

    def report(self) -> None:
        """Say what was skipped in passes that were broken off."""
        for loader in list(self._loaders):
            loader.report()

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

    def _fitted(self) -> DataSpec:
        """The description, measured on the training samples."""
        source, train = self.source, self._samples["train"]

        def fit(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
            return {n: FIELDS.get(known["kind"]).fit(n, known, train, self.settings) for n, known in fields.items()}

        inputs, targets = fit(source.inputs), fit(source.targets)
        return DataSpec(source.name, inputs, targets, {}, source.description, source.licence, source.pipeline)

    def _pipeline(self, *, training: bool) -> Pipeline:
        made: Pipeline = PIPELINES.get(self.spec.pipeline)(self.spec)
        if training:
            for fields, known in ((made.inputs, self.source.inputs), (made.targets, self.source.targets)):
                for name, held in fields.items():
                    fields[name] = field_of(name, held.spec, {**self.settings, **known.get(name, {})})
        return made

    def _loader(self, split: str, *, training: bool = False) -> ResumableLoader:
        self.dataset(split)
        samples = self._samples[split]
        pipeline = self._pipeline(training=True) if training else self.pipeline
        mix = None
        if training:
            mix = build_mix(self.settings.get("mixup", 0.0), self.settings.get("cutmix", 0.0), pipeline)
        stage = "train" if training else "val"
        batches = BatchSource(samples, pipeline, seed=self.seed, stage=stage, mix=mix, on_corrupt=self.on_corrupt)
        order = BatchSampler(
            len(samples), self.batch_size, seed=self.seed, shuffle=training,
            drop_last=training and self.drop_last, window=self.source.shuffle_window,
        )  # fmt: skip
        workers: dict[str, Any] = {"num_workers": self.num_workers}
        if self.num_workers:
            workers |= {"prefetch_factor": self.prefetch_factor, "persistent_workers": self.persistent_workers}
        pin = torch.cuda.is_available() if self.pin_memory is None else self.pin_memory
        loader = ResumableLoader(batches, order, on_skip=partial(self.note_skipped, split), pin_memory=pin, **workers)
        self._loaders.add(loader)
        return loader


def _check_settings(source: DataSource, settings: Mapping[str, Any]) -> None:
    """Refuse settings that no field of the data understands."""
    fields = [FIELDS.get(known["kind"]) for known in (*source.inputs.values(), *source.targets.values())]
    used = {name for kind in fields for name in kind.settings_used}
    for name, value in settings.items():
        if name in used or (name in OFF and value == OFF[name]) or (name == "transforms" and value == "none"):
            continue
        kinds = sorted(kind for kind in FIELDS if name in FIELDS.get(kind).settings_used)
        shown = ", ".join(f"{n} ({known['kind']})" for n, known in source.inputs.items())
        if not kinds:
            known_names = sorted({key for kind in FIELDS for key in FIELDS.get(kind).settings_used})
            raise UnknownNameError(
                f"data '{source.name}' has no option '{name}'", suggestions=did_you_mean(name, known_names)
            )
        raise ConfigError(
            f"data.{name} is for {' or '.join(kinds)} fields, and '{source.name}' has {shown}", fix="leave it out"
        )


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
