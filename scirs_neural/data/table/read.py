"""Tables from wherever they are: files, frames, arrays, dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.table.values import as_text, is_missing
from scirs_neural.guard.table import RawTable, first_line, limited, read_table_file, unique_names

_JSON = "a list of objects, an object of lists, or an object of objects with the same keys (pandas' to_json)"


def read_table(source: Any) -> RawTable:
    """A table from a file, a frame, an array, or dicts.

    Args:
        source: the path of a CSV, TSV, Parquet, JSONL or JSON file; a frame (pandas, polars, pyarrow, or whatever knows
            Arrow's C interface); an array (N, C), whose columns are called ``column_0`` and so on; a dict of lists; a
            list of dicts; or one dict of values, a single row. Dicts with the same keys, as in the JSON that pandas
            writes, are columns.

    Raises:
        DataError: there is no such file, or it is no table: ragged rows, NUL bytes, no UTF-8, a cell or a table above
            the limits. Names file and line.

    Example:
        >>> table = read_table([{"age": 31, "city": "Rome"}, {"age": 5}])
        >>> list(table.rows())
        [{'age': 31, 'city': 'Rome'}, {'age': 5, 'city': None}]
    """
    if isinstance(source, RawTable):
        return source
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        found = read_table_file(path)
        if not isinstance(found, RawTable | list | dict) or not found:
            raise DataError("its JSON is no table", where=str(path), fix=_JSON)
        table = found if isinstance(found, RawTable) else _of_json(found, str(path))
        table.where = str(path)
        return table
    if hasattr(source, "to_frame"):  # a series
        source = source.to_frame()
    if hasattr(source, "__arrow_c_stream__"):
        return _from_frame(source)
    if isinstance(source, Mapping):
        held = list(source.values())
        if held and all(isinstance(v, Mapping) and list(v) == list(held[0]) for v in held):
            source = {name: list(v.values()) for name, v in source.items()}
        one_row = not any(isinstance(v, Sequence | np.ndarray) and not isinstance(v, str) for v in source.values())
        columns = {str(name): [value] if one_row else value for name, value in source.items()}
        return _checked(columns, "the rows")
    if not isinstance(source, Iterable):
        raise DataError(f"a {type(source).__name__} is no table", fix="give a file, a frame, an array, or dicts")
    rows: Any = source if isinstance(source, Sequence) or hasattr(source, "__array__") else list(source)
    if len(rows) and isinstance(rows[0], Mapping):
        wrong = next((i for i, row in enumerate(rows) if not isinstance(row, Mapping)), None)
        if wrong is not None:
            raise DataError(f"row {wrong} is a {type(rows[wrong]).__name__}, and others are dicts")
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return _checked({name: [row.get(name) for row in rows] for name in names}, "the rows")
    return _from_array(rows)


def _of_json(found: Any, where: str) -> RawTable:
    try:
        table = read_table(found)
    except DataError as error:
        error.where, error.fix = where, error.fix or _JSON
        raise
    if not len(table):
        raise DataError("no rows", where=where)
    return table


def need_columns(table: RawTable, names: Iterable[str]) -> None:
    """Hold a table to the columns that are named.

    Raises:
        DataError: there is no such column.
    """
    for name in names:
        if name not in table.columns:
            raise DataError(
                f"no column '{name}'", where=table.where, suggestions=did_you_mean(name, table.columns),
                fix=f"its columns are {', '.join(table.columns)[:200]}",
            )  # fmt: skip


def plain_columns(table: RawTable) -> dict[str, list[str]]:
    """Every column as the texts that stand in it; "" where nothing does."""
    return {name: ["" if v is None else str(v) for v in held.to_pylist()] for name, held in table.columns.items()}


def _from_array(rows: Any) -> RawTable:
    try:
        array = np.asarray(rows)
        if array.dtype == object or array.dtype.kind in "US":
            array = np.asarray(rows, dtype=object)
    except ValueError as error:
        raise DataError(f"the rows are no table: {error}", fix="give rows of one length") from error
    if array.ndim != 2 or not array.size:
        raise DataError(f"the rows are no table: their shape is {array.shape}", fix="give (N, columns)")
    columns = {f"column_{index}": array[:, index] for index in range(array.shape[1])}
    table = _checked(columns, "the rows")
    table.named = False
    return table


def _from_frame(frame: Any) -> RawTable:
    import pyarrow as pa

    try:
        table = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        if not hasattr(frame, "columns"):
            raise DataError(f"the frame is no table: {first_line(error)}") from error
        return _from_columns(frame)
    notes: list[str] = []
    names = unique_names(table.column_names, notes)
    columns = dict(zip(names, table.columns, strict=True))
    return limited(RawTable(columns, "the frame", notes=notes))


def _from_columns(frame: Any) -> RawTable:
    """A frame that Arrow refuses: of mixed values, or with two columns of one name."""
    notes: list[str] = []
    names = unique_names(list(map(str, frame.columns)), notes)
    values = [list(frame.iloc[:, i] if hasattr(frame, "iloc") else frame[n]) for i, n in enumerate(frame.columns)]
    table = _checked(dict(zip(names, values, strict=True)), "the frame")
    table.notes = notes
    return table


def _checked(columns: Mapping[str, Any], where: str) -> RawTable:
    """Columns of Python or numpy values; those of mixed types as texts."""
    import pyarrow as pa

    made: dict[str, Any] = {}
    if not columns:
        raise DataError("no columns", where=where)
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim > 1:
            raise DataError(f"the column '{name}' has the shape {values.shape}", where=where, fix="one value a row")
        try:
            made[name] = pa.chunked_array([pa.array(np.ascontiguousarray(values) if _is_plain(values) else values)])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            made[name] = pa.chunked_array([_of_mixed([None if is_missing(v) else v for v in values])])
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different lengths: {lengths}", where=where)
    return limited(RawTable(made, where))


def _of_mixed(values: list[Any]) -> Any:
    """Values of one type but for words such as "n/a", which are None here; others as texts."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if v is None else as_text(v) for v in values], pa.string())


def _is_plain(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
