"""One value of a table, as people write it: missing, a number, a date, yes or no. No torch, no pyarrow.

Whole columns are read by the same functions, wherever a faster way does not give the same result.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scirs_neural.core.errors import ConfigError

MISSING_WORDS = (
    "", "?", "-", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "<na>", "missing", "nat",
)  # fmt: skip
"""What stands for a value that is not known, in any case: the words of pandas, R, SQL, Excel and UCI."""

BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
DATE_FORMATS = tuple(
    day + time
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y")
    for time in ("", " %H:%M", " %H:%M:%S")
)
"""Tried after ISO 8601, in this order. A column that fits two of them is not guessed."""

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII)  # 1,234.5
_SWAPPED = str.maketrans(".,", ",.")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_LIKE_A_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)", re.ASCII)


def listed(names: Sequence[str], most: int) -> str:
    """Names in a line; of many, the first.

    Example:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def names_of(given: Any, setting: str) -> list[str]:
    """Names of columns or classes, from one or several as a user or a YAML file gives them.

    Args:
        given: a name, or several; whole numbers are taken by their digits.
        setting: for the error.

    Raises:
        ConfigError: one is no text, such as what YAML makes of ``null``, ``yes`` or ``1e3``.

    Example:
        >>> names_of("age", "data.target"), names_of(["age", 2020], "data.target")
        (['age'], ['age', '2020'])
    """
    names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise ConfigError(
                f"{setting} has {name!r} as a name, which is no text", fix="quote it in YAML: leave_out: ['null']"
            )
    return [str(name) for name in names]


def is_missing(value: Any) -> bool:
    """Whether a value stands for one that is not known: None, NaN, NaT, pandas' NA, or a word such as ``n/a``.

    Example:
        >>> [is_missing(value) for value in (None, float("nan"), "N/A", "?", 0, "no")]
        [True, True, True, True, False, False]
    """
    if isinstance(value, str):
        return value.strip().lower() in MISSING_WORDS
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(value != value) if isinstance(value, float) or hasattr(value, "dtype") else False


def as_text(value: Any) -> str:
    """A value as the name of a category: whole numbers without ``.0``, truth in lower case.

    Example:
        >>> as_text(" red "), as_text(3.0), as_text(True), as_text(0.5)
        ('red', '3', 'true', '0.5')
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def parse_number(text: str, decimal: str = ".", thousands: bool = True) -> float | None:
    """A number as written; None if it is none.

    Args:
        text: such as ``1.5e3``, ``1,234.5``, and with a decimal comma ``1.234,5``.
        decimal: "." or ",".
        thousands: whether the other mark alone can stand between thousands, as in ``1,234``; ``1,234.5`` and
            ``1,234,567`` can be read in one way only, and always are.

    Example:
        >>> parse_number("1,234.5"), parse_number("1.234,5", ","), parse_number("1,5"), parse_number("1,5", ",")
        (1234.5, 1234.5, None, 1.5)
        >>> parse_number("1.234", ","), parse_number("1.234", ",", thousands=False), parse_number("0.123", ",")
        (1234.0, None, None)
    """
    text = text.strip().translate(_SWAPPED) if decimal == "," else text.strip()
    if _PLAIN.fullmatch(text) or _INFINITE.fullmatch(text):
        return float(text)
    if _GROUPED.fullmatch(text) and (thousands or "." in text or text.count(",") > 1):
        return float(text.replace(",", ""))
    return None


def how_written(column: Mapping[str, Any]) -> str:
    """How the numbers of a column were written in training, in words.

    Example:
        >>> how_written({"decimal": ",", "thousands": True}), how_written({})
        ('a decimal comma and dots between thousands', 'a decimal point and nothing between thousands')
    """
    point, other = ("comma", "dots") if column.get("decimal") == "," else ("point", "commas")
    return f"a decimal {point} and {other if column.get('thousands') else 'nothing'} between thousands"


def is_written_otherwise(text: Any, column: Mapping[str, Any]) -> bool:
    """Whether a text is a number, but not as the numbers of a column were written in training."""
    if column["type"] != "number" or not isinstance(text, str) or as_float(text, column) is not None:
        return False
    return any(parse_number(text, decimal) is not None for decimal in ".,")


def none_of(value: Any, column: Mapping[str, Any]) -> str:
    """What is wrong with a value that is not of a column's type."""
    how = f": in training, numbers had {how_written(column)}" if is_written_otherwise(value, column) else ""
    return f"'{column['name']}' is a {column['type']}, and {value!r} is none{how}"


def parse_date(value: Any, form: str | None = None) -> float | None:
    """Seconds since 1970 in UTC; None if it is no date. A time without a zone is taken as UTC.

    Args:
        value: a text, or a date or datetime of Python, numpy or pandas.
        form: as ``strptime`` has it; None is ISO 8601.

    Example:
        >>> parse_date("1970-01-02"), parse_date("1970-01-01T01:00:00+01:00"), parse_date("2/1/1970", "%d/%m/%Y")
        (86400.0, 0.0, 86400.0)
    """
    if type(value).__name__ == "datetime64":
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        text = value.strip()
        try:
            value = dt.datetime.fromisoformat(text) if form is None else dt.datetime.strptime(text, form)
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    return None


def date_formats_of(texts: Sequence[str]) -> list[str | None]:
    """The formats in which every text is a date; None is ISO 8601.

    Example:
        >>> date_formats_of(["31/12/2024"]), date_formats_of(["1/2/2024"]), date_formats_of(["2024-12-31 23:59"])
        (['%d/%m/%Y'], ['%d/%m/%Y', '%m/%d/%Y'], [None])
    """
    if not texts or not all(_LIKE_A_DATE.match(text.strip()) for text in texts):
        return []
    if all(parse_date(text) is not None for text in texts):
        return [None]
    return [form for form in DATE_FORMATS if all(parse_date(text, form) is not None for text in texts)]


def as_float(value: Any, column: Mapping[str, Any]) -> float | None:
    """One value of a column of numbers, truth or dates; NaN where it is missing, None if it is none of the kind.

    Args:
        value: as a user or a file gives it.
        column: the column's description; see `scirs_neural.data.table.field.TableField`.
    """
    if is_missing(value):
        return math.nan
    if column["type"] == "date":
        form = column.get("format")
        found = parse_date(value, form)
        return parse_date(value) if found is None and form else found
    if isinstance(value, str):
        known = BOOLEANS.get(value.strip().lower()) if column["type"] == "boolean" else None
        if known is not None:
            return known
        return parse_number(value, column.get("decimal", "."), bool(column.get("thousands")))
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
