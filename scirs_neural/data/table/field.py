"""A row of a table as the numbers that a network takes."""

from __future__ import annotations

import csv
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import CheckpointError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.field import Field, FieldSpec
from scirs_neural.data.table.checks import check_numbers
from scirs_neural.data.table.columns import distinct
from scirs_neural.data.table.kinds import TYPES, level_of
from scirs_neural.data.table.values import as_float, as_text, listed, none_of
from scirs_neural.guard.table import SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.samples import Samples
    from scirs_neural.guard.table import RawTable

PERIODS_SEC = {"day": 86400.0, "week": 7 * 86400.0, "year": 365.2425 * 86400}
"""Parts of a date: its place in each as sine and cosine, where the training rows span at least two."""
FAR_FROM_ZERO = 64.0  # deviations: nearer to zero, float32 keeps a column to 4e-6 of its deviation
LARGEST = 1e18  # its square is in float32, and so is what a network makes of it
MAX_ONE_HOT = 5_000
_LARGEST_FLOAT32 = 3e38
_NAMED = 5  # of many, so many are named in a message
_KEYS = {
    "name": str, "type": str, "decimal": str, "thousands": bool, "format": str, "categories": list, "missing": bool,
    "offset": float, "mean": float, "std": float, "median": float, "min": float, "max": float, "parts": list,
}  # fmt: skip


