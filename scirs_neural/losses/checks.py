"""What is wrong with this batch, in words, before torch says it in its own.

torch's losses answer a label out of range with an IndexError on the CPU and with a device-side assertion, which kills
the process's CUDA context, on a GPU. Looking at values costs a synchronisation: the task checks the first batch only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, DataError, ScirsError, ShapeError
from scirs_neural.losses.composite import CompositeLoss
from scirs_neural.losses.focal import BinaryFocalLoss, FocalLoss
from scirs_neural.losses.lovasz import LovaszLoss
from scirs_neural.losses.overlap import TverskyLoss
from scirs_neural.losses.reduction import RMSELoss, WeightedLoss

_SAME_SHAPE = (
    nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, nn.PoissonNLLLoss, nn.KLDivLoss, nn.BCELoss,
    nn.BCEWithLogitsLoss, nn.SoftMarginLoss, RMSELoss, BinaryFocalLoss,
)  # fmt: skip
_ZERO_ONE = (nn.BCELoss, nn.BCEWithLogitsLoss, BinaryFocalLoss)
_REGIONS = (TverskyLoss, LovaszLoss)
_CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss, FocalLoss, nn.MultiMarginLoss)


def check_batch(loss: nn.Module, input: Any, target: Any, *, where: str | None = None) -> None:
    """Check one batch against what a loss takes, values included.

    Losses that this function does not know are not checked.

    Args:
        loss: a loss, made by `create_loss` or not. A `CompositeLoss` has every term checked.
        input: what the loss gets first: logits, predictions.
        target: what it gets second.
        where: where the batch came from, for errors.

    Raises:
        ShapeError: the shapes do not fit each other.
        ConfigError: the target has the wrong dtype.
        DataError: a label or target value is out of range, or not finite.

    Example:
        >>> check_batch(nn.CrossEntropyLoss(), torch.zeros(2, 10), torch.tensor([3, 10]))
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.DataError: cross_entropy: a label is 10, but the model has 10 outputs: 0 to 9
          fix    set the model's num_classes to at least 11, or correct the labels
    """
    if isinstance(loss, CompositeLoss):
        for term in loss.losses:
            check_batch(term, input, target, where=where)
        return
    if isinstance(loss, WeightedLoss):  # masks may hide anything
        return
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        return
    name = _name(loss)
    error = _fault(loss, name, input, target)
    if error is not None:
        error.where = where
        raise error


def _fault(loss: nn.Module, name: str, input: Tensor, target: Tensor) -> ScirsError | None:
    by_index = getattr(loss, "mode", None) == "softmax"
    if isinstance(loss, _CLASSES) or (isinstance(loss, _REGIONS) and by_index):
        return _class_fault(loss, name, input, target)
    if isinstance(loss, _SAME_SHAPE + _REGIONS):
        if input.shape != target.shape:
            return ShapeError(
                f"{name}: the target has shape {tuple(target.shape)}, expected {tuple(input.shape)}, the output's",
                fix="torch would broadcast the two and train on the wrong differences",
            )
        if isinstance(loss, _ZERO_ONE + _REGIONS):
            if isinstance(loss, nn.BCELoss | nn.BCEWithLogitsLoss) and not target.dtype.is_floating_point:
                return ConfigError(f"{name}: the target has dtype {target.dtype}", fix="convert it: target.float()")
            return _range_fault(name, target, 0.0, 1.0)
        return _range_fault(name, target)
    return None


def _class_fault(loss: nn.Module, name: str, input: Tensor, target: Tensor) -> ScirsError | None:
    classes_at = 1 if input.dim() > 1 else 0
    classes = input.shape[classes_at] if input.dim() > 0 else 0
    indices = tuple(input.shape[:classes_at] + input.shape[classes_at + 1 :])
    if isinstance(loss, nn.CrossEntropyLoss) and target.dtype.is_floating_point:
        if target.shape == input.shape:
            return _range_fault(name, target, 0.0, 1.0)
        if tuple(target.shape) == indices:
            return ConfigError(
                f"{name}: labels of dtype {target.dtype}", fix="class indices must be integers: target.long()"
            )
        return ShapeError(
            f"{name}: the target has shape {tuple(target.shape)}, expected {tuple(input.shape)}, a value a class"
        )
    if tuple(target.shape) != indices:
        fix = "class indices are one number a sample, not one-hot rows" if target.shape == input.shape else None
        shapes = f"the target has shape {tuple(target.shape)}, expected {indices}: the output is {tuple(input.shape)}"
        return ShapeError(f"{name}: {shapes}", fix=fix)
    if target.dtype.is_floating_point or target.dtype == torch.bool:
        return ConfigError(
            f"{name}: labels of dtype {target.dtype}", fix="class indices must be integers: target.long()"
        )
    weight = getattr(loss, "weight", None)
    if weight is not None and weight.numel() != classes:
        return ConfigError(
            f"{name}: {weight.numel()} class weights for {classes} classes", fix="give one for each class"
        )
    ignored = getattr(loss, "ignore_index", None)
    labels = target if ignored is None else target[target != ignored]
    if labels.numel() == 0:
        return None
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        fix = (
            "correct the labels"
            if low < 0
            else f"set the model's num_classes to at least {high + 1}, or correct the labels"
        )
        return DataError(
            f"{name}: a label is {wrong}, but the model has {classes} outputs: 0 to {classes - 1}", fix=fix
        )
    return None


def _range_fault(name: str, target: Tensor, low: float | None = None, high: float | None = None) -> DataError | None:
    if target.numel() == 0:
        return None
    if target.dtype.is_floating_point and not bool(target.isfinite().all()):
        return DataError(
            f"{name}: the target holds NaN or infinity", fix="use the loss 'weighted' with nan_is_missing: true"
        )
    least, most = float(target.min()), float(target.max())
    if low is not None and high is not None and (least < low or most > high):
        wrong = least if least < low else most
        return DataError(f"{name}: a target is {wrong:g}, expected values from {low:g} to {high:g}")
    return None


def _name(loss: nn.Module) -> str:
    from scirs_neural.losses.create import registered_name  # create builds what is checked here

    return registered_name(loss)
