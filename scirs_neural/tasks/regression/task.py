"""Regression: one number, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.data.context import Batch
from scirs_neural.tasks.regression.predictions import NumberPredictions
from scirs_neural.tasks.supervised import Supervised
from scirs_neural.tasks.task import without_half

if TYPE_CHECKING:
    from torch import Tensor

_OFFSET = 1000.0  # deviations from zero to the mean


class Regression(Supervised):
    """One or several numbers for each sample, learnt by the mean squared error of the scaled numbers.

    The network gives numbers of mean 0 and deviation 1 (``mean`` and ``std`` of the target's description); answers and
    scores are in the units of the data, and are computed in float64. Numbers that are not known (NaN) count nowhere.

    Args:
        spec: with one target of kind "numbers".
        loss: see `Supervised`; "auto": the mean squared error.
        metrics: names of further metrics, or ``file.py:function``.

    Shape: outputs and targets (N, K).

    Example:
        >>> import torch
        >>> from scirs_neural.data.spec import DataSpec
        >>> price = {"kind": "numbers", "names": ["price"], "mean": [5000.0], "std": [1000.0], "units": ["EUR"]}
        >>> task = Regression(DataSpec("toy", {}, {"price": price}))
        >>> task.decode(task.to_arrays(torch.tensor([[0.5]]), {"id": ["a"]}))
        [{'price': 5500.0}]
    """

    name = "regression"
    predictions = NumberPredictions
    names_in = "names"
    main_metric = "r2"
    epoch_metrics = ("mae", "rmse")
    automatic_loss = "mse"

    def prepared_target(self, batch: Batch) -> Tensor:
        """The targets scaled to mean 0 and deviation 1.

        In float64 where the mean is large beside the deviation: float32 would lose the difference.
        """
        target: Tensor = batch[self.target]
        if all(abs(mean) < _OFFSET * std for mean, std in zip(*self._scale, strict=True)):
            target = target.float()
        mean, std = (target.new_tensor(held) for held in self._scale)
        return (target - mean) / std

    @property
    def _scale(self) -> tuple[Sequence[float], Sequence[float]]:
        return self.description["mean"], self.description["std"]

    def to_tensors(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``numbers`` (N, K) in the units of the data, in float32 or wider."""
        outputs = without_half(outputs)
        mean, std = (outputs.new_tensor(held) for held in self._scale)
        return {"numbers": outputs * std + mean}

    def to_arrays(self, outputs: Tensor, batch: Batch) -> dict[str, Any]:
        """``numbers`` (N, K) in the units of the data, in float64: their mean may be large beside their deviation."""
        scaled, (mean, std) = without_half(outputs.detach()).cpu().double().numpy(), self._scale
        return {"numbers": scaled * np.asarray(std) + np.asarray(mean)}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """``target`` (N, K) float64 in the units of the data, NaN where it is not known."""
        return {"target": batch[self.target].cpu().double().numpy()}

    def header(self) -> dict[str, Any]:
        """The names of the numbers, and their units if they are known."""
        units = self.description.get("units")
        return {"names": list(self.output_names), **({"units": list(units)} if units else {})}

    def decode(self, columns: Mapping[str, Any]) -> list[dict[str, float]]:
        """For each sample its numbers by name, in the units of the data."""
        rows = np.asarray(columns["numbers"], dtype=np.float64)
        return [dict(zip(self.output_names, row.tolist(), strict=True)) for row in rows]
