"""A function of the user's as a metric over the full set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from scirs_neural.core.errors import ConfigError


class FunctionMetric(Metric):
    """Calls a function once, on all probabilities and targets of the set, not on each batch.

    So metrics that are no mean over samples (F1, AUROC, quantiles) come out right. All outputs are kept until then.

    Args:
        function: takes the probabilities (N, C) as float32 and the targets (N,) or (N, C), both as numpy arrays, and
            gives a number.
        name: how the function is called in errors.

    Raises:
        ConfigError: on compute, if what the function gives is not a number.

    Example:
        >>> metric = FunctionMetric(lambda p, t: (p.argmax(1) == t).mean(), name="mine")
        >>> metric.update(torch.eye(2), torch.tensor([0, 0]))
        >>> metric.compute()
        tensor(0.5000)
    """

    full_state_update = False
    probabilities: list[torch.Tensor]
    targets: list[torch.Tensor]

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__()
        self.function, self.name = function, name
        self.add_state("probabilities", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")

    def update(self, probabilities: torch.Tensor, targets: torch.Tensor) -> None:
        """Keep one batch."""
        self.probabilities.append(probabilities.detach().float())
        self.targets.append(targets.detach())

    def compute(self) -> torch.Tensor:
        """The function's value for everything seen."""
        probabilities, targets = dim_zero_cat(self.probabilities), dim_zero_cat(self.targets)
        value = self.function(probabilities.cpu().numpy(), targets.cpu().numpy())
        try:
            return torch.tensor(float(value))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the metric '{self.name}' gave {type(value).__name__}, not a number",
                fix="let it return one float for (probabilities, targets)",
            ) from error
