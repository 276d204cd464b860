"""Kullback-Leibler divergence between two sets of logits, softened by a temperature."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.losses.contrastive import positive
from scirs_neural.losses.reduction import same_shape


class KLTemperatureLoss(nn.Module):
    """How far a student's distribution is from a teacher's: ``T² KL(softmax(target / T) ‖ softmax(input / T))``.

    The factor T² keeps the gradient's size as T grows. The teacher's logits are the target; no gradient is stopped
    here, so pass them detached.

    Args:
        temperature: above 0; 1 leaves the distributions as they are, 2 to 8 is usual for distillation.
        dim: the dimension of the classes.
        reduction: "batchmean" (the sum over the batch size: the mathematical KL), "sum", "mean" (over every element,
            which is not KL) or "none".

    Shape:
        (N, C, ...), (N, C, ...) -> () or (N, C, ...).

    Raises:
        ConfigError: the temperature is not above 0.
        ShapeError: the shapes differ.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
        >>> KLTemperatureLoss(temperature=4.0)(logits, logits).item()
        0.0
    """

    def __init__(self, temperature: float = 1.0, dim: int = 1, reduction: str = "batchmean") -> None:
        super().__init__()
        self.temperature, self.dim, self.reduction = positive(temperature), dim, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of the input's logits from the target's."""
        same_shape(input, target, "kl_temperature")
        student = F.log_softmax(input / self.temperature, dim=self.dim)
        teacher = F.log_softmax(target / self.temperature, dim=self.dim)
        return F.kl_div(student, teacher, reduction=self.reduction, log_target=True) * self.temperature**2

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature}, dim={self.dim}, reduction={self.reduction!r}"