class TableField(Field):
    """A row of named columns: numbers, truth, dates, categories.

    `encode` gives one float64 a column: a number, 0 or 1, seconds since 1970, or a place among the categories, -1 for
    one that training did not know, NaN where the value is missing. `features` turns such rows into float32 as networks
    take them:

    - numbers, truth and dates: scaled by mean and deviation of the training rows; a missing one is their median, with
      a 1 in a column of its own if training has missing ones;
    - dates also as sine and cosine of their place in the day, week and year;
    - categories: a column of 0 and 1 for each; with ``categories: embed`` one column, the place counted from 1. Those
      that training did not know, and missing ones, are all zeros.

    Description: ``columns`` (name, type, and what the type needs), ``missing`` ("impute" or "error"), ``categories``
    ("onehot" or "embed"), ``left_out`` (name to reason).

    Example:
        >>> columns = [
        ...     {"name": "age", "type": "number", "mean": 40.0, "std": 10.0, "median": 38.0},
        ...     {"name": "city", "type": "category", "categories": ["Oslo", "Rome"]},
        ... ]
        >>> row = TableField("row", {"kind": "table", "columns": columns})
        >>> row.encode({"city": "Rome", "age": "50"}).tolist(), row.describe()
        ([50.0, 1.0], '2 columns: 1 number, 1 category')
        >>> row.features(np.array([[50.0, 1.0], [60.0, -1.0]])).tolist()
        [[1.0, 0.0, 1.0], [2.0, 0.0, 0.0]]
    """

    kind = "table"
    settings_used = ("scale",)
    suffixes = frozenset(SUFFIXES)

    def __init__(self, name: str, spec: FieldSpec, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, spec, settings)
        self.columns: list[dict[str, Any]] = list(spec["columns"])
        self.names = [column["name"] for column in self.columns]

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description to the schema."""
        super().check(spec, where)
        columns = spec.get("columns")
        if not isinstance(columns, list) or not columns or not all(isinstance(c, Mapping) for c in columns):
            raise CheckpointError("a field of kind 'table' has no list of columns", where=where)
        for column in columns:
            if fault := _fault(column):
                raise CheckpointError(f"a column of a table, {column.get('name')!r}: {fault}", where=where)
        if len({column["name"] for column in columns}) < len(columns):
            raise CheckpointError("two columns of a table have one name", where=where)
        for key, allowed in (("missing", ("impute", "error")), ("categories", ("onehot", "embed"))):
            if spec.get(key, allowed[0]) not in allowed:
                raise CheckpointError(f"'{key}' of a table is {' or '.join(allowed)}", where=where)

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Measure every column over the training rows.

        Raises:
            DataError: a column has no value in the training rows, or too many categories for a column each.
        """
        from scirs_neural.data.targets import scaling

        rows = train.known(name)
        if rows is None:
            raise DataError(f"'{name}': the rows of a table must be in memory")
        columns = [_measured(dict(column), rows[:, i]) for i, column in enumerate(known["columns"])]
        spec = {"kind": cls.kind, "version": cls.version, **known, "columns": columns}
        if known.get("categories", "onehot") == "onehot":
            for column in columns:
                if len(column.get("categories", ())) > MAX_ONE_HOT:
                    raise DataError(
                        f"'{column['name']}' has {len(column['categories']):,} categories: too many for a column each",
                        fix="data.categories=embed model=tabular_mlp, or leave it out",
                    )
        numeric = [column for column in columns if column["type"] != "category"]
        if numeric:
            unscaled = cls(name, {**spec, "columns": [{**c, "mean": 0.0, "std": 1.0} for c in columns]})
            numbers = unscaled._numbers(rows)[0].astype(np.float64)
            for column, mean, std in zip(numeric, *scaling(numbers, bool(settings.get("scale", True))), strict=True):
                column |= {"mean": mean, "std": std}
        return spec

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """One row (C,) float64, from values by name (further names are passed over) or in order.

        Raises:
            DataError: a column is not there, a value is not of its column's type, or one is missing where that is an
                error.
        """
        if not isinstance(value, Mapping):
            values = list(value)
            if len(values) != len(self.columns):
                raise self.refuse(self._width(len(values)), where)
            value = dict(zip(self.names, values, strict=True))
        row = np.empty(len(self.columns))
        for i, column in enumerate(self.columns):
            name = column["name"]
            if name not in value:
                raise self._no_column(name, list(map(str, value)), where)
            if (found := self._float(value[name], i)) is None:
                raise self.refuse(none_of(value[name], column), where)
            if found != found and self.spec.get("missing") == "error":
                raise self.refuse(f"'{name}' is missing", where)
            row[i] = found
        return row

    def collate(self, values: Any, ctx: Context, keys: Sequence[int]) -> Tensor:
        """Rows (N, C) of `encode` as features (N, F) float32."""
        import torch

        return torch.from_numpy(self.features(np.asarray(values, dtype=np.float64).reshape(-1, len(self.columns))))

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Rows of `encode` as a network takes them. No torch.

        Shape: (N, C) float64 -> (N, F) float32.
        """
        scaled, gaps = self._numbers(rows)
        layout = self._layout
        if layout.is_plain:
            return scaled
        made = np.zeros((len(rows), layout.width), dtype=np.float32)
        made[:, layout.numbers] = scaled
        for position, i in enumerate(layout.numeric):
            for place, part in layout.parts[i]:
                moments = np.where(gaps[:, position], self.columns[i]["median"], rows[:, i])
                angle = moments % PERIODS_SEC[part] * (2 * math.pi / PERIODS_SEC[part])
                made[:, place], made[:, place + 1] = np.sin(angle), np.cos(angle)
        for i, place in layout.missing:
            made[:, place] = np.isnan(rows[:, i])
        for i, start, _ in layout.categories:
            known = np.flatnonzero(rows[:, i] >= 0)
            if self.embeds:
                made[known, start] = rows[known, i] + 1
            else:
                made[known, start + rows[known, i].astype(np.int64)] = 1.0
        return made

    @property
    def embeds(self) -> bool:
        """Whether categories are numbers that the network embeds."""
        return bool(self.spec.get("categories") == "embed")

    @property
    def feature_names(self) -> list[str]:
        """What each of the F numbers is."""
        return self._layout.names

    def example(self, n: int) -> Tensor:
        """Rows of medians and first categories."""
        import torch

        row = [0.0 if c["type"] == "category" else c.get("median", c["mean"]) for c in self.columns]
        return torch.from_numpy(self.features(np.array([row] * n).reshape(n, -1)))

    def shape(self) -> tuple[int | None, ...]:
        """(F,)."""
        return (self._layout.width,)

    def model_arguments(self) -> dict[str, Any]:
        """``in_channels`` and ``input_size``; to embed, ``category_sizes``: place and number of categories of each."""
        sizes = [[start, levels] for _, start, levels in self._layout.categories] if self.embeds else []
        needed = {"in_channels": self._layout.width, "input_size": (1, 1)}
        return {**needed, "category_sizes": sizes} if sizes else needed

    def describe(self) -> str:
        """How many columns of each type."""
        counts = Counter(column["type"] for column in self.columns)
        plural = {"number": "numbers", "boolean": "booleans", "date": "dates", "category": "categories"}
        kinds = [f"{counts[kind]} {kind if counts[kind] == 1 else plural[kind]}" for kind in TYPES if counts[kind]]
        return f"{len(self.columns)} column{'s' * (len(self.columns) > 1)}: {', '.join(kinds)}"

    def show(self, value: Any) -> str:
        """The row, a column a line."""
        pairs = value.items() if isinstance(value, Mapping) else zip(self.names, value, strict=True)
        return "\n".join(f"{name}: {as_text(held)}" for name, held in pairs if name in self.names)

    def read(self, inputs: Any) -> Iterator[tuple[str, Any]]:
        """Name and values of each row of a file (``new.csv:2`` is its second line), frame, array or dicts.

        What may be given is said by `read_table`.

        Columns are matched by name, in any order; those of an array without names, by place. A warning names columns
        that are passed over, categories that training did not know, with how often they come, and numbers far outside
        of the range of training.

        Raises:
            DataError: a column is not there, or holds a number that is written otherwise than those of training.
        """
        from scirs_neural.data.table.read import read_table

        if np.ndim(inputs) == 1 and hasattr(inputs, "to_dict"):  # a row of a frame
            inputs = inputs.to_dict()
        table = read_table([inputs] if self._is_one_row(inputs) else inputs)
        self._match(table)
        check_numbers(table, self.columns)
        self._warn_of_unknown(table)
        file = f"{table.where}:" if isinstance(inputs, str | Path) else ""
        for number, row in zip(table.places, table.rows(), strict=True):
            yield f"{file}{number}", row

    def write_samples(self, values: Mapping[str, Any], folder: Path) -> None:
        """Write rows into one CSV file."""
        with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.names)
            writer.writerows([row[name] for name in self.names] for row in values.values())

    def _match(self, table: RawTable) -> None:
        """Hold the columns of a table to those of training."""
        if not table.named:
            if len(table.columns) != len(self.columns):
                fix = f"give {listed(self.names, _NAMED)}, in this order, or a frame with their names"
                raise DataError(self._width(len(table.columns)), where=table.where, fix=fix)
            table.columns = dict(zip(self.names, table.columns.values(), strict=True))
        for name in self.names:
            if name not in table.columns:
                raise self._no_column(name, list(table.columns), table.where)
        extra = [n for n in table.columns if n not in self.names and n not in self.spec.get("left_out", {})]
        if extra:
            warnings.warn(f"columns that training did not have are passed over: {listed(extra, _NAMED)}", stacklevel=3)

    def _width(self, given: int) -> str:
        return f"{given} column{'s' * (given != 1)}, and training had {len(self.columns)}"

    def _warn_of_unknown(self, table: RawTable) -> None:
        """Say which values are of no category that training knew."""
        unknown: Counter[str] = Counter()
        for i, places in self._places.items():
            values, codes = distinct(table.columns[self.names[i]])
            counts = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
            for value, count in zip(values, counts, strict=True):
                if level_of(value, places) == -1.0:
                    unknown[f"{self.names[i]}={as_text(value)}"] += count
        if unknown:
            common = ", ".join(f"{what} ({count:,})" for what, count in unknown.most_common(_NAMED))
            warnings.warn(f"{unknown.total():,} values are of no category that training knew: {common}", stacklevel=3)

    def _no_column(self, name: str, have: Sequence[str], where: str) -> DataError:
        near = did_you_mean(name, have)
        fix = f"training had {listed(self.names, _NAMED)}; where a value is missing, leave it empty"
        return DataError(f"there is no column '{name}'", where=where or None, suggestions=near, fix=fix)

    def _is_one_row(self, inputs: Any) -> bool:
        if isinstance(inputs, list | tuple) or (hasattr(inputs, "ndim") and not hasattr(inputs, "columns")):
            return len(inputs) > 0 and (isinstance(inputs[0], str) or np.ndim(inputs[0]) == 0) and not isinstance(
                inputs[0], Mapping
            )  # fmt: skip
        return False

    def _float(self, value: Any, i: int) -> float | None:
        if (places := self._places.get(i)) is not None:
            return level_of(value, places)
        found = as_float(value, self.columns[i])
        return None if found is not None and math.isinf(found) else found

    @cached_property
    def _places(self) -> dict[int, dict[str, float]]:
        """Of each column of categories: the place of each."""
        return {
            i: {level: float(place) for place, level in enumerate(column["categories"])}
            for i, column in enumerate(self.columns) if column["type"] == "category"
        }  # fmt: skip

    def _numbers(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The columns that are no categories, scaled (N, numeric) float32, and where they are missing."""
        layout = self._layout
        values = rows if layout.is_plain else rows[:, layout.numeric]
        gaps = np.isnan(values)
        if gaps.any():
            values = np.where(gaps, layout.median, values)
        return ((values - layout.offset).astype(np.float32) - layout.mean) / layout.std, gaps

    @cached_property
    def _layout(self) -> _Layout:
        return _Layout(self.columns, self.embeds)


