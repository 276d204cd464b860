"""Texts with targets: in a table, in class folders, or in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.data.class_folders import class_folders, passed_over
from scirs_neural.data.samples import ReadSamples
from scirs_neural.data.source import DataSource
from scirs_neural.data.split_names import splits_of
from scirs_neural.data.table.values import names_of
from scirs_neural.data.text.field import MAX_LENGTH, TEXT_SUFFIX, VOCAB_SIZE, read_text
from scirs_neural.data.text.tokenizer import KINDS

if TYPE_CHECKING:
    from scirs_neural.data.module import DataModule
    from scirs_neural.guard.table import RawTable

TEXT, TARGET, SPLIT = "text", "target", "split"


def text(
    path: str | Path,
    text: str = TEXT,
    target: str | Sequence[str] | None = None,
    target_kind: str | None = None,
    tokenizer: str = KINDS[0],
    vocab_size: int = VOCAB_SIZE,
    max_length: int = MAX_LENGTH,
    columns: Mapping[str, str] | None = None,
) -> DataSource:
    """Texts in a column of a table, with what is to be predicted in others; or ``.txt`` files in class folders.

    A column ``split`` (train, val, test; empty means train) divides the rows, as folders of these names divide files.
    All columns are kept for ``data.group_by`` and ``evaluate --by``.

    Args:
        path: a CSV, TSV, JSONL, JSON or Parquet file, or a folder.
        text: the column of the texts.
        target: the column to predict, or several; None: the column ``target``. Rows without any target are left out.
        target_kind: "class", "numbers" or "labels"; None: from what the column holds, as in a table of numbers.
        tokenizer: "bpe" or "words", trained on the training texts, or the path of a tokenizer.json.
        vocab_size: most different tokens.
        max_length: tokens of a text that are kept.
        columns: types of targets that are not to be inferred, as in a table of numbers.

    Raises:
        DataError: there is no such file, folder or column, or no training texts. Names file and line.
        UnknownNameError: a split has an unknown name.
    """
    path = Path(path).expanduser()
    names, (text,) = names_of(TARGET if target is None else target, "data.target"), names_of(text, "data.text")
    known = {"column": text, "tokenizer": tokenizer, "vocab_size": vocab_size, "max_length": max_length}
    if not path.is_dir():
        from scirs_neural.data.table.read import read_table

        return _from_table("text", read_table(path), known, names, target_kind, f"texts of {path}", columns)
    classes, listed = class_folders(path, {TEXT_SUFFIX}, "texts")
    splits = {
        split: ReadSamples(TEXT, [read_text(file) for file in files], {TARGET: numbers}, list(map(str, files)))
        for split, (files, numbers) in listed.items()
    }
    notes = passed_over(path, {file for files, _ in listed.values() for file in files})
    spec = {TARGET: {"kind": "class", "classes": list(classes)}}
    return _source("text", splits, spec, f"texts in {path}", known, notes)


def from_texts(
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    val: tuple[Sequence[str], Sequence[Any]] | None = None,
    test: tuple[Sequence[str], Sequence[Any]] | None = None,
    target_kind: str | None = None,
    tokenizer: str = KINDS[0],
    vocab_size: int = VOCAB_SIZE,
    max_length: int = MAX_LENGTH,
    columns: Mapping[str, Sequence[Any]] | None = None,
    name: str = "texts",
    **loading: Any,
) -> DataModule:
    """Data from texts and targets in memory.

    Args:
        texts: one a sample.
        labels: what is to be predicted: names or numbers of classes, or numbers. Those of None are left out.
        val: texts and labels of a validation split of your own; else a fraction of ``texts`` is held out.
        test: the same for the test split.
        target_kind: see `text`, as for those that follow.
        tokenizer: .
        vocab_size: .
        max_length: .
        columns: more of each text, by name: for ``group_by`` and for scores by slice.
        name: of the data, as it appears in run folders.
        **loading: settings of `DataModule`.

    Raises:
        DataError: there are fewer labels than texts, a class is unknown in training, or a text is none.

    Example:
        >>> data = from_texts(["a good film", "a bad film"] * 20, ["pos", "neg"] * 20, tokenizer="words", vocab_size=10)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["text"].shape[1], data.spec.target["classes"]
        (3, ['neg', 'pos'])
    """
    from scirs_neural.data.module import DataModule
    from scirs_neural.data.table.read import read_table

    held: dict[str, list[Any]] = {TEXT: [], TARGET: [], SPLIT: [], **{key: [] for key in columns or {}}}
    for split, parts in (("train", (texts, labels)), ("val", val), ("test", test)):
        given, marks = ([], []) if parts is None else (list(parts[0]), list(parts[1]))
        if len(given) != len(marks) or not all(isinstance(each, str) for each in given):
            raise DataError(
                f"{split}: {len(given)} texts and {len(marks)} labels", fix="give a str and a label a sample"
            )
        held[TEXT] += given
        held[TARGET] += marks
        held[SPLIT] += [split] * len(given)
        for key, values in (columns or {}).items():
            held[key] += list(map(str, values)) if split == "train" else [""] * len(given)
    known = {"column": TEXT, "tokenizer": tokenizer, "vocab_size": vocab_size, "max_length": max_length}
    source = _from_table(name, read_table(held), known, [TARGET], target_kind, "texts in memory")
    return DataModule(source, **{"num_workers": 0, **loading})


def _from_table(
    name: str,
    table: RawTable,
    known: Mapping[str, Any],
    targets: Sequence[str],
    target_kind: str | None,
    description: str,
    declared: Mapping[str, str] | None = None,
) -> DataSource:
    from scirs_neural.data.table.numbers import numbers_of
    from scirs_neural.data.table.read import need_columns, plain_columns
    from scirs_neural.data.table.target import read_targets

    text = known["column"]
    need_columns(table, (text, *targets, *(declared or ())))
    written = numbers_of(table, declared)
    columns = plain_columns(table)
    split_of = splits_of(columns.get(SPLIT, [""] * len(table)), table.at)
    if "train" not in split_of:
        raise DataError("no rows to learn from", where=table.where)
    found = read_targets(table, targets, split_of == "train", target_kind, declared=declared)
    labelled = found.known()
    notes = [*table.notes, *written.notes, *found.notes]
    if not labelled.all():
        notes.append(f"{(~labelled).sum():,} rows have no target and are left out")
    splits = {}
    for split in dict.fromkeys(("train", *split_of.tolist())):
        rows = np.flatnonzero(labelled & (split_of == split)).tolist()
        splits[split] = ReadSamples(
            TEXT, [columns[text][row] for row in rows], {key: values[rows] for key, values in found.values.items()},
            [table.places[row] for row in rows],
            {key: [held[row] for row in rows] for key, held in columns.items() if key not in (text, SPLIT)},
        )  # fmt: skip
    return _source(name, splits, found.specs, f"{description}: {', '.join(targets)} from {text}", known, notes)


def _source(
    name: str,
    splits: Mapping[str, ReadSamples],
    targets: Mapping[str, Mapping[str, Any]],
    description: str,
    known: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> DataSource:
    inputs = {TEXT: {"kind": "text", **known}}
    return DataSource(
        name, splits["train"], inputs, targets, splits.get("val"), splits.get("test"), description, notes=list(notes)
    )
