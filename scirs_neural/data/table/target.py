"""Which columns of a table are to be predicted, and as what."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.table.columns import distinct
from scirs_neural.data.table.kinds import Column, as_categories, is_whole, read_column
from scirs_neural.data.table.values import listed
from scirs_neural.data.targets import IGNORED, unknown_class

if TYPE_CHECKING:
    from scirs_neural.guard.table import RawTable

TARGET = "target"
KINDS = ("class", "numbers", "labels")
FEW_NUMBERS = 20
"""Whole numbers of more different values are numbers to be predicted, unless they look like class numbers."""
_MANY = 0.03  # of the rows: where more are lost for a word, it is a warning
_MOST_CLASS_NUMBERS, _ROWS_A_CLASS, _BALANCE = 200, 5, 10


@dataclass
class Targets:
    """What is to be predicted.

    Args:
        specs: field to what is known of it.
        values: field to values: class numbers (N,) int64, or (N, K) floats; -100 or NaN where not known.
        notes: what was inferred, a line each.
    """

    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def known(self) -> np.ndarray:
        """Whether a row has any target (N,)."""
        masks = [
            values != IGNORED if values.dtype.kind == "i" else ~np.isnan(values).all(1)
            for values in self.values.values()
        ]
        return np.logical_or.reduce(masks)


def read_targets(
    table: RawTable,
    names: Sequence[str],
    train: np.ndarray,
    kind: str | None = None,
    classes: Sequence[str] | None = None,
    like: Targets | None = None,
    declared: Mapping[str, str] | None = None,
) -> Targets:
    """Targets from columns of a table.

    Several columns of numbers are one target of several numbers; several columns of yes and no are labels; otherwise
    each column is a target, and a head of the network, for itself.

    Args:
        table: the table.
        names: of the columns.
        train: the rows (N,) bool of which the classes are taken.
        kind: one of `KINDS`; None: from what the columns hold.
        classes: names of the classes, where a column holds their numbers.
        like: the targets of the training rows, of which these are further rows.
        declared: types of columns that are not to be inferred.

    Warns:
        UserWarning: words such as "none" stand in many rows of a column of classes, which are left out.

    Raises:
        ConfigError: no such kind.
        DataError: a column holds nothing of the kind, or a row outside of ``train`` has a class of its own.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(
            f"data.target_kind is {', '.join(KINDS)}, not '{kind}'", suggestions=did_you_mean(kind, KINDS)
        )
    declared = declared or {}
    columns = [read_column(table, name, declared.get(name), keep=True) for name in names]
    found = Targets()
    for column in columns:
        _say_missing(found, table, column, None if like else declared.get(column.spec["name"]))
        if np.isnan(column.values).all():
            raise DataError(f"the column '{column.spec['name']}' has no values", where=table.where)
    if like is None:
        kinds = [kind or _kind_of(column, found.notes) for column in columns]
    else:
        kinds = [(like.specs.get(TARGET) or like.specs[name])["kind"] for name in names]
    flags = like is None and kind is None and len(columns) > 1 and all(map(_is_flag, columns))
    if set(kinds) == {"labels"} or flags:
        return _labels(table, names, columns, found.notes)
    if set(kinds) == {"numbers"}:
        _add_numbers(found, TARGET, table, columns)
        return found
    for column, chosen in zip(columns, kinds, strict=True):
        name = TARGET if len(columns) == 1 else column.spec["name"]
        if chosen == "numbers":
            _add_numbers(found, name, table, [column])
        else:
            fixed = None if like is None else like.specs[name]["classes"]
            _add_class(found, name, table, column, train, classes, fixed)
    return found


def _say_missing(found: Targets, table: RawTable, column: Column, declared: str | None) -> None:
    """Which words count as a missing target, and how they can be classes."""
    missing, name = np.isnan(column.values), column.spec["name"]
    if not missing.any():
        return
    texts, codes = distinct(table.columns[name])
    counts = np.bincount(codes[missing & (codes >= 0)], minlength=len(texts)).tolist()
    counted = zip(texts, counts, strict=True)
    words = {text.strip(): n for text, n in counted if n and isinstance(text, str) and text.strip()}
    if not words:
        return
    shown = listed([f"{text} ({n:,})" for text, n in words.items()], 5)
    note = f"'{name}' has no value where it says {shown}"
    if column.spec["type"] in ("category", "boolean") and declared is None:
        note += f": data.columns={{{name}:'category:{','.join(words)}'}} makes classes of them"
        if sum(words.values()) > _MANY * len(missing):
            warnings.warn(f"{sum(words.values()):,} of {len(missing):,} rows are left out: {note}", stacklevel=2)
    found.notes.append(note)