class _Layout:
    """Which features come from which column: those of a column stand together, in the order of the columns."""

    def __init__(self, columns: Sequence[Mapping[str, Any]], embeds: bool) -> None:
        self.names: list[str] = []
        self.numeric: list[int] = []
        self.numbers: list[int] = []
        self.parts: dict[int, list[tuple[int, str]]] = {}
        self.missing: list[tuple[int, int]] = []
        self.categories: list[tuple[int, int, int]] = []
        for i, column in enumerate(columns):
            name = column["name"]
            if column["type"] == "category":
                self.categories.append((i, len(self.names), len(column["categories"])))
                self.names += [name] if embeds else [f"{name}={level}" for level in column["categories"]]
            else:
                self.numeric.append(i)
                self.numbers.append(len(self.names))
                self.names.append(name)
                self.parts[i] = []
                for part in column.get("parts", ()):
                    self.parts[i].append((len(self.names), part))
                    self.names += [f"{name}, sine of {part}", f"{name}, cosine of {part}"]
            if column.get("missing"):
                self.missing.append((i, len(self.names)))
                self.names.append(f"{name} is missing")
        self.width = len(self.names)
        self.is_plain = self.numbers == list(range(self.width)) and len(columns) == self.width
        numeric = [columns[i] for i in self.numeric]
        self.offset = np.array([column.get("offset", 0.0) for column in numeric])
        self.median = np.array([column.get("median", column["mean"]) for column in numeric])
        self.mean = np.array([column["mean"] for column in numeric], dtype=np.float32)
        self.std = np.array([column["std"] for column in numeric], dtype=np.float32)


