"""Dice and Tversky: one minus the overlap of predicted and true regions, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.losses.reduction import class_target, same_shape

MODES = ("softmax", "sigmoid")


class RegionLoss(nn.Module):
    """What losses on regions share: they compare sets of pixels, of each sample or of the whole batch."""

    def __init__(self, mode: str, modes: Sequence[str], per_sample: bool, ignore_index: int | None) -> None:
        super().__init__()
        if mode not in modes:
            raise ConfigError(f"unknown mode {mode!r}", fix=", ".join(modes))
        self.mode, self.per_sample, self.ignore_index = mode, per_sample, ignore_index

    @property
    def mixes_samples(self) -> bool:
        """Whether the loss of a batch is no mean over its samples."""
        return not self.per_sample


class TverskyLoss(RegionLoss):
    """``(1 - TI)^gamma`` with ``TI = (TP + s) / (TP + alpha FP + beta FN + s)``, averaged over the classes.

    TP, FP and FN are sums of probabilities over the pixels of the batch (or of each sample).

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives; above alpha it favours recall.
        gamma: exponent; other than 1 it is the focal Tversky loss (the paper writes 1/gamma).
        mode: "softmax": one class a pixel, the target holds indices; "sigmoid": any number of classes a pixel, the
            target holds 0/1 and has the input's shape.
        smooth: s above; keeps classes without a pixel finite. Their loss is 0 if nothing is predicted there.
        per_sample: average over samples too, rather than counting pixels over the batch.
        ignore_index: softmax mode: pixels of this class count nothing.

    Shape:
        logits (N, C, ...), target (N, ...) of indices, or (N, C, ...) of 0/1 -> ().

    Raises:
        ConfigError: unknown mode, or a target of the wrong type.
        ShapeError: other shapes.

    Source: Salehi et al. 2017, equation 3; Abraham and Khan 2019 for the exponent.

    Example:
        >>> logits = torch.tensor([[[50.0, 50.0], [0.0, 0.0]]])  # both pixels surely class 0
        >>> loss = TverskyLoss(alpha=0.5, beta=0.5, smooth=0.0)(logits, torch.tensor([[0, 1]]))
        >>> round(loss.item(), 4), round((1 / 3 + 1) / 2, 4)
        (0.6667, 0.6667)
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        gamma: float = 1.0,
        mode: str = "softmax",
        smooth: float = 1.0,
        per_sample: bool = False,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(mode, MODES, per_sample, ignore_index)
        self.alpha, self.beta, self.gamma, self.smooth = alpha, beta, gamma, smooth

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against regions."""
        prob, truth = probabilities(input, target, self.mode, self.ignore_index, "tversky")
        dims = 2 if self.per_sample else (0, 2)
        true_positive = (prob * truth).sum(dims)
        false_positive = prob.sum(dims) - true_positive
        false_negative = truth.sum(dims) - true_positive
        below = true_positive + self.alpha * false_positive + self.beta * false_negative + self.smooth
        index = (true_positive + self.smooth) / below.where(below > 0, 1.0)
        missing = (1 - index).where(below > 0, 0.0)  # smooth = 0 and neither truth nor prediction: a perfect score
        return (missing if self.gamma == 1 else missing.clamp_min(0) ** self.gamma).mean()

    def extra_repr(self) -> str:
        """The options."""
        return f"alpha={self.alpha}, beta={self.beta}, gamma={self.gamma}, mode={self.mode!r}, smooth={self.smooth}"


class DiceLoss(TverskyLoss):
    """One minus the Dice coefficient ``(2 TP + s) / (|P| + |T| + s)``: Tversky with both weights 1/2.

    Args:
        mode: "softmax" or "sigmoid", see `TverskyLoss`.
        smooth: s above.
        per_sample: average over samples too.
        ignore_index: softmax mode: pixels of this class count nothing.

    Shape:
        as `TverskyLoss`.

    Source: Milletari et al. 2016 (V-Net), with |P| rather than |P|², and a smoothing term.

    Example:
        >>> logits = torch.tensor([[[50.0, -50.0], [-50.0, 50.0]]])
        >>> DiceLoss()(logits, torch.tensor([[0, 1]])).item()
        0.0
    """

    def __init__(
        self,
        mode: str = "softmax",
        smooth: float = 1.0,
        per_sample: bool = False,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(0.5, 0.5, 1.0, mode, smooth / 2, per_sample, ignore_index)


def probabilities(
    input: Tensor, target: Tensor, mode: str, ignore_index: int | None, name: str
) -> tuple[Tensor, Tensor]:
    """Probabilities and truth, both (N, C, pixels); pixels to be ignored are 0 in both.

    Raises:
        ShapeError: the target does not fit the logits in this mode.
        ConfigError: it has the wrong type.
    """
    if mode == "sigmoid":
        same_shape(input, target, name)
        prob, truth = input.sigmoid(), target.to(input.dtype)
        shape = (input.shape[0], input.shape[1] if input.dim() > 1 else 1, -1)
        return prob.reshape(shape), truth.reshape(shape)
    class_target(input, target, name)
    prob, labels = input.softmax(1).reshape(*input.shape[:2], -1), target.reshape(len(target), -1)
    counts = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    truth = F.one_hot(labels.where(counts, 0), input.shape[1]).movedim(-1, 1).to(prob.dtype)
    keep = counts.unsqueeze(1)
    return prob.where(keep, 0.0), truth.where(keep, 0.0)
