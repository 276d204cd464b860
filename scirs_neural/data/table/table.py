"""Rows of numbers: from a csv file, from scikit-learn, or from arrays; for classes, or for numbers to be predicted.

Columns are scaled by the mean and deviation of the training rows.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.module import SPLITS, DataModule
from scirs_neural.data.samples import ArraySamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.targets import class_names, class_targets

CLASSES, NUMBERS = "table_classification", "regression"
TABLE_TASKS = (CLASSES, NUMBERS)


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
) -> DataModule:
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
        **loading: settings of `DataModule`.

    Shape: x (N, F); y (N,), or (N, outputs) for regression.

    Raises:
        DataError: x is no table of finite numbers, or y does not fit it.

    Example:
        >>> data = from_rows([[0.0, 1.0], [1.0, 0.0]] * 20, ["cat", "dog"] * 20, task="table_classification")
        >>> data.spec.target["classes"], len(data.spec.input["columns"])
        (['cat', 'dog'], 2)
    """
    labels = np.asarray(y)
    names = tuple(classes or _names(labels, task))

    def samples(rows: Any, values: Any, more: Mapping[str, Any] | None = None) -> ArraySamples:
        plain = {key: [str(value) for value in held] for key, held in (more or {}).items()}
        return ArraySamples(
            {"row": _table(rows), "target": _targets(np.asarray(values), names, task, classes)}, columns=plain
        )

    train = samples(x, y, columns)
    if len(labels) != len(train):
        raise DataError(f"y has {len(labels)} values for {len(train)} rows of x")
    held = {key: samples(*parts) if parts else None for key, parts in (("val", val), ("test", test))}
    columns_of_x = [f"column_{index}" for index in range(train.fields["row"].shape[1])]
    source = _source(name, names, columns_of_x, task, train, held["val"], held["test"])
    source.description = f"rows of {len(columns_of_x)} numbers in memory"
    return DataModule(source, **loading)


def _source(
    name: str, names: Sequence[str], columns: Sequence[str], task: str, train: ArraySamples, val: Any, test: Any
) -> DataSource:
    target = {"kind": "numbers", "names": list(names)} if task == NUMBERS else {"kind": "class", "classes": list(names)}
    return DataSource(name, train, {"row": {"kind": "table", "columns": list(columns)}}, {"target": target}, val, test)


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
    x = np.stack([numbers[name] for name in inputs], axis=1)
    y = numbers[target] if chosen == NUMBERS else np.asarray(texts[target])
    split = np.asarray([text.strip().lower() or "train" for text in texts.get("split", ["train"] * len(rows))])
    names = tuple(_names(y[split == "train"], chosen, target))
    more = {name: held for name, held in texts.items() if name not in inputs and name not in (target, "split")}
    parts: dict[str, ArraySamples] = {}
    for which in SPLITS:
        places = np.flatnonzero(split == which)
        if len(places) or which == "train":
            columns = {name: [held[i] for i in places] for name, held in more.items()}
            ids = [int(i) + 2 for i in places]  # lines of the file
            targets = _targets(y[places], names, chosen, None)
            parts[which] = ArraySamples({"row": x[places], "target": targets}, ids, columns)
    known = sum(map(len, parts.values()))
    if known < len(rows) or not len(parts["train"]):
        raise DataError("a split is train, val or test, and train has rows", where=str(path))
    source = _source("table", names, inputs, chosen, parts["train"], parts.get("val"), parts.get("test"))
    source.description = f"rows of {path}: {target} from {len(inputs)} columns"
    return source


def diabetes() -> DataSource:
    """The diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004): 442 patients, progression after a year."""
    from sklearn.datasets import load_diabetes

    study = load_diabetes(scaled=False)
    samples = ArraySamples({"row": study.data.astype(np.float64), "target": study.target[:, None].astype(np.float64)})
    source = _source("diabetes", ("progression",), study.feature_names, NUMBERS, samples, None, None)
    source.description = "442 patients, ten measurements: progression of diabetes after a year (Efron et al. 2004)"
    source.licence = "public domain"
    return source


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


def _targets(labels: np.ndarray, names: Sequence[str], task: str, classes: Sequence[str] | None) -> np.ndarray:
    if task == NUMBERS:
        values = np.asarray(labels, dtype=np.float64).reshape(len(labels), -1)
        if not np.isfinite(values).all():
            raise DataError("y has numbers that are not finite")
        return values
    if classes is not None and labels.dtype.kind in "iu":
        return labels.astype(np.int64)
    spelt = [str(label) for label in labels.tolist()]
    return class_targets(spelt, names, [f"row {index}" for index in range(len(spelt))])


def _table(rows: Any) -> np.ndarray:
    x = np.asarray(rows, dtype=np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise DataError(f"x is no table of finite numbers: its shape is {tuple(x.shape)}", fix="give (N, F)")
    return x
