"""Rows of a table in memory."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.samples import ArraySamples
from scirs_neural.data.spec import DataSpec
from scirs_neural.data.table.kinds import to_floats
from scirs_neural.data.table.values import as_text, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "row"


class TableSamples(ArraySamples):
    """Rows as `TableField.encode` gives them, with their targets.

    Args:
        fields: "row" (N, C) float64; targets and "weight".
        specs: the descriptions of the columns of "row".
        ids: one a row.
        columns: all columns of the table, as texts.
    """

    columns: TextColumns

    def __init__(
        self,
        fields: Mapping[str, np.ndarray],
        specs: Sequence[Mapping[str, Any]],
        ids: Sequence[Any],
        columns: TextColumns,
    ) -> None:
        super().__init__(fields, ids)
        self.specs, self.columns = specs, columns

    def raw(self, index: int) -> Mapping[str, Any]:
        """One row, by column, with its targets."""
        row = self.fields[ROW][index]
        values = {spec["name"]: value_of(value, spec) for spec, value in zip(self.specs, row, strict=True)}
        return {**super().raw(index), ROW: values}

    def described_by(self, spec: DataSpec) -> TableSamples:
        """The same rows as a description of the data has them: of other rows, maybe, with other columns and categories.

        Raises:
            DataError: a column is not there, or a value is not of its column's type.
        """
        wanted = spec.inputs[ROW]["columns"]
        if list(map(_coding, wanted)) == list(map(_coding, self.specs)):
            return self
        have = {_coding(column): i for i, column in enumerate(self.specs)}
        rows = np.empty((len(self), len(wanted)))
        for i, column in enumerate(wanted):
            same = have.get(_coding(column))
            rows[:, i] = self.columns.floats(column) if same is None else self.fields[ROW][:, same]
        fields = {name: np.asarray(values) for name, values in self.fields.items()}
        return TableSamples({**fields, ROW: rows}, wanted, self.ids, self.columns)

    def chosen(self, indices: Sequence[int]) -> TableSamples:
        """Some of the rows, copied."""
        places = np.asarray(indices, dtype=np.int64)
        ids = [self.ids[i] for i in places.tolist()]
        fields = {name: np.asarray(values)[places] for name, values in self.fields.items()}
        return TableSamples(fields, self.specs, ids, self.columns.chosen(places))


class TextColumns(Mapping[str, Sequence[str]]):
    """The columns of a table as texts, made when they are asked for: a million rows of twenty columns seldom are.

    Args:
        columns: name to values, an Arrow column.
        places: the rows that are meant; None: all.
    """

    def __init__(self, columns: Mapping[str, pa.ChunkedArray], places: np.ndarray | None = None) -> None:
        self._columns, self._places = columns, places

    def __getitem__(self, name: str) -> list[str]:
        column = self._columns[name]
        values = (column if self._places is None else column.take(self._places)).to_pylist()
        return ["" if is_missing(value) else as_text(value) for value in values]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def floats(self, spec: Mapping[str, Any]) -> np.ndarray:
        """The values of a column (N,) as its description has them.

        Raises:
            DataError: there is no such column, or a value is not of its type.
        """
        name = spec["name"]
        if name not in self._columns:
            raise DataError(f"there is no column '{name}'", suggestions=did_you_mean(name, self._columns))
        column = self._columns[name]
        return to_floats(column if self._places is None else column.take(self._places), spec, "row {}".format)

    def chosen(self, places: np.ndarray) -> TextColumns:
        """The same columns at some places."""
        return TextColumns(self._columns, places if self._places is None else self._places[places])


def _coding(column: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the numbers of a column depend on."""
    return column["name"], column["type"], *column.get("categories", ())


def value_of(number: float, spec: Mapping[str, Any]) -> Any:
    """A value of a column, from the number that stands for it: what `TableField.encode` takes. None where missing.

    Example:
        >>> value_of(1.0, {"type": "category", "categories": ["a", "b"]}), value_of(86400.0, {"type": "date"})
        ('b', '1970-01-02T00:00:00+00:00')
    """
    if math.isnan(number):
        return None
    if spec["type"] == "category":
        return spec["categories"][int(number)] if number >= 0 else "(of no category)"
    if spec["type"] == "boolean":
        return bool(number)
    if spec["type"] == "date":
        return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number)).isoformat()
    return float(number)
