"""Columns of Arrow as numpy has them: whole columns at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def distinct(values: pa.ChunkedArray) -> tuple[list[Any], np.ndarray]:
    """The different values of a column, and the place of each row's among them (N,); -1 for null.

    Raises:
        DataError: the values are lists or groups of values.
    """
    import pyarrow as pa

    refuse_nested(values)
    found: list[Any] = []
    places = [np.empty(0, dtype=np.int64)]
    for chunk in values.chunks if pa.types.is_dictionary(values.type) else values.dictionary_encode().chunks:
        indices = chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy()
        places.append(np.where(indices < 0, -1, indices + len(found)))
        found += chunk.dictionary.to_pylist()
    return found, np.concatenate(places)


def refuse_nested(values: pa.ChunkedArray, name: str = "") -> None:
    """Refuse a column whose values hold several.

    Raises:
        DataError: they are lists or groups of values.
    """
    import pyarrow as pa

    if pa.types.is_nested(values.type):
        what = f"'{name}' has" if name else "a column has"
        raise DataError(f"{what} values of type {values.type}", fix="one value a row: a column for each of them")


def looked_up(of_distinct: Sequence[float], codes: np.ndarray) -> np.ndarray:
    """The number of each row (N,), from those of the different values; NaN for null."""
    return np.array([*of_distinct, math.nan])[codes]


def cast_to_floats(values: pa.ChunkedArray) -> np.ndarray | None:
    """Texts that are plain numbers without exception (N,), read by pyarrow; None if they are not."""
    import pyarrow as pa

    try:
        return values.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def has_leading_zero(values: pa.ChunkedArray) -> bool:
    """Whether a text is digits that begin with 0, such as a postal code."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(values, r"^\s*0\d+\s*$")).as_py())


def is_text(arrow: Any) -> bool:
    """Whether a type of Arrow's is one of texts."""
    import pyarrow as pa

    return pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow)


def no_values(values: Any) -> np.ndarray:
    """NaN for each row."""
    return np.full(len(values), math.nan)
