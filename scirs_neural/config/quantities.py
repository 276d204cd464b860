"""Numbers and times that settings take, each within the range in which it means something."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_TIME_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


def _is_part(value: float) -> float:
    if isinstance(value, float) and value > 1:
        raise ValueError(f"{value} is no number of batches: a whole number, or a fraction of at most 1.0")
    return value


def _acts_on_some(value: float) -> float:
    if not value:
        raise ValueError("0 batches: 1 or more, or a fraction above 0")
    return value


def _trains_something(value: int) -> int:
    if not value:
        raise ValueError("0 steps train nothing: 1 or more, or -1 for no limit")
    return value


def _are_devices(value: int | str | list[int]) -> int | str | list[int]:
    is_number = isinstance(value, int) and (value > 0 or value == -1)
    is_list = isinstance(value, list) and len(value) == len(set(value)) > 0 and min(value) >= 0
    if not (is_number or is_list or (isinstance(value, str) and re.fullmatch(r"auto|-1|[1-9]\d*|\d+(,\d+)+", value))):
        raise ValueError(f"{value} is no number of devices: auto, 1 or more, -1 for all, or a list such as [0,1]")
    return value


def _is_a_time(value: str | dict[str, int]) -> str | dict[str, int]:
    if isinstance(value, str) and not re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", value):
        raise ValueError("write DD:HH:MM:SS, as 00:01:30:00, or {hours:1,minutes:30}")
    if isinstance(value, dict) and not set(value) <= set(_TIME_UNITS):
        raise ValueError(f"its keys are {', '.join(_TIME_UNITS)}")
    numbers = list(map(int, value.split(":"))) if isinstance(value, str) else list(value.values())
    if not any(numbers) or min(numbers) < 0:
        raise ValueError(f"{value} is no time in which anything could be trained")
    return value


Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Threads = Annotated[int, Field(ge=1, le=4096)]
Limit = Annotated[int | float, Field(ge=0), AfterValidator(_is_part)]
"""A number of batches, or a fraction of all."""
SomeBatches = Annotated[Limit, AfterValidator(_acts_on_some)]
Steps = Annotated[int, Field(ge=-1), AfterValidator(_trains_something)]
Devices = Annotated[int | str | list[int], AfterValidator(_are_devices)]
TimeSpan = Annotated[str | dict[str, int], AfterValidator(_is_a_time)]
