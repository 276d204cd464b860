"""Focal loss: cross-entropy times (1 - p)^gamma, so that the many easy samples do not drown the few hard ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from scirs_neural.losses.reduction import class_target, reduce_loss, same_shape


class FocalLoss(nn.Module):
    """Multi-class focal loss on logits: ``-alpha[y] (1 - p[y])^gamma log p[y]``.

    Args:
        gamma: how fast easy samples fade; 0 is cross-entropy, 2 the paper's choice.
        alpha: a weight per class, or one number for all; None is 1. Unlike cross-entropy's ``weight``, it does not
            enter the mean's denominator, as in the paper.
        ignore_index: targets of this value count nothing.
        reduction: "mean" (over the targets that count), "sum" or "none".

    Shape:
        (N, C, ...), (N, ...) -> () or (N, ...).

    Raises:
        ShapeError: the target is not (N, ...).
        ConfigError: the target is not of an integer type.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.

    Example:
        >>> logits, target = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
        >>> bool(FocalLoss(gamma=0.0)(logits, target) == F.cross_entropy(logits, target))
        True
    """

    alpha: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.gamma, self.ignore_index, self.reduction = gamma, ignore_index, reduction
        self.register_buffer(
            "alpha", None if alpha is None else torch.as_tensor(alpha, dtype=torch.get_default_dtype())
        )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against class indices."""
        class_target(input, target, "focal")
        nll = F.cross_entropy(input, target, reduction="none", ignore_index=self.ignore_index)
        counts = target != self.ignore_index
        if self.gamma != 0:
            # 1 - p from p itself loses all digits as p nears 1; expm1 does not
            nll = nll * (-torch.expm1(-nll.where(counts, 1.0))).clamp_min(torch.finfo(nll.dtype).tiny) ** self.gamma
        if self.alpha is not None:
            alpha = self.alpha.to(nll.dtype)
            nll = nll * (alpha if alpha.dim() == 0 else alpha[target.where(counts, 0)])
        return reduce_loss(nll, mask=counts, reduction=self.reduction)

    def extra_repr(self) -> str:
        """The options."""
        return f"gamma={self.gamma}, ignore_index={self.ignore_index}, reduction={self.reduction!r}"


class BinaryFocalLoss(nn.Module):
    """torchvision's `sigmoid_focal_loss` as a module: logits against 0/1, any shape.

    Args:
        alpha: weight of the ones, 1 - alpha of the zeros; negative for none.
        gamma: how fast easy samples fade.
        reduction: "mean", "sum" or "none".

    Shape:
        (N, ...), (N, ...) -> () or (N, ...).

    Raises:
        ShapeError: the shapes differ.

    Source: Lin et al. 2017; `torchvision.ops.sigmoid_focal_loss`.

    Example:
        >>> round(BinaryFocalLoss()(torch.tensor([0.0]), torch.tensor([1.0])).item(), 4)
        0.0433
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__()
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against 0/1."""
        same_shape(input, target, "focal_binary")
        return sigmoid_focal_loss(input, target.to(input.dtype), self.alpha, self.gamma, self.reduction)

    def extra_repr(self) -> str:
        """The options."""
        return f"alpha={self.alpha}, gamma={self.gamma}, reduction={self.reduction!r}"
