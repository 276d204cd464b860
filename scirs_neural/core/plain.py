"""Plain data: what JSON and YAML can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def plain_data(value: Any, other: Callable[[Any], Any]) -> Any:
    """A value as plain data: texts as keys, lists for tuples and sets.

    Args:
        value: mappings and sequences of numbers, texts and None.
        other: called with whatever is something else: it gives what stands in its place, or raises.

    Example:
        >>> plain_data({"size": (3, 4), 1: {2.5}, "place": 1j}, str)
        {'size': [3, 4], '1': [2.5], 'place': '1j'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_data(part, other) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_data(part, other) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else other(value)
