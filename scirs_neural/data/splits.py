"""Who is in which split: seeded, stratified by class, groups kept together, and without overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, train_test_split

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.samples import Samples
from scirs_neural.data.source import DataSource

MAX_PARTS = 10  # groups are divided into so many parts at most, of which some are held out


@dataclass(frozen=True)
class SplitRule:
    """How samples are drawn.

    Args:
        seed: of every draw.
        stratify: whether each class gives its fraction; has no meaning with several labels a sample.
        group_by: a column of the data: samples with the same value stay together. None: every sample for itself.
        val_fraction: fraction of the training samples held out, if there is no validation split.
        test_fraction: fraction of all samples held out, if there is no test split.
        folds: ``{"index": 0, "of": 5, "repeat": 0}``: that part of the training samples is the test split; with
            several of them, each divides what those before it left to learn from.
    """

    seed: int = 0
    stratify: bool = True
    group_by: str | None = None
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    folds: Sequence[Mapping[str, int]] = ()


def divide(source: DataSource, rule: SplitRule) -> dict[str, Samples]:
    """The samples of "train", "val" and "test"; no sample, and no group, is in two of them.

    Raises:
        DataError: there are too few samples, no such column to group by, or a group is in two given splits.
    """
    held = source.train
    groups = None if rule.group_by is None else _groups(source, rule.group_by)
    train, targets = np.arange(len(held)), strata(source) if rule.stratify else None
    val, test = source.val, source.test
    if test is None:
        train, taken = hold_out(train, targets, rule.test_fraction, rule.seed, "test", groups)
        test = held.chosen(taken.tolist())
    for fold in rule.folds:
        parts = list(folds_of(train, targets, fold["of"], rule.seed + fold.get("repeat", 0), groups))
        train, taken = parts[fold["index"]]
        test = held.chosen(taken.tolist())
    if val is None:
        train, taken = hold_out(train, targets, rule.val_fraction, rule.seed, "val", groups)
        val = held.chosen(taken.tolist())
    return {"train": held if len(train) == len(held) else held.chosen(train.tolist()), "val": val, "test": test}


def strata(source: DataSource) -> np.ndarray | None:
    """The class numbers of the training samples by the first target of one class; None if there is none in memory."""
    for name in source.targets:
        values = source.train.known(name)
        if values is not None and values.ndim == 1 and values.dtype.kind in "iu":
            return values
    return None


def hold_out(
    indices: np.ndarray,
    classes: np.ndarray | None,
    fraction: float,
    seed: int,
    split: str,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Take a fraction of the samples out for another split.

    Every class gives its fraction, to within one sample; without ``classes`` the draw is plain. Groups are divided into
    at most ten parts of like size (and classes), and whole parts are taken, so the fraction is met as nearly as parts
    and groups allow.

    Args:
        indices: the samples to divide.
        classes: the class number of every sample, or None, where there is none to stratify by.
        fraction: of ``indices`` to take out; 0 takes none, more takes at least one a class.
        seed: of the draw.
        split: what they are for, for the error.
        groups: of all samples: those with the same value stay together.

    Returns:
        Those that stay and those taken out, each in ascending order.

    Raises:
        DataError: a class has a single sample, or the fraction leaves none.

    Source: scikit-learn's `train_test_split`, `StratifiedGroupKFold` and `GroupKFold`.
    """
    if fraction == 0:
        return np.sort(indices), indices[:0]
    if groups is not None:
        return _hold_out_groups(indices, classes, fraction, seed, split, groups)
    labels = None if classes is None else classes[indices]
    at_least = 1 if labels is None else len(np.unique(labels))
    count = max(at_least, round(fraction * len(indices)))
    try:
        kept, taken = train_test_split(indices, test_size=count, random_state=seed, stratify=labels)
    except ValueError as error:
        of_classes = "" if labels is None else f" of {at_least} classes"
        raise DataError(
            f"{len(indices)} samples{of_classes} are too few to take {count} of them as the {split} split",
            fix=f"give every class at least two samples, or set data.{split}_fraction=0",
        ) from error
    return np.sort(kept), np.sort(taken)


