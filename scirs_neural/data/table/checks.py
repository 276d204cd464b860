"""New rows held to what training saw: how numbers are written, and how large they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.data.table.columns import cast_to_floats, distinct, is_text, looked_up
from scirs_neural.data.table.kinds import to_floats
from scirs_neural.data.table.values import as_float, how_written, is_written_otherwise, listed, none_of, parse_number

if TYPE_CHECKING:
    from scirs_neural.guard.table import RawTable

FAR = 10.0
"""A value further from the range of training than so many times its width is far outside; so is a positive one below
the smallest of training by this factor, where all of training is positive."""
_TINY = 100.0  # where training has zeros or negative values: all of a column nearer to 0 than its median by this factor
_NAMED = 3  # of many columns, so many are named in a line


def check_numbers(table: RawTable, columns: Sequence[Mapping[str, Any]]) -> None:
    """Hold the numbers of new rows to those of training.

    Args:
        table: the rows.
        columns: the description of each column.

    Warns:
        UserWarning: values are far outside of the range of training: see `FAR`.

    Raises:
        DataError: a text is a number, but not as those of training were written: it could be wrong by a
            factor of 1000, perhaps. A text that is no number at all is an error of its row alone.
    """
    far = []
    for column in columns:
        if column["type"] not in ("number", "date"):
            continue
        found = _far_outside(_floats(table, column), column)
        if found:
            far.append(found)
    if far:
        warnings.warn(f"values far outside of the range of training: {listed(far, _NAMED)}", stacklevel=4)


def _floats(table: RawTable, column: Mapping[str, Any]) -> np.ndarray:
    """The numbers of a column (N,); NaN where a value is missing or none."""
    values = table.columns[column["name"]]
    if not is_text(values.type):
        try:
            return to_floats(values, column)
        except DataError:
            return np.full(len(values), np.nan)  # said of each row
    plain = cast_to_floats(values) if column["type"] == "number" and column.get("decimal", ".") == "." else None
    if plain is not None:
        return plain
    texts, codes = distinct(values)
    numbers = [as_float(text, column) for text in texts]
    for place, text in enumerate(texts):
        wrong = none_of(text, column) if numbers[place] is None else _misread(text, numbers[place], column)
        if wrong and (numbers[place] is not None or is_written_otherwise(text, column)):
            raise DataError(
                wrong, where=table.at(int(np.flatnonzero(codes == place)[0])),
                fix="write the numbers as in training, or give a frame or Parquet, whose numbers need no marks",
            )  # fmt: skip
    return looked_up([np.nan if number is None else number for number in numbers], codes)


def _far_outside(values: np.ndarray, column: Mapping[str, Any]) -> str:
    """The column with its values that are far outside of what training saw; "" if none is."""
    known = values[np.isfinite(values)]
    if "min" not in column or not len(known):
        return ""
    far, low, high = _is_far(known, column), column["min"], column["max"]
    median, largest = abs(column.get("median", 0.0)), np.abs(known).max()
    if column["type"] == "number" and low <= 0 <= high and 0 < largest < median / _TINY:
        far |= known != 0
    if not far.any():
        return ""
    first = known[far][0]
    return f"{column['name']} ({far.sum():,} of {len(known):,}, such as {first:g}; training had {low:g} to {high:g})"


def _is_far(known: np.ndarray, column: Mapping[str, Any]) -> np.ndarray:
    """Which numbers (N,) are far outside of what training saw."""
    low, high = column["min"], column["max"]
    far = (known < low - FAR * (high - low)) | (known > high + FAR * (high - low))
    if column["type"] == "number":
        far |= ((known > 0) & (known < low / FAR)) | ((known < 0) & (known > high / FAR))
    return far


def _misread(text: Any, number: float | None, column: Mapping[str, Any]) -> str:
    """What is wrong with ``13.690`` where it means 13690 as in training: far outside, and 13.69 would be within."""
    if not column.get("thousands") or number is None or "min" not in column or not isinstance(text, str):
        return ""
    other = parse_number(text, "." if column.get("decimal") == "," else ",")
    low, high = column["min"], column["max"]
    if other is None or other == number or not low <= other <= high or not _is_far(np.array([number]), column)[0]:
        return ""
    return (
        f"'{column['name']}' has {text!r}: {number:.15g} as training's numbers were written, with "
        f"{how_written(column)}, but these were {low:g} to {high:g}, where {other:g} is"
    )
