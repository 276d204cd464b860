"""The mean over samples of values that come as means over batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class SampleMean(Metric):
    """Adds up over batches and ranks, however many samples each has. NaN stays NaN, and no batch waits for the device.

    torchmetrics' own `MeanMetric` looks for NaN on the host at every batch, and with that switched off (1.9,
    ``nan_strategy="disable"``) forgets the weights.

    Example:
        >>> mean = SampleMean()
        >>> mean.update(torch.tensor(1.0), 3), mean.update(torch.tensor(2.0), 1)
        (None, None)
        >>> mean.compute()
        tensor(1.2500)
    """

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean: Tensor, num_samples: int) -> None:
        """Take in a batch."""
        self.total = self.total + mean.detach().float() * num_samples
        self.count = self.count + num_samples

    def compute(self) -> Tensor:
        """The mean of all samples so far."""
        return self.total / self.count
