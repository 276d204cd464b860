"""Texts with a class each: in a table, in class folders, or in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import DataError, RefusedError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.class_folders import SPLIT_NAMES, class_folders
from scirs_neural.data.samples import ReadSamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.targets import IGNORED, class_names, class_targets
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_bytes

if TYPE_CHECKING:
    from scirs_neural.data.module import DataModule

TEXT, LABEL = "text", "label"


def text(path: str | Path, text: str = "text", target: str = "label") -> DataSource:
    """Texts in a column of a table, with their classes in another; or ``.txt`` files in class folders.

    A column ``split`` (train, val, test; empty means train) divides the rows, as folders of these names divide files.
    Further columns are kept beside the texts, for ``data.group_by`` and ``evaluate --by``.

    Args:
        path: a CSV, TSV, JSONL or Parquet file, or a folder.
        text: the column of the texts.
        target: the column of the classes. A row without one counts in no loss and no score.

    Raises:
        DataError: there is no such file, folder or column, or no training texts. Names file and line.
        UnknownNameError: a split has an unknown name.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        return _from_table(path, text, target)
    classes, listed = class_folders(path, {".txt"}, "texts")
    splits = {}
    for split, rows in listed.items():
        files = [str(file) for file, _ in rows]
        splits[split] = _samples([_read(file) for file, _ in rows], [label for _, label in rows], classes, files)
    return _source("text", classes, splits, f"texts in {path}")


def _from_table(path: Path, text: str, target: str) -> DataSource:
    from scirs_neural.data.table.read import read_table

    table = read_table(path)
    for name in (text, target):
        if name not in table.columns:
            raise DataError(f"no column '{name}'", where=str(path), suggestions=did_you_mean(name, table.columns))
    columns = {name: [_spelt(value) for value in values.to_pylist()] for name, values in table.columns.items()}
    split_of = []
    for row, name in enumerate(columns.pop("split", [""] * len(table))):
        if (name or "train").lower() not in SPLIT_NAMES:
            near = did_you_mean(name, SPLIT_NAMES)
            raise UnknownNameError(f"unknown split '{name}'", where=table.at(row), suggestions=near)
        split_of.append(SPLIT_NAMES[(name or "train").lower()])
    texts, labels = columns.pop(text), columns.pop(target)
    classes = class_names(label for label, split in zip(labels, split_of, strict=True) if label and split == "train")
    splits = {}
    for split in dict.fromkeys(("train", *split_of)):
        rows = [row for row, name in enumerate(split_of) if name == split]
        splits[split] = _samples(
            [texts[row] for row in rows], [labels[row] for row in rows], classes, [table.at(row) for row in rows],
            [row + table.first for row in rows], {name: [held[row] for row in rows] for name, held in columns.items()},
        )  # fmt: skip
    return _source("text", classes, splits, f"texts of {path}: {target} from {text}", table.notes)


def from_texts(
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    val: tuple[Sequence[str], Sequence[Any]] | None = None,
    test: tuple[Sequence[str], Sequence[Any]] | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    name: str = "texts",
    **loading: Any,
) -> DataModule:
    """Data from texts and labels in memory.

    Args:
        texts: one a sample.
        labels: names or numbers of their classes.
        val: texts and labels of a validation split of your own; else a fraction of ``texts`` is held out.
        test: the same for the test split.
        classes: names of the classes, in order; None: the different labels.
        columns: more of each text, by name: for ``group_by`` and for scores by slice.
        name: of the data, as it appears in run folders.
        **loading: settings of `DataModule` and of texts: ``tokenizer``, ``vocab_size``, ``max_length``.

    Raises:
        DataError: there are fewer labels than texts, one is unknown, or a text is none.

    Example:
        >>> data = from_texts(["a good film", "a bad film"] * 20, ["pos", "neg"] * 20, tokenizer="words", vocab_size=10)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["text"].shape[1], data.spec.target["classes"]
        (3, ['neg', 'pos'])
    """
    from scirs_neural.data.module import DataModule

    spelt = [_spelt(label) for label in labels]
    names = class_names(label for label in spelt if label) if classes is None else tuple(map(str, classes))
    beside = {key: [str(value) for value in values] for key, values in (columns or {}).items()}
    splits = {}
    for split, parts in (("train", (texts, labels)), ("val", val), ("test", test)):
        if parts is not None:
            given, marks = list(parts[0]), [_spelt(label) for label in parts[1]]
            if len(given) != len(marks) or not all(isinstance(each, str) for each in given):
                raise DataError(
                    f"{split}: {len(given)} texts and {len(marks)} labels", fix="a str and a label a sample"
                )
            wheres = [f"{split}, text {index}" for index in range(len(given))]
            splits[split] = _samples(given, marks, names, wheres, range(len(given)), beside if split == "train" else {})
    return DataModule(_source(name, names, splits, "texts in memory"), **{"num_workers": 0, **loading})


def _samples(
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    wheres: Sequence[str],
    ids: Sequence[Any] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> ReadSamples:
    known = [index for index, label in enumerate(labels) if label]
    targets = np.full(len(labels), IGNORED, dtype=np.int64)
    targets[known] = class_targets([labels[i] for i in known], classes, [wheres[i] for i in known])
    return ReadSamples(TEXT, texts, {LABEL: targets}, wheres if ids is None else ids, columns)


def _source(
    name: str,
    classes: Sequence[str],
    splits: Mapping[str, ReadSamples],
    description: str,
    notes: Sequence[str] = (),
) -> DataSource:
    known = {"kind": "class", "classes": list(classes)}
    unlabelled = sum(int((np.asarray(held.known(LABEL)) == IGNORED).sum()) for held in splits.values())
    said = [f"{unlabelled:,} texts without a class count in no loss and no score"] if unlabelled else []
    return DataSource(
        name, splits["train"], {TEXT: {"kind": "text"}}, {LABEL: known}, splits.get("val"), splits.get("test"),
        description, notes=[*notes, *said],
    )  # fmt: skip


def _spelt(value: Any) -> str:
    """A value as a text; nothing for what is missing."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read(file: Path) -> str:
    try:
        return read_bytes(file, BUDGETS.text_bytes)[0].decode("utf-8")
    except RefusedError as error:
        raise DataError(error.what.removeprefix("refused: "), where=str(file)) from error
    except UnicodeDecodeError as error:
        raise DataError("not in UTF-8", where=str(file)) from error
