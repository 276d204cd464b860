"""The field "table": a row of named columns, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.data.field import Field, FieldSpec
from scirs_neural.data.targets import scaling

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.samples import Samples


class TableField(Field):
    """A row of numbers.

    Description: ``columns``, each with a name, a type, and the mean and deviation that it is scaled by.
    """

    kind = "table"
    settings_used = ("scale",)

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Measure the columns of the training rows."""
        rows = train.known(name)
        assert rows is not None
        mean, std = scaling(np.asarray(rows, dtype=np.float64), bool(settings.get("scale", True)))
        columns = [
            {"name": column, "type": "number", "mean": m, "std": s}
            for column, m, s in zip(known["columns"], mean, std, strict=True)
        ]
        return {"kind": cls.kind, "version": cls.version, "columns": columns}

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """The numbers of a row (F,), in the order of the columns."""
        names = [column["name"] for column in self.spec["columns"]]
        values = [value[name] for name in names] if isinstance(value, Mapping) else value
        row = np.asarray(values, dtype=np.float64)
        if row.shape != (len(names),) or not np.isfinite(row).all():
            raise self.refuse(f"a row has {len(names)} finite numbers", where)
        return row

    def collate(self, values: Any, ctx: Context, keys: Sequence[int]) -> Tensor:
        """Scaled rows (N, F) float32."""
        import torch

        rows = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values))
        mean = torch.tensor([column["mean"] for column in self.spec["columns"]])
        std = torch.tensor([column["std"] for column in self.spec["columns"]])
        return (rows.float() - mean) / std

    def example(self, n: int) -> Tensor:
        """Rows of zeros."""
        import torch

        return torch.zeros(n, len(self.spec["columns"]))

    def model_arguments(self) -> dict[str, Any]:
        """``in_channels``: the number of columns."""
        return {"in_channels": len(self.spec["columns"]), "input_size": (1, 1)}

    def describe(self) -> str:
        """How many columns."""
        return f"{len(self.spec['columns'])} columns"
