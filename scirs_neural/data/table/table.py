"""Rows of numbers: from a csv file, from scikit-learn, or from arrays; for classes, or for numbers to be predicted.

A row is fed as it would be an image of one pixel with a channel for each number, scaled by the mean and deviation of
the training rows.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.batching import Batch, BatchKey
from scirs_neural.data.dataset import ImageSplit
from scirs_neural.data.image.labels import class_names, class_targets
from scirs_neural.data.loader import ResumableLoader
from scirs_neural.data.module import SPLITS, ImageDataModule
from scirs_neural.data.samples import TensorSamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.spec import DataSpec, Preprocess
from scirs_neural.data.splits import SplitRule, divide

CLASSES, NUMBERS = "table_classification", "regression"
TABLE_TASKS = (CLASSES, NUMBERS)
_TINY = 1e-8  # a column of one value is not scaled


class TableDataModule(ImageDataModule):
    """Rows of numbers, divided into "train", "val" and "test", with the loaders of images.

    Args:
        source: rows (N, F) as its samples' images, and for ``task`` one of `TABLE_TASKS`.
        seed: of shuffling.
        batch_size: samples a step and process.
        val_fraction: share of the training rows held out, if there is no validation split.
        test_fraction: share of all rows held out, if there is no test split.
        split_seed: of the split.
        stratify: whether every class gives its share to each split.
        group_by: a column whose equal values stay in one split.
        folds: see `SplitRule`.
        scale: whether to scale each column, and the numbers to be predicted, to mean 0 and deviation 1.

    Raises:
        DataError: the data is empty, has one class, or cannot be split.

    Example:
        >>> from scirs_neural.data import create_data
        >>> data = create_data("diabetes")
        >>> data.spec.task, data.spec.input_shape, dict(data.spec.sizes)
        ('regression', (10,), {'train': 319, 'val': 35, 'test': 88})
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
        scale: bool = True,
    ) -> None:
        LightningDataModule.__init__(self)
        if source.task == CLASSES and len(source.classes) < 2:
            raise DataError(f"data '{source.name}' has one class: there is nothing to tell apart")
        self.source, self.seed, self.batch_size = source, seed, batch_size
        self.skipped: dict[str, dict[Any, str]] = {split: {} for split in SPLITS}
        self._loaders: WeakSet[ResumableLoader] = WeakSet()
        self.num_workers, self.pin_memory, self.drop_last = 0, None, False
        stratify = stratify and source.task == CLASSES
        self._samples = divide(source, SplitRule(split_seed, stratify, group_by, val_fraction, test_fraction, folds))
        train = self._samples["train"]
        assert isinstance(train, TensorSamples)
        mean, std = _scaling(train.images, scale)
        target_mean, target_std = _scaling(train.targets.reshape(len(train), -1), scale)
        is_regression = source.task == NUMBERS
        self.spec = DataSpec(
            source.name,
            source.task,
            source.classes,
            Preprocess(len(mean), (1, 1), None, "nearest", mean, std),
            {split: len(samples) for split, samples in self._samples.items()},
            description=source.description,
            licence=source.licence,
            shape=(len(mean),),
            target_mean=target_mean if is_regression else (),
            target_std=target_std if is_regression else (),
        )

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches."""
        return self._loader("train", training=True)

    def _batches(self, dataset: ImageSplit, **options: Any) -> Dataset[Any]:
        samples = dataset.samples
        assert isinstance(samples, TensorSamples)
        return _Rows(scale_rows(samples.images, self.spec.preprocess), samples.targets)


class _Rows(Dataset["Batch"]):
    """Makes batches of rows that are in memory and scaled already."""

    def __init__(self, rows: Tensor, targets: Tensor) -> None:
        self.rows, self.targets = rows, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: BatchKey) -> Batch:
        chosen = torch.tensor(key.indices)
        return Batch(self.rows[chosen], self.targets[chosen])


def scale_rows(rows: Tensor, preprocess: Preprocess) -> Tensor:
    """Rows as the network sees them.

    Shape: (N, F) -> (N, F), float32.
    """
    return (rows.float() - torch.tensor(preprocess.mean)) / torch.tensor(preprocess.std)


def from_rows(
    x: Any,
    y: Any,
    *,
    task: str,
    val: tuple[Any, ...] | None = None,
    test: tuple[Any, ...] | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
    name: str = "rows",
    **loading: Any,
) -> TableDataModule:
    """Data from rows of numbers in memory.

    Args:
        x: one row a sample.
        y: class names or numbers; for regression, numbers.
        task: "table_classification" or "regression".
        val: (x, y) of a validation split of your own; else a share of ``x`` is held out.
        test: the same for the test split.
        classes: names of the classes, or of the outputs; then class labels are numbers from 0.
        columns: more of each row, by name, for ``group_by``.
        name: of the data.
        **loading: settings of `TableDataModule`.

    Shape: x (N, F); y (N,), or (N, outputs) for regression.

    Raises:
        DataError: x is no table of finite numbers, or y does not fit it.

    Example:
        >>> data = from_rows([[0.0, 1.0], [1.0, 0.0]] * 20, ["cat", "dog"] * 20, task="table_classification")
        >>> data.spec.classes, data.spec.input_shape
        (('cat', 'dog'), (2,))
    """
    labels = np.asarray(y)
    names = tuple(classes or _names(labels, task))

    def samples(rows: Any, values: Any, more: Mapping[str, Any] | None = None) -> TensorSamples:
        plain = {key: [str(value) for value in held] for key, held in (more or {}).items()}
        return TensorSamples(_table(rows), _targets(np.asarray(values), names, task, classes), columns=plain)

    train = samples(x, y, columns)
    if len(train.targets) != len(train):
        raise DataError(f"y has {len(train.targets)} values for {len(train)} rows of x")
    held = {key: samples(*parts) if parts else None for key, parts in (("val", val), ("test", test))}
    source = DataSource(
        name, names, train, held["val"], held["test"], channels=train.images.shape[1], image_size=1,
        description=f"rows of {train.images.shape[1]} numbers in memory", task=task,
    )  # fmt: skip
    return TableDataModule(source, **loading)


def table(path: str | Path, target: str, task: str = "auto", leave_out: Sequence[str] = ()) -> DataSource:
    """Rows of a csv file: every column of numbers is an input, one column is what is to be predicted.

    A column ``split`` (train, val, test) divides the rows. Columns that are no numbers are kept beside the rows, for
    ``data.group_by`` and ``evaluate --by``.

    Args:
        path: the file, in UTF-8, with a first line of names.
        target: the column to predict.
        task: "table_classification" or "regression"; "auto": regression if the column has fractions, or more than 20
            different numbers.
        leave_out: columns that are no inputs.

    Raises:
        DataError: there is no such file or column, a value is missing, or no column holds numbers.
    """
    path = Path(path).expanduser()
    head, rows = _read(path)
    for name in (target, *leave_out):
        if name not in head:
            raise DataError(f"no column '{name}'", where=str(path), suggestions=did_you_mean(name, head))
    texts = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    numbers = {n: found for n, held in texts.items() if n != "split" and (found := _as_numbers(held)) is not None}
    chosen = _kind(numbers.get(target)) if task == "auto" else task
    if chosen not in TABLE_TASKS:
        raise DataError(
            f"a table is for {' or '.join(TABLE_TASKS)}, not '{task}'", suggestions=did_you_mean(task, TABLE_TASKS)
        )
    if chosen == NUMBERS and target not in numbers:
        raise DataError(
            f"the column '{target}' holds no numbers", where=str(path), fix="data.task=table_classification"
        )
    inputs = [name for name in numbers if name not in (target, *leave_out)]
    if not inputs:
        raise DataError("no column of numbers is left as an input", where=str(path))
    x = np.stack([numbers[name] for name in inputs], axis=1).astype(np.float32)
    y = numbers[target] if chosen == NUMBERS else np.asarray(texts[target])
    split = np.asarray([text.strip().lower() or "train" for text in texts.get("split", ["train"] * len(rows))])
    names = tuple(_names(y[split == "train"], chosen, target))
    more = {name: held for name, held in texts.items() if name not in inputs and name not in (target, "split")}
    parts: dict[str, TensorSamples] = {}
    for which in SPLITS:
        places = np.flatnonzero(split == which)
        if len(places) or which == "train":
            columns = {name: [held[i] for i in places] for name, held in more.items()}
            ids = [int(i) + 2 for i in places]  # lines of the file
            targets = _targets(y[places], names, chosen, None)
            parts[which] = TensorSamples(torch.from_numpy(x[places]), targets, ids, columns)
    known = sum(map(len, parts.values()))
    if known < len(rows) or not len(parts["train"]):
        raise DataError("a split is train, val or test, and train has rows", where=str(path))
    return DataSource(
        "table", names, parts["train"], parts.get("val"), parts.get("test"), channels=len(inputs), image_size=1,
        description=f"rows of {path}: {target} from {len(inputs)} columns", task=chosen,
    )  # fmt: skip


def diabetes() -> DataSource:
    """The diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004): 442 patients, progression after a year."""
    from sklearn.datasets import load_diabetes

    study = load_diabetes(scaled=False)
    x, y = torch.from_numpy(study.data.astype(np.float32)), torch.from_numpy(study.target.astype(np.float32))
    return DataSource(
        "diabetes", ("progression",), TensorSamples(x, y[:, None]), channels=x.shape[1], image_size=1,
        description="442 patients, ten measurements: progression of diabetes after a year (Efron et al. 2004)",
        licence="public domain", task=NUMBERS,
    )  # fmt: skip


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.is_file():
        raise DataError("no such file", where=str(path), fix="data.path=… names a csv file with a line of names")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head, *rows = [[cell.strip() for cell in row] for row in csv.reader(file, strict=True) if row]
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"not a table in UTF-8: {error}", where=str(path)) from error
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head) or any(not cell and name != "split" for name, cell in zip(head, row, strict=True)):
            what = "a value is missing" if len(row) == len(head) else f"{len(row)} values for {len(head)} columns"
            raise DataError(what, where=f"{path}, line {number}", fix="fill it in, or leave the row out")
    if not rows:
        raise DataError("no rows below the first line", where=str(path))
    return head, rows


def _as_numbers(texts: Sequence[str]) -> np.ndarray | None:
    try:
        found = np.asarray([float(text) for text in texts])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _kind(numbers: np.ndarray | None) -> str:
    if numbers is None:
        return CLASSES
    return NUMBERS if (numbers != np.rint(numbers)).any() or len(np.unique(numbers)) > 20 else CLASSES


def _names(labels: np.ndarray, task: str, target: str = "target") -> Sequence[str]:
    if task == CLASSES:
        return class_names(str(label) for label in labels.tolist())
    outputs = 1 if labels.ndim == 1 else labels.shape[1]
    return [target] if outputs == 1 else [f"{target}_{index}" for index in range(outputs)]


def _targets(labels: np.ndarray, names: Sequence[str], task: str, classes: Sequence[str] | None) -> Tensor:
    if task == NUMBERS:
        values = torch.from_numpy(np.asarray(labels, dtype=np.float32).reshape(len(labels), -1))
        if not values.isfinite().all():
            raise DataError("y has numbers that are not finite")
        return values
    if classes is not None and labels.dtype.kind in "iu":
        return torch.from_numpy(labels.astype(np.int64))
    spelt = [str(label) for label in labels.tolist()]
    return class_targets(spelt, names, [f"row {index}" for index in range(len(spelt))])


def _table(rows: Any) -> Tensor:
    x = torch.from_numpy(np.asarray(rows, dtype=np.float32))
    if x.ndim != 2 or not len(x) or not x.isfinite().all():
        raise DataError(f"x is no table of finite numbers: its shape is {tuple(x.shape)}", fix="give (N, F)")
    return x


def _scaling(values: Tensor, scale: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not scale:
        return (0.0,) * values.shape[1], (1.0,) * values.shape[1]
    numbers = values.double()
    mean, std = numbers.mean(0), numbers.std(0, correction=0)
    std = torch.where(std > _TINY, std, torch.ones_like(std))
    return tuple(mean.tolist()), tuple(std.tolist())
