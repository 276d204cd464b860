"""A loss of `scirs_neural.losses` as the terms of a task: each a mean over the targets that are known."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.data.targets import IGNORED
from scirs_neural.losses.composite import CompositeLoss
from scirs_neural.losses.create import create_loss
from scirs_neural.losses.reduction import reduce_loss
from scirs_neural.tasks.task import ALL_OTHERS, without_half

SINGLE = "loss"
"""The name of the term of a loss that has only one."""


class Criterion:
    """A loss that leaves out targets which are not known, and says of how many each of its terms is a mean.

    Not known are class numbers of -100, and NaN among labels and numbers. Everything is computed in float32 or wider.

    Args:
        loss: a name, a mapping with options, ``file.py:Class``, or a list of weighted terms (see `create_loss`).
        of_classes: whether floating-point targets (N, K) are probabilities of classes, a row a sample.
        where: where the loss came from, for errors.
        **options: of the loss.

    Attributes:
        mixes_samples: a term is no mean over samples or elements, as the overlap of a whole batch is not.

    Example:
        >>> criterion, targets = Criterion("mse"), torch.tensor([[3.0], [float("nan")]])
        >>> criterion.terms(torch.tensor([[1.0], [2.0]]), targets), criterion.counts(targets)
        ({'loss': tensor(4.)}, {'*': 1})
    """

    def __init__(self, loss: Any, *, of_classes: bool = False, where: str = "task.loss", **options: Any) -> None:
        self.module = create_loss(loss, where=where, **options)
        self.of_classes, self.where = of_classes, where
        self.parts: dict[str, tuple[Any, float]] = {SINGLE: (self.module, 1.0)}
        if isinstance(self.module, CompositeLoss):
            weights = self.module.weights
            self.parts = {name: (part, weights[name]) for name, part in zip(weights, self.module.losses, strict=True)}
        losses = [part for part, _ in self.parts.values()]
        self.mixes_samples = any(getattr(part, "mixes_samples", False) for part in losses)
        self._ignores = all(getattr(part, "ignore_index", None) == IGNORED for part in losses)
        self._takes_masks = all(hasattr(part, "reduction") for part in losses)
        self._sums = [name for name, (part, _) in self.parts.items() if getattr(part, "reduction", "") == "sum"]
        self._weighted = [name for name, (part, _) in self.parts.items() if _has_class_weights(part)]
        self._device = torch.device("cpu")

    def terms(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
        """The terms by name, each times its factor in the sum.

        Args:
            outputs: of the network.
            targets: as the loss takes them.
            weight: of each sample.

        Shape: outputs (N, …), targets (N, …), weight (N,); each term ().
        """
        outputs = without_half(outputs)
        if targets.is_floating_point() and targets.dtype != outputs.dtype:
            targets = targets.to(outputs.dtype)
        if outputs.device != self._device:
            self.module.to(outputs.device)
            self._device = outputs.device
        is_plain = self._ignores and weight is None and not targets.is_floating_point()
        known = None if is_plain else self._known(targets, weight)
        is_plain = known is None and weight is None
        found = {}
        for name, (part, factor) in self.parts.items():
            value = part(outputs, targets) if is_plain else self._masked(name, part, outputs, targets, known, weight)
            found[name] = value if factor == 1.0 else value * factor
        return found

    def counts(self, targets: Tensor, weight: Tensor | None = None) -> dict[str, float | None]:
        """Of how many known targets (or of what sum of weights) each term is a mean; None for sums.

        Args:
            targets: on the CPU.
            weight: of each sample.
        """
        array = targets.numpy()
        if self.of_classes and targets.is_floating_point():
            total: float = len(array) if weight is None else float(weight.double().sum())
            return {ALL_OTHERS: total, **dict.fromkeys(self._sums)}
        known = ~np.isnan(array) if targets.is_floating_point() else array != IGNORED
        if weight is None and not self._weighted:
            return {ALL_OTHERS: int(np.count_nonzero(known)), **dict.fromkeys(self._sums)}
        factors = known * np.float64(1.0)
        if weight is not None:
            factors *= weight.double().numpy().reshape(-1, *[1] * (array.ndim - 1))
        found: dict[str, float | None] = {ALL_OTHERS: float(factors.sum())}
        for name in self._weighted:
            of_class = self.parts[name][0].weight.detach().cpu().double().numpy()
            found[name] = float((factors * of_class[np.where(known, array, 0)]).sum())
        return found | dict.fromkeys(self._sums)

    def _known(self, targets: Tensor, weight: Tensor | None) -> Tensor | None:
        """Where targets are known; None where all are, or where the losses see to it themselves."""
        if targets.is_floating_point():
            if self.of_classes:
                return None
            known = ~targets.isnan()
        else:
            known = targets != IGNORED
        if targets.is_cpu:
            return None if known.numpy().all() else known
        return known if self._takes_masks or not known.all() else None  # elsewhere, looking would be waiting

    def _masked(
        self, name: str, part: Any, outputs: Tensor, targets: Tensor, known: Tensor | None, weight: Tensor | None
    ) -> Tensor:
        if not hasattr(part, "reduction"):
            if weight is not None or known is None:
                raise ConfigError(f"the loss '{name}' gives no value a sample: it cannot be weighted", where=self.where)
            rows = known.flatten(1).all(dim=1) if known.ndim > 1 else known
            found: Tensor = part(outputs[rows], targets[rows])
            return found
        single = copy.copy(part)
        single.reduction = "none"
        filled = targets if known is None else targets.masked_fill(~known, 0)
        values = single(outputs, filled)
        if name not in self._weighted or name in self._sums or targets.is_floating_point():
            return reduce_loss(values, weight, known, "sum" if name in self._sums else "mean")
        total, norm = (reduce_loss(held, weight, known, "sum") for held in (values, part.weight.to(values)[filled]))
        return total / norm.where(norm != 0, 1.0)


def _has_class_weights(part: nn.Module) -> bool:
    """Whether torch divides the mean of a loss by the sum of the weights of its samples' classes."""
    return isinstance(part, nn.CrossEntropyLoss | nn.NLLLoss) and isinstance(getattr(part, "weight", None), Tensor)