def folds_of(
    indices: np.ndarray,
    classes: np.ndarray | None,
    parts: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Divide samples into so many parts; for each part, the samples outside of it and those in it.

    Example:
        >>> [held.tolist() for _, held in folds_of(np.arange(6), np.array([0, 1] * 3), 3, seed=0)]
        [[3, 4], [2, 5], [0, 1]]

    Raises:
        DataError: there are too few samples, groups, or samples of a class.

    Source: scikit-learn's `StratifiedKFold`, `KFold`, `StratifiedGroupKFold` and `GroupKFold`, shuffled by ``seed``.
    """
    labels = None if classes is None else classes[indices]
    together = None if groups is None else groups[indices]
    scarce = len(indices) if labels is None else int(np.unique(labels, return_counts=True)[1].min())
    available = scarce if together is None else min(scarce, len(np.unique(together)))
    if available < parts:
        what = "groups" if together is not None and available < scarce else "samples of the rarest class"
        raise DataError(
            f"{available} {what if labels is not None or together is not None else 'samples'} cannot be "
            f"divided into {parts} parts",
            fix="ask for fewer folds" if labels is None else "ask for fewer folds, or set data.stratify=false",
        )
    kinds = (KFold, StratifiedKFold) if together is None else (GroupKFold, StratifiedGroupKFold)
    splitter: Any = kinds[labels is not None](parts, shuffle=True, random_state=seed)
    for kept, held in splitter.split(np.zeros(len(indices)), labels, together):
        yield np.sort(indices[kept]), np.sort(indices[held])


def _hold_out_groups(
    indices: np.ndarray,
    classes: np.ndarray | None,
    fraction: float,
    seed: int,
    split: str,
    groups: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(len(indices), dtype=int) if classes is None else classes[indices]
    most = min(MAX_PARTS, len(np.unique(groups[indices])), int(np.unique(labels, return_counts=True)[1].min()))
    if most < 2:
        raise DataError(
            f"{len(indices)} samples in {len(np.unique(groups[indices]))} groups cannot give a {split} split",
            fix=f"every class needs two samples, and there must be two groups; or set data.{split}_fraction=0",
        )
    nearest = Fraction(fraction).limit_denominator(most) or Fraction(1, most)
    nearest = min(nearest, Fraction(most - 1, most))
    parts = list(folds_of(indices, classes, nearest.denominator, seed, groups))
    taken = np.sort(np.concatenate([held for _, held in parts[: nearest.numerator]]))
    return np.setdiff1d(indices, taken), taken


def _groups(source: DataSource, column: str) -> np.ndarray:
    """The group of every training sample.

    Raises:
        DataError: there is no such column, or a given split has a group of another one.
    """
    seen: dict[str, str] = {}
    for split, samples in (("train", source.train), ("val", source.val), ("test", source.test)):
        if samples is None:
            continue
        for value in set(column_of(samples, column, source.name)):
            if seen.setdefault(value, split) != split:
                raise DataError(
                    f"{column}={value} is in the splits {seen[value]} and {split} of data '{source.name}'",
                    fix="leave each group in one split, or leave out data.group_by",
                )
    return np.asarray(column_of(source.train, column, source.name), dtype=np.str_)


def column_of(samples: Samples, column: str, data: str) -> Sequence[str]:
    """One column of what is known of each sample beside its image and label.

    Raises:
        DataError: the data has no such column.
    """
    if column not in samples.columns:
        have = ", ".join(samples.columns)
        raise DataError(
            f"data '{data}' has no column '{column}'",
            suggestions=did_you_mean(column, samples.columns),
            fix=f"its columns are {have}" if have else "columns come from a csv file, or from_arrays(columns=…)",
        )
    return samples.columns[column]
