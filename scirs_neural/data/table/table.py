"""Data from tables: from a file, from frames and arrays, and scikit-learn's diabetes study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.module import DataModule
from scirs_neural.data.source import DataSource
from scirs_neural.data.split_names import splits_of
from scirs_neural.data.table.kinds import TYPES, Column, read_column, to_floats
from scirs_neural.data.table.numbers import numbers_of
from scirs_neural.data.table.read import need_columns, read_table
from scirs_neural.data.table.samples import ROW, TableSamples, TextColumns
from scirs_neural.data.table.target import Targets, read_targets, target_columns
from scirs_neural.data.table.values import listed, names_of
from scirs_neural.guard.table import RawTable

SPLIT, WEIGHT, UNIT = "split", "weight", "unit"
_NAMED = 8  # of many columns, so many are named in a line


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for, and how they are taken.

    Args:
        target: the columns to predict. Rows without any target are left out.
        target_kind: "class", "numbers" or "labels"; None: text and truth are classes, fractions are numbers, whole
            numbers are classes if they are few.
        columns: name to type, where it is not to be inferred: number, boolean, date, category; ``date:%d/%m/%Y``;
            ``number:,`` or ``number:.``, the decimal mark of the whole table; ``category:none,NA``, of the target too,
            where these words are values.
        leave_out: columns that are no inputs.
        missing: "impute": the median of the training rows, and a column that says so; "error".
        categories: "onehot", or "embed" for networks that learn a vector for each, such as ``tabular_mlp``.
        weight: a column of how much each row counts, in loss and metrics.
        unit: a column whose equal values belong to one independent unit, such as a patient, for intervals.
        id: a column of unique names of the rows; None: lines of the file.
        classes: names of the classes, where a target in memory holds their numbers.
    """

    target: Sequence[str]
    target_kind: str | None = None
    columns: Mapping[str, str] | None = None
    leave_out: Sequence[str] = ()
    missing: str = "impute"
    categories: str = "onehot"
    weight: str | None = None
    unit: str | None = None
    id: str | None = None
    classes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for key in ("target", "leave_out", "weight", "unit", "id", "columns"):
            given = getattr(self, key)
            if given is None:
                continue
            names: Any = names_of(given, f"data.{key}")
            if key == "columns":
                names = dict(zip(names, names_of(given.values(), "data.columns"), strict=True))
            object.__setattr__(self, key, names if key in ("target", "leave_out", "columns") else names[0])

    def check(self, table: RawTable) -> None:
        """Hold the options to each other and to the table.

        Raises:
            ConfigError: a value is none of those offered.
            DataError: there is no such column.
        """
        offered = {"missing": ("impute", "error"), "categories": ("onehot", "embed")}
        for key, allowed in offered.items():
            if (value := getattr(self, key)) not in allowed:
                raise ConfigError(
                    f"data.{key} is {' or '.join(allowed)}, not '{value}'", suggestions=did_you_mean(value, allowed)
                )
        asked = (*self.target, *(self.columns or {}), *self.leave_out, self.weight, self.unit, self.id)
        names = [name for name in asked if name is not None]
        need_columns(table, names)
        for name in names:
            if f"{name} (2)" in table.columns:
                raise DataError(f"two columns are called '{name}'", where=table.where, fix="give each its own name")

    def purposes(self) -> dict[str, str]:
        """Columns that are no inputs, and what they are."""
        given = dict.fromkeys(self.leave_out, "as asked")
        given |= {name: what for name, what in ((self.id, "the id"), (self.unit, "the unit")) if name}
        return given | ({self.weight: "the weights"} if self.weight else {}) | dict.fromkeys(self.target, "the target")


def table(path: str | Path, target: str | Sequence[str], **roles: Any) -> DataSource:
    """Rows of a table file; one column, or several, are to be predicted.

    What each column holds is inferred from all its values, and said: numbers, truth, dates, text of few different
    values (categories). Left out, and said: columns of one value, identifiers, text of many different values. A column
    ``split`` (train, val, test) divides the rows. All columns are kept for ``data.group_by`` and ``evaluate --by``.

    Args:
        path: a CSV, TSV, Parquet, JSONL or JSON file.
        target: the column to predict, or several.
        **roles: of `Roles`.

    Raises:
        ConfigError: an option has a value that is not offered.
        DataError: there is no such file or column, the file is no table, or no column is left as an input.
    """
    asked = Roles(target, **roles)
    return _source("table", read_table(path), asked, f"rows of {path}: {', '.join(asked.target)}")


def from_table(x: Any, y: Any, **settings: Any) -> DataModule:
    """Data from a table in memory.

    Args:
        x: see `table_source`, as for ``y``.
        y: targets.
        **settings: of `table_source`, such as ``val``, ``columns`` or ``target_kind``; and of `DataModule`, such as
            ``batch_size``.

    Raises:
        DataError: x is no table, or y does not fit it.

    Example:
        >>> data = from_table([[0.0, 1.0], [1.0, 0.0]] * 20, ["cat", "dog"] * 20)
        >>> data.spec.target["classes"], len(data.spec.input["columns"])
        (['cat', 'dog'], 2)
    """
    own = {*signature(table_source).parameters, *signature(Roles).parameters}
    options = {key: settings.pop(key) for key in list(settings) if key in own}
    return DataModule(table_source(x, y, **options), **settings)


