"""From one loss per element to one number: weights, masks, and the three reductions, the same for every loss."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError


def reduce_loss(
    values: Tensor, weight: Tensor | None = None, mask: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Reduce losses per element to one number.

    ``mean`` divides by the sum of the weights of the elements that count, as torch's cross-entropy and scikit-learn's
    ``sample_weight`` do; where none counts it is 0. Elements that are masked out add nothing, whatever they hold
    (NaN too), and get no gradient.

    Args:
        values: losses per element.
        weight: a factor per element. It may have fewer dimensions: a weight of shape (N,) holds for whole samples.
        mask: boolean, True where an element counts; like ``weight`` in shape.
        reduction: "mean", "sum" or "none".

    Shape:
        values (N, ...), weight and mask (N, ...) or with the last dimensions left out -> () or (N, ...).

    Raises:
        ShapeError: ``weight`` or ``mask`` does not fit.
        ConfigError: the mask is not boolean, or the reduction is unknown.

    Example:
        >>> values = torch.tensor([1.0, 2.0, float("nan")])
        >>> reduce_loss(values, weight=torch.tensor([3.0, 1.0, 1.0]), mask=~values.isnan()).item()
        1.25
    """
    if reduction not in ("mean", "sum", "none"):
        raise ConfigError(f"unknown reduction {reduction!r}", fix="mean, sum or none")
    if mask is not None and mask.dtype != torch.bool:
        raise ConfigError(f"the mask has dtype {mask.dtype}", fix="give a boolean mask, True where an element counts")
    factors = None if weight is None else _expand(weight, values, "weight").to(values.dtype)
    if mask is not None:
        counts = _expand(mask, values, "mask")
        values = values.where(counts, 0.0)
        factors = counts.to(values.dtype) if factors is None else factors.where(counts, 0.0)
    if factors is None:
        return values if reduction == "none" else values.sum() if reduction == "sum" else values.mean()
    weighted = values * factors
    if reduction == "none":
        return weighted
    total = weighted.sum()
    if reduction == "sum":
        return total
    norm = factors.sum()
    return total / norm.where(norm != 0, 1.0)


class WeightedLoss(nn.Module):
    """Any loss with weights and masks: ``loss(input, target, weight=…, mask=…)``.

    The wrapped loss gives a value per element; `reduce_loss` does the rest. Masked-out targets are replaced by 0 before
    the loss sees them, so NaN or -1 may stand there.

    Args:
        loss: a name of `LOSSES`, a mapping with options, or a module. Built with ``reduction="none"``.
        reduction: "mean" (over the weights of what counts), "sum" or "none".
        nan_is_missing: mask out where the target is NaN, beside ``mask``.

    Shape:
        input and target as the wrapped loss takes them; weight and mask as the target, or its first dimensions.

    Raises:
        ConfigError: the wrapped loss has no ``reduction``.

    Source: ours; "mean" is scikit-learn's weighted average.

    Example:
        >>> loss = WeightedLoss("mse", nan_is_missing=True)
        >>> loss(torch.tensor([1.0, 2.0]), torch.tensor([3.0, float("nan")])).item()
        4.0
    """

    def __init__(
        self, loss: str | dict[str, Any] | nn.Module = "mse", reduction: str = "mean", nan_is_missing: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(loss, nn.Module):
            from scirs_neural.losses.create import create_loss  # create_loss builds this class too

            loss = create_loss(loss)
        if not hasattr(loss, "reduction"):
            raise ConfigError(f"{type(loss).__name__} cannot be weighted: it gives no value per element")
        loss = copy.copy(loss)  # the user's own keeps its reduction
        setattr(loss, "reduction", "none")  # noqa: B010  (a module's plain attribute)
        self.loss, self.reduction, self.nan_is_missing = loss, reduction, nan_is_missing

    def forward(
        self, input: Tensor, target: Tensor, weight: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The loss over the elements that count."""
        of_classes = not target.is_floating_point()
        ignored: Any = getattr(self.loss, "ignore_index", None) if of_classes else None
        if self.nan_is_missing or ignored is not None:
            present = target.ne(ignored) if of_classes else ~target.isnan()
            mask = present if mask is None else _expand(mask, present, "mask") & present
        if mask is not None:
            target = target.masked_fill(~_expand(mask, target, "mask"), 0)
        values = self.loss(input, target)
        of_class = getattr(self.loss, "weight", None) if of_classes else None
        if of_class is None or self.reduction != "mean":
            return reduce_loss(values, weight, mask, self.reduction)
        norm = reduce_loss(of_class[target], weight, mask, "sum")  # as torch divides
        return reduce_loss(values, weight, mask, "sum") / norm.where(norm != 0, 1.0)

    def extra_repr(self) -> str:
        """The options."""
        return f"reduction={self.reduction!r}, nan_is_missing={self.nan_is_missing}"


class RMSELoss(nn.Module):
    """The root of the mean squared error: the error in the target's own unit.

    The root is not differentiable at 0; there its gradient is taken as 0.

    Shape:
        (N, ...), (N, ...) -> ().

    Raises:
        ShapeError: the shapes differ (nothing is broadcast).

    Source: ours; scikit-learn's ``root_mean_squared_error``.

    Example:
        >>> RMSELoss()(torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0])).square().item()
        12.5
    """

    mixes_samples = True  # the root of a mean is no mean of roots

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The root of the mean of the squares."""
        same_shape(input, target, "rmse")
        mean = (input - target).square().mean()
        positive = mean > 0
        return mean.where(positive, 1.0).sqrt().where(positive, mean)


def same_shape(input: Tensor, target: Tensor, name: str) -> None:
    """Refuse a target whose shape differs from the input's.

    Raises:
        ShapeError: it does.
    """
    if input.shape != target.shape:
        raise ShapeError(
            f"loss '{name}': the target has shape {tuple(target.shape)}, expected {tuple(input.shape)}, the input's"
        )


def class_target(input: Tensor, target: Tensor, name: str) -> None:
    """Refuse a target that is not class indices for logits (N, C, ...).

    Raises:
        ShapeError: the target has another shape than (N, ...).
        ConfigError: it is not of an integer type.
    """
    if input.dim() < 2 or input.shape[:1] + input.shape[2:] != target.shape:
        expected = tuple(input.shape[:1] + input.shape[2:])
        raise ShapeError(
            f"loss '{name}': logits of shape {tuple(input.shape)} and a target of shape {tuple(target.shape)}",
            fix=f"expected logits (N, C, …) and class indices {expected if input.dim() > 1 else '(N, …)'}",
        )
    if target.dtype.is_floating_point or target.dtype == torch.bool:
        raise ConfigError(f"loss '{name}': the target has dtype {target.dtype}", fix="give class indices, dtype int64")


def _expand(small: Tensor, like: Tensor, name: str) -> Tensor:
    """A weight or mask with trailing dimensions left out, as wide as the values."""
    wide = small.reshape(small.shape + (1,) * (like.dim() - small.dim()))
    if small.dim() > like.dim() or any(
        have not in (1, want) for have, want in zip(wide.shape, like.shape, strict=True)
    ):
        raise ShapeError(
            f"the {name} has shape {tuple(small.shape)}, expected {tuple(like.shape)} or its first dimensions"
        )
    return wide.expand(like.shape)
