"""Two kinds of fields: a series of numbers, and a count of events."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.data import Field
from scirs_neural.data.field import FieldSpec


class SeriesField(Field):
    """The last numbers of a series, scaled by the largest that training saw."""

    kind = "series"
    suffixes = frozenset({".csv"})

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Any, settings: Mapping[str, Any]) -> FieldSpec:
        """The scale of the training samples."""
        return {"kind": cls.kind, "version": 1, "length": known["length"], "largest": float(train.known(name).max())}

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """The numbers as float32."""
        try:
            numbers = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise self.refuse(f"no series of numbers: {error}", where) from error
        if numbers.shape != (self.spec["length"],) or not np.isfinite(numbers).all():
            raise self.refuse(f"a series has {self.spec['length']} finite numbers", where)
        return numbers

    def collate(self, values: Any, ctx: Any, keys: Any) -> Any:
        """Numbers on the scale 0 to 1, (N, length)."""
        return super().collate(values, ctx, keys).float() / self.spec["largest"]

    def example(self, n: int) -> Any:
        """Zeros."""
        import torch

        return torch.zeros(n, self.spec["length"])

    def model_arguments(self) -> dict[str, Any]:
        """How long a series is."""
        return {"length": self.spec["length"]}

    def describe(self) -> str:
        """The length."""
        return f"the last {self.spec['length']} numbers of a series"

    def read(self, inputs: Any) -> Iterator[tuple[str, Any]]:
        """A line of a csv file each, or an iterable of series."""
        if isinstance(inputs, str | Path):
            with open(inputs, newline="") as file:
                for number, row in enumerate(csv.reader(file), start=1):
                    yield f"{inputs}:{number}", row
            return
        yield from super().read(inputs)

    def write_samples(self, values: Mapping[str, Any], folder: Path) -> None:
        """One csv file, a line a series."""
        with open(folder / "series.csv", "w", newline="") as file:
            csv.writer(file).writerows(np.asarray(value).tolist() for value in values.values())


class CountField(Field):
    """How many events there were."""

    kind = "count"

    def encode(self, value: Any, where: str = "") -> float:
        """The number."""
        if float(value) < 0:
            raise self.refuse(f"a count is at least 0, not {value}", where)
        return float(value)

    def collate(self, values: Any, ctx: Any, keys: Any) -> Any:
        """Counts (N,) float32."""
        return super().collate(values, ctx, keys).float()

    def example(self, n: int) -> Any:
        """Ones."""
        import torch

        return torch.ones(n)
