"""Triplet loss with mining: which (anchor, positive, negative) of a batch to learn from.

Legend: N embeddings of D dimensions; a, p, n index anchors, positives, negatives.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.losses.reduction import reduce_loss

Distance = Callable[[Tensor, Tensor], Tensor]

MININGS = ("all", "semi_hard", "hard")


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances (N, D), (M, D) -> (N, M)."""
    return (x[:, None] - y[None, :]).square().sum(-1)


def euclidean_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (N, D), (M, D) -> (N, M), with gradient 0 where two points coincide."""
    square = squared_distance(x, y)
    return square.where(square > 0, 1.0).sqrt().where(square > 0, square)


def manhattan_distance(x: Tensor, y: Tensor) -> Tensor:
    """Sums of absolute differences (N, D), (M, D) -> (N, M)."""
    return (x[:, None] - y[None, :]).abs().sum(-1)


def cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """One minus the cosine (N, D), (M, D) -> (N, M)."""
    return 1 - F.normalize(x, dim=-1) @ F.normalize(y, dim=-1).T


DISTANCES: dict[str, Distance] = {
    "euclidean": euclidean_distance,
    "squared": squared_distance,
    "manhattan": manhattan_distance,
    "cosine": cosine_distance,
}


class TripletMiningLoss(nn.Module):
    """``max(0, d(a, p) - d(a, n) + margin)`` over triplets that are mined in the batch from its labels.

    Args:
        margin: how much farther a negative should be than a positive.
        mining: "semi_hard": every triplet whose negative is farther than the positive, but within the margin;
            "hard": for each anchor its farthest positive and nearest negative; "all": every triplet that breaks the
            margin. Without a triplet the loss is 0.
        distance: "euclidean", "squared", "manhattan", "cosine", or a function (N, D), (M, D) -> (N, M).
        normalize: put the embeddings on the unit sphere first.

    Shape:
        embeddings (N, D), labels (N,) -> (). Memory grows with N³ unless mining is "hard".

    Raises:
        ConfigError: unknown mining or distance.
        ShapeError: other shapes.

    Source: Schroff et al. 2015 (FaceNet), section 3.2 for semi-hard; Hermans et al. 2017, equations 5 to 7 for hard
    and all. The mean over all triplets found is pytorch-metric-learning's.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.0], [1.5], [9.0]])
        >>> TripletMiningLoss(margin=1.0, mining="hard")(embeddings, torch.tensor([0, 0, 1, 2])).item()
        1.0
    """

    mixes_samples = True

    def __init__(
        self,
        margin: float = 0.2,
        mining: str = "semi_hard",
        distance: str | Distance = "euclidean",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if mining not in MININGS:
            raise ConfigError(
                f"unknown mining {mining!r}", suggestions=did_you_mean(str(mining), MININGS), fix=", ".join(MININGS)
            )
        if isinstance(distance, str) and distance not in DISTANCES:
            suggestions = did_you_mean(distance, DISTANCES)
            raise ConfigError(f"unknown distance {distance!r}", suggestions=suggestions, fix=", ".join(DISTANCES))
        self.margin, self.mining, self.normalize = margin, mining, normalize
        self.distance = DISTANCES[distance] if isinstance(distance, str) else distance

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of embeddings against labels."""
        if input.dim() != 2 or target.shape != input.shape[:1]:
            raise ShapeError(
                f"loss 'triplet': input {tuple(input.shape)} and target {tuple(target.shape)}",
                fix="expected embeddings (N, D) and labels (N,)",
            )
        embeddings = F.normalize(input, dim=-1) if self.normalize else input
        distances = self.distance(embeddings, embeddings)
        negative = target[:, None] != target[None, :]
        positive = ~negative & ~torch.eye(len(target), dtype=torch.bool, device=target.device)
        if self.mining == "hard":
            return self._hardest(distances, positive, negative)
        gap = distances[:, None, :] - distances[:, :, None]  # [a, p, n]: how much farther the negative is
        valid = positive[:, :, None] & negative[:, None, :] & (gap < self.margin)
        if self.mining == "semi_hard":
            valid = valid & (gap > 0)
        return reduce_loss(self.margin - gap, mask=valid)

    def _hardest(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
        nearest = distances.masked_fill(~negative, torch.inf).amin(1)
        usable = positive.any(1) & negative.any(1)
        gap = nearest.where(usable, 0.0) - farthest.where(usable, 0.0)
        return reduce_loss((self.margin - gap).clamp_min(0), mask=usable)

    def extra_repr(self) -> str:
        """The options."""
        name = getattr(self.distance, "__name__", repr(self.distance))
        return f"margin={self.margin}, mining={self.mining!r}, distance={name}, normalize={self.normalize}"