def table_source(
    x: Any,
    y: Any,
    *,
    val: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    extra: Mapping[str, Any] | None = None,
    name: str = "rows",
    target_kind: str | None = None,
    **options: Any,
) -> DataSource:
    """A table in memory, before it is split.

    Args:
        x: a frame, an array (N, C), a dict of columns, or a list of dicts. The columns of an array of numbers are all
            inputs, and numbers.
        y: targets, one a row or a row of several; or the names of columns of ``x``.
        val: (x, y) of your own validation rows; else a fraction of ``x`` is held out.
        test: the same for the test rows.
        columns: see `Roles`.
        classes: names of the classes, where ``y`` holds their numbers; of the outputs, where it has several.
        extra: more of each row, by name, for ``group_by``; no inputs.
        name: of the data.
        target_kind: see `Roles`.
        **options: see `Roles`: ``leave_out``, ``missing``, ``categories``, ``weight``, ``unit``, ``id``.

    Raises:
        DataError: x is no table, or y does not fit it.

    Example:
        >>> source = table_source({"size": [1.5, 2.5, 3.5] * 9, "colour": ["red", "blue", "red"] * 9}, [0, 1, 1] * 9)
        >>> source.inputs["row"]["columns"][1]["categories"], source.targets["target"]["classes"]
        (['blue', 'red'], ['0', '1'])
    """
    notes: list[str] = []
    whole, targets, kind = _joined(x, y, extra, notes, classes, target_kind)
    inputs = [column for column in whole.columns if column not in (*targets, *(extra or {}))]
    if not whole.named and np.asarray(x).dtype.kind in "biuf":
        columns = {**dict.fromkeys(inputs, "number"), **(columns or {})}
    options["leave_out"] = [*names_of(options.get("leave_out", ()), "data.leave_out"), *(extra or {})]
    of_classes = classes if kind in (None, "class") else None
    roles = Roles(targets, target_kind or kind, columns, classes=of_classes, **options)
    tables = {
        split: _joined(*pair, {}, [], classes, target_kind)[0]
        for split, pair in (("val", val), ("test", test))
        if pair is not None
    }
    source = _source(name, whole, roles, f"{len(whole):,} rows in memory", tables)
    source.notes[:0] = notes
    return source


def diabetes() -> DataSource:
    """The diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004): 442 patients, progression after a year."""
    from sklearn.datasets import load_diabetes

    study = load_diabetes(scaled=False)
    x = dict(zip(study.feature_names, study.data.T, strict=True))
    source = table_source(
        {**x, "progression": study.target}, "progression", columns=dict.fromkeys(x, "number"), target_kind="numbers",
        name="diabetes",
    )  # fmt: skip
    source.description = "442 patients, ten measurements: progression of diabetes after a year (Efron et al. 2004)"
    source.licence = "public domain"
    return source


def _joined(
    x: Any,
    y: Any,
    extra: Mapping[str, Any] | None,
    notes: list[str],
    classes: Sequence[str] | None,
    target_kind: str | None,
) -> tuple[RawTable, list[str], str | None]:
    """Inputs and targets in one table, the names of the targets, and their kind if their shape tells it."""
    given, kind = read_table(x), None
    by_name = isinstance(y, str) or (
        isinstance(y, list | tuple) and len(y) > 0 and all(isinstance(n, str) and n in given.columns for n in y)
    )
    if by_name:
        targets = names_of(y, "y")
    else:
        made, kind = target_columns(y, notes, classes, target_kind)
        added = read_table(made)
        if len(added) != len(given):
            raise DataError(f"y has {len(added)} values for {len(given)} rows of x")
        if twice := set(added.columns) & set(given.columns):
            raise DataError(f"x has the column '{twice.pop()}' of y too", fix="leave it out of x")
        given.columns |= added.columns
        targets = list(added.columns)
    if extra:
        given.columns |= read_table({key: list(map(str, values)) for key, values in extra.items()}).columns
    if len({len(values) for values in given.columns.values()}) > 1:
        raise DataError("x, y and extra columns have different lengths")
    return given, targets, kind


