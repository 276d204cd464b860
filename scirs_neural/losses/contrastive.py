"""Losses on embeddings: equal things near, different things far. Pairs, views of one sample, labels, two towers.

Legend: N samples, V views of each, M = N·V embeddings, D dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.losses.reduction import reduce_loss


class ContrastiveLoss(nn.Module):
    """Margin loss on pairs: ``d²`` for equal pairs, ``max(0, margin - d)²`` for others, d the Euclidean distance.

    Args:
        margin: the distance beyond which a different pair is far enough.
        reduction: "mean", "sum" or "none" over the pairs.

    Shape:
        pairs (N, 2, D), target (N,) of 0 (different) and 1 (equal) -> () or (N,).

    Raises:
        ShapeError: other shapes.

    Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping", equation 4,
    without its factor 1/2.

    Example:
        >>> pairs = torch.tensor([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.5]]])
        >>> ContrastiveLoss(margin=1.0, reduction="none")(pairs, torch.tensor([1, 0])).tolist()
        [25.0, 0.25]
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of pairs against whether they are equal."""
        if input.dim() != 3 or input.shape[1] != 2 or target.shape != input.shape[:1]:
            raise ShapeError(
                f"loss 'contrastive': input {tuple(input.shape)} and target {tuple(target.shape)}",
                fix="expected pairs (N, 2, D) and a target (N,) of 0 and 1",
            )
        square = (input[:, 0] - input[:, 1]).square().sum(1)
        distance = square.where(square > 0, 1.0).sqrt().where(square > 0, square)  # the root's slope at 0 is infinite
        equal = target.to(square.dtype)
        return reduce_loss(
            equal * square + (1 - equal) * (self.margin - distance).clamp_min(0).square(), reduction=self.reduction
        )

    def extra_repr(self) -> str:
        """The options."""
        return f"margin={self.margin}, reduction={self.reduction!r}"


class NTXentLoss(nn.Module):
    """SimCLR's loss: each view must find the other view of its sample among all embeddings of the batch.

    For each positive pair (i, j): ``-log(exp(s_ij / T) / (exp(s_ij / T) + Σ_k exp(s_ik / T)))``, s the cosine
    similarity, k over the embeddings of other samples; the mean over all pairs.

    Args:
        temperature: of the softmax; lower looks harder at the nearest negatives.

    Shape:
        (N, V, D) without a target, or embeddings (M, D) with labels (M,) -> ().

    Raises:
        ShapeError: other shapes.
        ConfigError: the temperature is not above 0.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1;
    with labels as in pytorch-metric-learning.

    Example:
        >>> views = torch.eye(2).repeat_interleave(2, 0).reshape(2, 2, 2)  # two samples, both views of each the same
        >>> round(NTXentLoss(temperature=1.0)(views).item(), 4)
        0.5514
    """

    mixes_samples = True

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = positive(temperature)

    def forward(self, input: Tensor, target: Tensor | None = None) -> Tensor:
        """The loss of views, or of embeddings against labels."""
        embeddings, labels = _views(input, target, "nt_xent")
        scores = _cosine(embeddings) / self.temperature
        same = labels[:, None] == labels[None, :]
        negatives = torch.logsumexp(scores.masked_fill(same, -torch.inf), 1, keepdim=True)
        return reduce_loss(torch.logaddexp(scores, negatives) - scores, mask=same & ~_diagonal(same))

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature}"


class SupervisedContrastiveLoss(nn.Module):
    """Each embedding must find all of its class: log-softmax over all others, averaged over those of its class.

    An embedding that is alone in its class counts nothing.

    Args:
        temperature: of the softmax.

    Shape:
        embeddings (M, D) with labels (M,), or views (N, V, D) with labels (N,) or none -> ().

    Raises:
        ShapeError: other shapes.
        ConfigError: the temperature is not above 0.

    Source: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2 (the sum outside the logarithm).

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(SupervisedContrastiveLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1, 1])).item(), 4)
        0.5514
    """

    mixes_samples = True

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = positive(temperature)

    def forward(self, input: Tensor, target: Tensor | None = None) -> Tensor:
        """The loss of embeddings against labels."""
        embeddings, labels = _views(input, target, "supervised_contrastive")
        scores = _cosine(embeddings) / self.temperature
        itself = _diagonal(scores)
        log_prob = scores - torch.logsumexp(scores.masked_fill(itself, -torch.inf), 1, keepdim=True)
        positive = (labels[:, None] == labels[None, :]) & ~itself
        count = positive.sum(1)
        per_anchor = -log_prob.where(positive, 0.0).sum(1) / count.clamp_min(1)
        return reduce_loss(per_anchor, mask=count > 0)

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature}"


class InfoNCELoss(nn.Module):
    """Two towers, as in CLIP: each query must find its own key among the keys of the batch.

    Args:
        temperature: of the softmax.
        symmetric: average with the same loss of keys that look for their queries.

    Shape:
        pairs of query and key (N, 2, D) -> ().

    Raises:
        ShapeError: another shape.
        ConfigError: the temperature is not above 0.

    Source: van den Oord et al. 2018, equation 4; Radford et al. 2021 (CLIP), figure 3 for the symmetric form.

    Example:
        >>> pairs = torch.eye(2)[:, None, :].expand(2, 2, 2)
        >>> round(InfoNCELoss(temperature=1.0)(pairs).item(), 4)
        0.3133
    """

    mixes_samples = True

    def __init__(self, temperature: float = 0.07, symmetric: bool = True) -> None:
        super().__init__()
        self.temperature, self.symmetric = positive(temperature), symmetric

    def forward(self, input: Tensor, target: Tensor | None = None) -> Tensor:
        """The loss of pairs. A target is not needed and not looked at."""
        if input.dim() != 3 or input.shape[1] != 2:
            raise ShapeError(f"loss 'info_nce': input {tuple(input.shape)}", fix="expected queries and keys (N, 2, D)")
        query, key = F.normalize(input, dim=-1).unbind(1)
        scores = query @ key.T / self.temperature
        positives = torch.arange(len(scores), device=scores.device)
        loss = F.cross_entropy(scores, positives)
        return (loss + F.cross_entropy(scores.T, positives)) / 2 if self.symmetric else loss

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature}, symmetric={self.symmetric}"


def positive(temperature: float) -> float:
    """The temperature of a softmax, held to be above 0."""
    if not temperature > 0:
        raise ConfigError(f"the temperature must be above 0, not {temperature}")
    return temperature


def _views(input: Tensor, target: Tensor | None, name: str) -> tuple[Tensor, Tensor]:
    """Embeddings (M, D) and their labels (M,), from either form of input."""
    if input.dim() == 3 and (target is None or target.shape == input.shape[:1]):
        labels = torch.arange(len(input), device=input.device) if target is None else target
        return input.flatten(0, 1), labels.repeat_interleave(input.shape[1])
    if input.dim() == 2 and target is not None and target.shape == input.shape[:1]:
        return input, target
    target_shape = "none" if target is None else str(tuple(target.shape))
    raise ShapeError(
        f"loss '{name}': input {tuple(input.shape)} and target {target_shape}",
        fix="expected views (N, V, D), or embeddings (N, D) and labels (N,)",
    )


def _cosine(embeddings: Tensor) -> Tensor:
    unit = F.normalize(embeddings, dim=-1)
    return unit @ unit.T


def _diagonal(square: Tensor) -> Tensor:
    return torch.eye(len(square), dtype=torch.bool, device=square.device)
