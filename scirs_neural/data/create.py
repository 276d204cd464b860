"""Data by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scirs_neural.core.errors import ConfigError, ManyErrors, UnknownNameError
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.module import ImageDataModule
from scirs_neural.data.registry import DATA
from scirs_neural.data.table.table import TABLE_TASKS, TableDataModule


def create_data(
    name: str,
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
    **options: Any,
) -> ImageDataModule:
    """Make the data module of a named dataset.

    Args:
        name: a name of the registry `DATA`.
        seed: see `ImageDataModule`, as for all that follow.
        batch_size: samples a step and process.
        image_size: side of the square input in px.
        transforms: augmentation.
        mixup: alpha of MixUp.
        cutmix: alpha of CutMix.
        val_fraction: share of the training samples held out.
        test_fraction: share of all samples held out.
        split_seed: of the split.
        stratify: whether every class gives its share to each split.
        group_by: a column of the data whose equal values stay in one split.
        folds: the part that is the test split, in cross-validation.
        num_workers: loader processes.
        prefetch_factor: batches that each worker keeps ready.
        pin_memory: for copies to a GPU.
        persistent_workers: keep the workers between epochs.
        on_corrupt: "raise" or "skip".
        **options: the dataset's own, such as ``root``.

    Raises:
        UnknownNameError: no such dataset or option.
        DataError: the data is not usable.
        OfflineError: it would have to be downloaded.

    Example:
        >>> create_data("digits").spec.num_classes
        10
    """
    known = DATA.options(name)
    faults: list[ConfigError] = [
        UnknownNameError(
            f"data '{name}' has no option '{key}'", suggestions=did_you_mean(key, known), fix=_options_line(known)
        )
        for key in options
        if key not in known
    ]
    missing = [key for key, default in known.items() if default is REQUIRED and options.get(key) is None]
    faults += [ConfigError(f"data '{name}' needs {key}", fix=f"data.{key}=…") for key in missing]
    if faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    source = DATA.get(name)(**options)
    if source.task in TABLE_TASKS:
        images_only = {"image_size": image_size, "mixup": mixup, "cutmix": cutmix}
        asked = [key for key, value in images_only.items() if value]
        asked += ["transforms"] if transforms not in ("auto", "none") else []
        if asked:
            raise ConfigError(f"data.{asked[0]} is for images, and '{name}' has rows of numbers", fix="leave it out")
        return TableDataModule(
            source,
            seed=seed,
            batch_size=batch_size,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            split_seed=split_seed,
            stratify=stratify,
            group_by=group_by,
            folds=folds,
        )
    return ImageDataModule(
        source,
        seed=seed,
        batch_size=batch_size,
        image_size=image_size,
        transforms=transforms,
        mixup=mixup,
        cutmix=cutmix,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        stratify=stratify,
        group_by=group_by,
        folds=folds,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor,
        pin_memory=pin_memory,
        persistent_workers=persistent_workers,
        on_corrupt=on_corrupt,
    )


def _options_line(known: Mapping[str, Any]) -> str:
    return f"its options are {', '.join(known)}" if known else "it has no options of its own"