def _source(
    name: str, given: RawTable, roles: Roles, description: str, others: Mapping[str, RawTable] | None = None
) -> DataSource:
    """The table divided into inputs and targets, and by its column ``split``; ``others`` are whole splits."""
    import pyarrow as pa

    roles.check(given)
    notes = [*given.notes, *numbers_of(given, roles.columns).notes]
    has_splits = SPLIT in given.columns and SPLIT not in roles.target
    split = splits_of(TextColumns(given.columns)[SPLIT] if has_splits else [""] * len(given), given.at)
    train = split == "train"
    targets = read_targets(given, roles.target, train, roles.target_kind, roles.classes, declared=roles.columns)
    left_out = roles.purposes() | ({SPLIT: "the split"} if has_splits else {})
    inputs = []
    for column in list(given.columns):
        if column in left_out:
            continue
        found = read_column(given, column, (roles.columns or {}).get(column))
        if found.left_out:
            left_out[column] = found.left_out
        else:
            inputs.append(found)
        if found.spec["type"] == "number" and not found.left_out:  # a third of the memory of the texts
            given.columns[column] = pa.chunked_array([pa.array(found.values, from_pandas=True)])
    if not inputs:
        reasons = "; ".join(f"{column}: {why}" for column, why in left_out.items())
        raise DataError(f"no column is left as an input ({reasons[:300]})", where=given.where)
    known = {
        "kind": "table", "columns": [column.spec for column in inputs], "missing": roles.missing,
        "categories": roles.categories, "left_out": left_out,
    }  # fmt: skip
    unlabelled = ~targets.known()
    if unlabelled.any():
        if roles.missing == "error":
            raise DataError("the target is missing", where=given.at(int(np.flatnonzero(unlabelled)[0])))
        notes.append(f"{unlabelled.sum():,} rows have no target and are left out")
    _check_missing(given, inputs, roles.missing, notes)
    notes += [*targets.notes, *_said(inputs, left_out, roles)]
    fields = {ROW: np.stack([column.values for column in inputs], axis=1), **targets.values}
    samples = _samples(given, fields, inputs, roles)
    parts: dict[str, TableSamples] = {}
    for part in np.unique(split[~unlabelled]).tolist():
        places = np.flatnonzero(~unlabelled & (split == part))
        parts[part] = samples if len(places) == len(samples) else samples.chosen(places.tolist())
    if "train" not in parts:
        raise DataError("no rows to learn from", where=given.where)
    for part, table in (others or {}).items():
        parts[part] = _like(table, inputs, roles, targets)
    return DataSource(
        name, parts["train"], {ROW: known}, targets.specs, parts.get("val"), parts.get("test"),
        description=f"{description} from {len(inputs)} columns", notes=notes,
    )  # fmt: skip


def _like(given: RawTable, inputs: Sequence[Column], roles: Roles, like: Targets) -> TableSamples:
    """A split of its own, read as the training rows are."""
    need_columns(given, (*(column.spec["name"] for column in inputs), *roles.target))
    targets = read_targets(
        given, roles.target, np.ones(len(given), dtype=bool), classes=roles.classes, like=like, declared=roles.columns
    )
    alike = [Column(c.spec, to_floats(given.columns[c.spec["name"]], c.spec, given.at)) for c in inputs]
    fields = {ROW: np.stack([column.values for column in alike], axis=1), **targets.values}
    return _samples(given, fields, alike, roles)


def _samples(given: RawTable, fields: dict[str, np.ndarray], inputs: Sequence[Column], roles: Roles) -> TableSamples:
    if roles.weight:
        weights = read_column(given, roles.weight, "number").values
        wrong = np.flatnonzero(~(weights >= 0))
        if len(wrong):
            raise DataError(f"the weight '{roles.weight}' is missing or negative", where=given.at(int(wrong[0])))
        if not weights.any():
            raise DataError(f"all weights in '{roles.weight}' are 0", where=given.where)
        fields = {**fields, WEIGHT: weights.astype(np.float32)}
    ids: Sequence[Any] = given.places
    columns = TextColumns(given.columns | ({} if roles.unit is None else {UNIT: given.columns[roles.unit]}))
    if roles.id:
        ids = columns[roles.id]
        twice = [name for name, count in Counter(ids).items() if count > 1 or not name]
        if twice:
            raise DataError(f"the id '{twice[0]}' is empty or stands twice in '{roles.id}'", where=given.where)
    return TableSamples(fields, [column.spec for column in inputs], ids, columns)


def _check_missing(given: RawTable, inputs: Sequence[Column], missing: str, notes: list[str]) -> None:
    counts = {column.spec["name"]: int(np.isnan(column.values).sum()) for column in inputs}
    counts = {name: count for name, count in counts.items() if count}
    if counts and missing == "error":
        name = next(iter(counts))
        values = next(column.values for column in inputs if column.spec["name"] == name)
        raise DataError(
            f"'{name}' is missing", where=given.at(int(np.flatnonzero(np.isnan(values))[0])),
            fix="fill it in, or data.missing=impute",
        )  # fmt: skip
    if counts:
        notes.append(
            f"missing values, imputed: {listed([f'{name} ({count:,})' for name, count in counts.items()], _NAMED)}"
        )


def _said(inputs: Sequence[Column], left_out: Mapping[str, str], roles: Roles) -> list[str]:
    """The inputs by type, and what is none and why, a line each."""
    lines = []
    for kind in TYPES:
        names = [column.spec["name"] for column in inputs if column.spec["type"] == kind]
        if names:
            lines.append(f"{kind} columns: {listed(names, _NAMED)}")
    lines += [f"left out: {name} ({why})" for name, why in left_out.items() if name not in roles.purposes()]
    return lines
