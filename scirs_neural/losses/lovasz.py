"""Lovász losses: the tight convex surrogate of one minus the intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor

from scirs_neural.core.errors import ConfigError
from scirs_neural.losses.overlap import RegionLoss, probabilities
from scirs_neural.losses.reduction import same_shape

MODES = ("softmax", "sigmoid", "hinge")


class LovaszLoss(RegionLoss):
    """The Lovász extension of the Jaccard loss, at the vector of each pixel's error.

    With the errors sorted downwards, each is weighted by how much the Jaccard loss grows when its pixel joins the set
    of mistakes. Equal errors may be ordered either way: the value is the same, the gradient one of several valid ones.

    Args:
        mode: "softmax": one class a pixel, errors ``|truth - p|``; "sigmoid": any number of classes a pixel, the same
            errors; "hinge": the same targets, errors ``max(0, 1 - logit·sign)`` (the binary form of the paper).
        classes: softmax mode: average over "all" classes or those "present" in the target.
        per_sample: one set of pixels a sample, rather than one a batch.
        ignore_index: softmax mode: pixels of this class count nothing.

    Shape:
        logits (N, C, ...), target (N, ...) of indices, or (N, C, ...) of 0/1 -> ().

    Raises:
        ConfigError: unknown mode or classes, or a target of the wrong type.
        ShapeError: other shapes.

    Source: Berman et al. 2018, "The Lovász-Softmax loss", equations 7 to 12 and algorithm 1.

    Example:
        >>> logits = torch.tensor([[[50.0, 50.0], [0.0, 0.0]]])  # both pixels surely class 0: IoU 1/2 and 0
        >>> LovaszLoss()(logits, torch.tensor([[0, 1]])).item()
        0.75
    """

    def __init__(
        self,
        mode: str = "softmax",
        classes: str = "present",
        per_sample: bool = False,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(mode, MODES, per_sample, ignore_index)
        if classes not in ("all", "present"):
            raise ConfigError(f"unknown classes {classes!r}", fix="all or present")
        self.classes = classes

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against regions."""
        if self.mode == "hinge":
            same_shape(input, target, "lovasz")
            shape = (input.shape[0], input.shape[1] if input.dim() > 1 else 1, -1)
            truth = target.to(input.dtype).reshape(shape)
            errors = (1 - input.reshape(shape) * (2 * truth - 1)).clamp_min(0)
        else:
            prob, truth = probabilities(input, target, self.mode, self.ignore_index, "lovasz")
            errors = (truth - prob).abs()  # 0 where ignored, so that these come last and weigh nothing
        if not self.per_sample:
            errors, truth = (x.movedim(0, 1).flatten(1).unsqueeze(0) for x in (errors, truth))
        ordered, order = errors.sort(dim=-1, descending=True)
        loss = (ordered * lovasz_weights(truth.gather(-1, order))).sum(-1)
        if self.mode == "softmax" and self.classes == "present":
            present = truth.any(-1)
            return loss.where(present, 0.0).sum() / present.sum().clamp_min(1)
        return loss.mean()

    def extra_repr(self) -> str:
        """The options."""
        return f"mode={self.mode!r}, classes={self.classes!r}, per_sample={self.per_sample}"


def lovasz_weights(truth: Tensor) -> Tensor:
    """How much the Jaccard loss grows with each further mistake.

    Args:
        truth: 0/1, in the order of falling errors, along the last dimension.

    Shape:
        (..., P) -> (..., P).

    Example:
        >>> lovasz_weights(torch.tensor([1.0, 0.0])).tolist()
        [1.0, 0.0]
    """
    total = truth.sum(-1, keepdim=True)
    intersection = total - truth.cumsum(-1)
    union = total + (1 - truth).cumsum(-1)
    jaccard = 1 - intersection / union
    return torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], -1)