def _kind_of(column: Column, notes: list[str]) -> str:
    name, values = column.spec["name"], column.values
    if column.spec["type"] in ("category", "boolean"):
        return "class"
    if column.spec["type"] == "date":
        notes.append(f"the target '{name}' is a date: seconds since 1970 are predicted")
        return "numbers"
    if not is_whole(values):
        return "numbers"
    levels, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    like_classes = (
        len(levels) <= _MOST_CLASS_NUMBERS
        and levels[0] in (0, 1)
        and bool((np.diff(levels) == 1).all())
        and counts.min() >= _ROWS_A_CLASS
        and counts.max() <= _BALANCE * counts.min()
    )
    is_class = len(levels) <= FEW_NUMBERS or like_classes
    what, other = ("classes", "numbers") if is_class else ("numbers to be predicted", "class")
    notes.append(
        f"the target '{name}' holds {len(levels)} different whole numbers, taken as {what}: "
        f"data.target_kind={other} for the other"
    )
    return "class" if is_class else "numbers"


def _is_flag(column: Column) -> bool:
    known = column.values[~np.isnan(column.values)]
    return column.spec["type"] in ("boolean", "number") and bool(np.isin(known, (0, 1)).all())


def _labels(table: RawTable, names: Sequence[str], columns: Sequence[Column], notes: list[str]) -> Targets:
    for column in columns:
        if not _is_flag(column):
            raise DataError(f"'{column.spec['name']}' is no column of yes and no", where=table.where)
    rows = np.stack([column.values for column in columns], axis=1).astype(np.float32)
    note = f"{len(names)} targets of yes and no: labels, any number a row"
    return Targets({TARGET: {"kind": "labels", "classes": list(names)}}, {TARGET: rows}, [*notes, note])


def _add_numbers(found: Targets, name: str, table: RawTable, columns: Sequence[Column]) -> None:
    for column in columns:
        if column.spec["type"] == "category":
            raise DataError(f"the column '{column.spec['name']}' holds no numbers", where=table.where)
    found.specs[name] = {"kind": "numbers", "names": [column.spec["name"] for column in columns]}
    found.values[name] = np.stack([column.values for column in columns], axis=1)


def _add_class(
    found: Targets,
    name: str,
    table: RawTable,
    column: Column,
    train: np.ndarray,
    classes: Sequence[str] | None,
    fixed: Sequence[str] | None,
) -> None:
    if classes is not None and column.spec["type"] == "number":
        codes, levels = column.values, list(classes)
        known = codes[~np.isnan(codes)]
        if not is_whole(codes) or known.min() < 0 or known.max() >= len(levels):
            raise DataError(f"'{column.spec['name']}' holds numbers outside of 0..{len(levels) - 1}", where=table.where)
        seen, fixed = np.arange(len(levels)), levels
    else:
        if column.spec["type"] != "category":
            column = as_categories(column.spec, table.columns[column.spec["name"]])
        codes, levels = column.values, column.spec["categories"]
        seen = np.unique(codes[train & ~np.isnan(codes)]).astype(np.int64)
        fixed = fixed or classes
        if fixed is not None:
            seen = np.array([levels.index(c) if c in levels else -1 for c in fixed], dtype=np.int64)
    place = np.full(len(levels) + 1, IGNORED - 1, dtype=np.int64)
    place[seen[seen >= 0]] = np.flatnonzero(seen >= 0)
    place[-1] = IGNORED
    numbers = place[np.where(np.isnan(codes), -1, codes).astype(np.int64)]
    names = list(fixed) if fixed is not None else [levels[i] for i in seen]
    strange = np.flatnonzero(numbers == IGNORED - 1)
    if len(strange):
        raise unknown_class(levels[int(codes[strange[0]])], names, table.at(int(strange[0])))
    of_column = {} if column.spec["name"] == name else {"column": column.spec["name"]}
    found.specs[name] = {"kind": "class", "classes": names, **of_column}
    found.values[name] = numbers


def target_columns(
    y: Any, notes: list[str], classes: Sequence[str] | None = None, kind: str | None = None
) -> tuple[Any, str | None]:
    """Targets in memory as columns by name, and their kind if their shape tells it.

    Rows of zeros and ones that sum to one (one-hot) are classes; other rows of zeros and ones are labels.

    Example:
        >>> target_columns(np.eye(3)[[2, 0]], [])
        ({'target': array([2, 0])}, 'class')
    """
    if hasattr(y, "columns"):
        return y, None
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise DataError(f"y has rows of different lengths: {error}") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return {str(getattr(y, "name", None) or "target"): values}, None
    if values.ndim != 2:
        raise DataError(f"y has the shape {values.shape}", fix="give (N,), or (N, outputs)")
    names = [str(n) for n in classes or [f"target_{i}" for i in range(values.shape[1])]]
    if len(names) != values.shape[1]:
        raise DataError(f"{len(names)} names for the {values.shape[1]} columns of y")
    if kind != "numbers" and values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all():
        if (values.sum(1) == 1).all():
            notes.append(f"y is one-hot: {values.shape[1]} classes")
            return {"target": values.argmax(1)}, "class"
        return dict(zip(names, values.T, strict=True)), "labels"
    return dict(zip(names, values.T, strict=True)), "numbers" if values.dtype.kind in "biuf" else None