def _measured(column: dict[str, Any], values: np.ndarray) -> dict[str, Any]:
    """A column's description with what its training values tell, but for mean and deviation."""
    known = values[~np.isnan(values)]
    if len(known) < len(values):
        column["missing"] = True
    if column["type"] == "category":
        seen = np.unique(known[known >= 0]).astype(np.int64)
        column["categories"] = [column["categories"][place] for place in seen]
    if not len(known):
        raise DataError(f"the column '{column['name']}' has no value in the training rows", fix="data.leave_out=[…]")
    if column["type"] == "category":
        return column
    low, high, center, spread = float(known.min()), float(known.max()), float(known.mean()), float(known.std())
    if max(-low, high) > LARGEST:
        raise DataError(f"'{column['name']}' has numbers up to {max(-low, high):g}", fix="use their logarithm")
    column |= {"median": float(np.median(known)), "min": low, "max": high}
    if spread > 0 and abs(center) > FAR_FROM_ZERO * spread:
        column["offset"] = center
    if column["type"] == "date":
        parts = [part for part, period in PERIODS_SEC.items() if high - low >= 2 * period]
        at_one_time = bool((known % PERIODS_SEC["day"] == known[0] % PERIODS_SEC["day"]).all())
        column["parts"] = [part for part in parts if part != "day" or not at_one_time]
    return column


def _fault(column: Mapping[str, Any]) -> str:
    """What is wrong with a column's description."""
    for key, value in column.items():
        if key not in _KEYS:
            return f"there is no '{key}'"
        number = _KEYS[key] is float and isinstance(value, int | float) and not isinstance(value, bool)
        if not (abs(value) < _LARGEST_FLOAT32 if number else _KEYS[key] is not float and isinstance(value, _KEYS[key])):
            return f"'{key}' is {value!r:.50}"
    if not isinstance(column.get("name"), str) or column.get("type") not in TYPES:
        return f"a column has a name and a type, one of {', '.join(TYPES)}"
    if column["type"] == "category":
        levels = column.get("categories", ())
        if not levels or not all(isinstance(level, str) for level in levels) or len(set(levels)) < len(levels):
            return "its categories are no list of different names"
        return ""
    if "mean" not in column or column.get("std", 0) <= 0:
        return "a mean and a deviation above 0 are needed"
    if column.get("decimal", ".") not in (".", ",") or not set(column.get("parts", ())) <= set(PERIODS_SEC):
        return "its decimal mark or its parts are none"
    return ""
