"""What each column of a table holds, and its values as numbers: whole columns at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.table.columns import (
    cast_to_floats,
    distinct,
    has_leading_zero,
    is_text,
    looked_up,
    no_values,
    refuse_nested,
)
from scirs_neural.data.table.numbers import numbers_of
from scirs_neural.data.table.values import (
    BOOLEANS,
    as_float,
    as_text,
    date_formats_of,
    is_missing,
    none_of,
    parse_number,
)
from scirs_neural.data.targets import class_names

if TYPE_CHECKING:
    import pyarrow as pa

    from scirs_neural.guard.table import RawTable

TYPES = ("number", "boolean", "date", "category")
NUMBER_FORMS = ("number:,", "number:.")
MAX_LEVELS = 50
"""A column of text with more different values is no input unless ``data.columns`` says so."""
_RUNNING_ROWS = 20  # fewer rows that count 1, 2, 3 may do so by chance
_UNKNOWN = -1.0
_INDEX_NAME = re.compile(r"Unnamed: \d+|__index_level_\d+__")
_ID_NAME = re.compile(r"(^|[_\W])(?i:id|idx|index|uuid|guid)$|[a-z]I[Dd]$")
_LEADING_ZERO = re.compile(r"0\d", re.ASCII)


@dataclass
class Column:
    """One column of a table.

    Args:
        spec: its description: "name", "type", and "decimal", "format" or "categories".
        values: (N,) float64: numbers, 0 and 1, seconds since 1970, or places among the categories; NaN where missing.
        left_out: why it is no input; "" if it is one.
    """

    spec: dict[str, Any]
    values: np.ndarray
    left_out: str = ""


def read_column(table: RawTable, name: str, declared: str | None = None, *, keep: bool = False) -> Column:
    """What a column holds, from all of its values.

    Args:
        table: the table.
        name: of the column.
        declared: one of `TYPES`, or ``date:`` and a format of strptime, or ``number:,`` for a decimal comma and
            ``number:.`` for a decimal point; ``category:none,NA`` makes categories of these words, which else mean that
            the value is missing; None: inferred.
        keep: whether to take it whatever it holds, as a target.

    Raises:
        ConfigError: no such type.
        DataError: a value is not of the declared type, or not finite, or a number that can be read in two ways.
    """
    values, at = table.columns[name], table.at
    kind, _, form = (declared or "").partition(":")
    if declared is not None and (
        kind not in TYPES or (form and kind not in ("date", "category") and declared not in NUMBER_FORMS)
    ):
        raise ConfigError(
            f"the column '{name}' is declared as '{declared}'", suggestions=did_you_mean(kind, TYPES),
            fix=f"one of {', '.join(TYPES)}; date:%d/%m/%Y for dates not in ISO 8601; 'number:,' for decimal commas",
        )  # fmt: skip
    keep = keep or declared is not None
    arrow = values.type
    spec: dict[str, Any] = {"name": name, "type": kind or _type_of(arrow)}
    if spec["type"] == "other":
        return Column(spec, no_values(values), f"values of type {arrow}")
    if spec["type"] == "text":
        written = numbers_of(table).of(name, table.where)
        found = _from_text(spec, values, written)
        if found.left_out:
            return as_categories(spec, values) if keep else found
        spec, numbers = found.spec, found.values
        if spec["type"] == "category":
            return found if keep else _few_levels(found)
    elif spec["type"] == "category":
        return as_categories(spec, values, form.split(","))
    else:
        if form and kind == "date":
            spec["format"] = form
        if kind == "number" and is_text(arrow):
            spec |= numbers_of(table).of(name, table.where) or numbers_of(table).usual
        numbers = to_floats(values, spec, at)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise DataError(
            f"'{name}' has a number that is not finite", where=at(int(infinite[0])),
            fix=f"leave such cells empty, or data.leave_out=[{name}]",
        )  # fmt: skip
    return Column(spec, numbers, "" if keep else _reason(name, spec, numbers))


def to_floats(values: pa.ChunkedArray, spec: Mapping[str, Any], at: Callable[[int], str] = str) -> np.ndarray:
    """The values of a column as its description has them.

    Args:
        values: the column.
        spec: its description.
        at: what a row is called in an error.

    Shape: (N,) float64.

    Raises:
        DataError: a value is not of the column's type.
    """
    import pyarrow as pa

    arrow, kind = values.type, spec["type"]
    refuse_nested(values, spec["name"])
    if kind == "category":
        texts, codes = distinct(values)
        places = {level: float(place) for place, level in enumerate(spec["categories"])}
        return looked_up([level_of(text, places) for text in texts], codes)
    if is_text(arrow) or pa.types.is_dictionary(arrow):
        fast = cast_to_floats(values) if kind == "number" and spec.get("decimal", ".") == "." else None
        if fast is not None:
            return fast
        texts, codes = distinct(values)
        return looked_up([_parsed(text, spec, codes, place, at) for place, text in enumerate(texts)], codes)
    if pa.types.is_null(arrow):
        return no_values(values)
    is_moment = pa.types.is_timestamp(arrow) or pa.types.is_date(arrow)
    if (kind == "date") != is_moment:
        raise DataError(f"'{spec['name']}' has values of type {arrow}, and is a {kind}", where=at(0))
    if is_moment or pa.types.is_duration(arrow) or pa.types.is_time(arrow):
        unit = pa.timestamp("us", getattr(arrow, "tz", None)) if is_moment else None
        unit = unit or (pa.duration("us") if pa.types.is_duration(arrow) else pa.time64("us"))
        return values.cast(unit, safe=False).cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / 1e6
    try:
        return values.cast(pa.float64(), safe=False).to_numpy()
    except pa.ArrowException as error:
        raise DataError(f"'{spec['name']}' has values of type {arrow}, and is a {kind}", where=at(0)) from error


def level_of(value: Any, places: Mapping[str, float]) -> float:
    """The place of a value among the categories; -1 if it is none of them, NaN if it is missing.

    Example:
        >>> [level_of(value, {"1": 0.0, "red": 1.0}) for value in (1, "1.0", " red", "blue", None)]
        [0.0, 0.0, 1.0, -1.0, nan]
    """
    text = as_text(value) if isinstance(value, str) else ""
    if is_missing(value) and text not in places:
        return math.nan
    text = text or as_text(value)
    if text not in places and isinstance(value, str) and (number := parse_number(text)) is not None:
        text = as_text(number) if math.isfinite(number) else text
    return places.get(text, _UNKNOWN)


def is_whole(values: np.ndarray) -> bool:
    """Whether all known numbers are whole."""
    known = values[~np.isnan(values)]
    return bool((known == np.rint(known)).all())


def _type_of(arrow: Any) -> str:
    import pyarrow as pa

    types = pa.types
    if is_text(arrow) or types.is_null(arrow):
        return "text"
    if types.is_dictionary(arrow):
        return "category"
    if types.is_boolean(arrow):
        return "boolean"
    if types.is_timestamp(arrow) or types.is_date(arrow):
        return "date"
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_duration, types.is_time)
    return "number" if any(is_one(arrow) for is_one in numbers) else "other"


def _from_text(spec: dict[str, Any], values: pa.ChunkedArray, written: dict[str, Any] | None) -> Column:
    """A column of text; it is left out if it has no values, or dates that can be read in two ways."""
    name = spec["name"]
    if written is not None:
        made: dict[str, Any] = {"name": name, "type": "number"} | written
        numbers = to_floats(values, made)
        return as_categories(spec, values) if is_whole(numbers) and has_leading_zero(values) else Column(made, numbers)
    texts, codes = distinct(values)
    known = [text.strip() for text in texts if not is_missing(text)]
    if not known:
        return Column(spec, no_values(values), "no values")
    if {text.lower() for text in known} <= set(BOOLEANS):
        made = {"name": name, "type": "boolean"}
    elif formats := date_formats_of(known):
        if len(formats) > 1:
            both = " or ".join(str(form) for form in formats[:2])
            reason = f"dates that can be read as {both}: say data.columns={{{name}: date:{formats[0]}}}"
            return Column(spec, no_values(values), reason)
        made = {"name": name, "type": "date"} | ({"format": formats[0]} if formats[0] else {})
    else:
        return as_categories(spec, values)
    return Column(made, looked_up([_parsed(text, made, codes, place, str) for place, text in enumerate(texts)], codes))


def as_categories(spec: Mapping[str, Any], values: pa.ChunkedArray, words: Sequence[str] = ()) -> Column:
    """A column as categories, whatever it holds; whole numbers by their value; words that else mean "missing" too."""
    kept = {word.strip() for word in words} - {""}

    def number(name: str) -> float | None:
        return parse_number(name, spec.get("decimal", "."), bool(spec.get("thousands")))

    texts, codes = distinct(values)
    names = [None if is_missing(text) and str(text).strip() not in kept else as_text(text) for text in texts]
    numbers = [number(name) for name in names if name is not None and not _LEADING_ZERO.match(name)]
    if len(numbers) == sum(name is not None for name in names) and all(n is not None and n == n // 1 for n in numbers):
        names = [None if name is None else as_text(number(name)) for name in names]
    levels = list(class_names(name for name in names if name is not None))
    places = {level: float(place) for place, level in enumerate(levels)}
    found = looked_up([math.nan if name is None else places[name] for name in names], codes)
    return Column({"name": spec["name"], "type": "category", "categories": levels}, found)


def _few_levels(column: Column) -> Column:
    """The column, left out if its texts are too many to be categories."""
    name, levels = column.spec["name"], len(column.spec["categories"])
    known = int((~np.isnan(column.values)).sum())
    if levels == known and levels > 1:
        column.left_out = "an identifier: each row has another text"
    elif levels > MAX_LEVELS:
        column.left_out = f"text with {levels:,} different values: data.columns={{{name}: category}} takes it"
    elif levels == 1 and known == len(column.values):
        column.left_out = "the same value in every row"
    return column


def _reason(name: str, spec: Mapping[str, Any], values: np.ndarray) -> str:
    """Why a column of numbers is no input."""
    if np.isnan(values).all():
        return "no values"
    if (values == values[0]).all():
        return "the same value in every row"
    if spec["type"] != "number" or np.isnan(values).any() or not is_whole(values):
        return ""
    counts = bool((np.diff(values) == 1).all())
    if _INDEX_NAME.fullmatch(name) and counts:
        return "the index of a frame"
    if counts and len(values) >= _RUNNING_ROWS:
        return f"a running number, {values[0]:.0f}, {values[1]:.0f}, …: data.columns={{{name}: number}} takes it"
    if _ID_NAME.search(name) and len(np.unique(values)) == len(values):
        return f"an identifier: data.columns={{{name}: number}} takes it"
    return ""


def _parsed(text: Any, spec: Mapping[str, Any], codes: np.ndarray, place: int, at: Callable[[int], str]) -> float:
    value = as_float(text, spec)
    if value is None:
        row = int(np.flatnonzero(codes == place)[0])
        raise DataError(none_of(text, spec), where=at(row))
    return value
