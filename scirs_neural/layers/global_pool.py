"""From a feature map of any size to one vector: mean, maximum, both, generalised mean, attention."""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.shapes import check_shape


class GlobalAvgPool(nn.Module):
    """The mean over all places.

    Args:
        keepdim: whether the spatial dimensions stay, with size 1.

    Shape: (N, C, *) -> (N, C), or (N, C, 1, ...) with `keepdim`

    Example:
        >>> GlobalAvgPool()(torch.ones(2, 3, 5, 7)).shape
        torch.Size([2, 3])
    """

    def __init__(self, keepdim: bool = False) -> None:
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        """The pooled vector of each sample."""
        check_shape(type(self).__name__, x, "N C *")
        return self._pool(x, tuple(range(2, x.dim())))

    def _pool(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        return x.mean(dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        """Whether dimensions are kept."""
        return f"keepdim={self.keepdim}"


class GlobalMaxPool(GlobalAvgPool):
    """The maximum over all places; ties share the gradient. Shape: (N, C, *) -> (N, C)."""

    def _pool(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        return x.amax(dims, keepdim=self.keepdim)


class GlobalAvgMaxPool(GlobalAvgPool):
    """Half the sum of mean and maximum. Shape: (N, C, *) -> (N, C).

    Source: Lee, Gallagher and Tu, "Generalizing Pooling Functions" (2016), with the mixture fixed at 1/2, as in timm.
    """

    def _pool(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        return 0.5 * (x.mean(dims, keepdim=self.keepdim) + x.amax(dims, keepdim=self.keepdim))


class GeMPool(GlobalAvgPool):
    """The generalised mean (mean x^p)^(1/p) of the positive part: p=1 is the mean, large p nears the maximum.

    Each channel is scaled by its maximum first, so large p cannot overflow.

    Args:
        p: the exponent at the start, above 0.
        learnable: whether p is a parameter.
        eps: values below it count as it (the power is not defined below 0).
        keepdim: whether the spatial dimensions stay, with size 1.

    Shape: (N, C, *) -> (N, C)

    Source: Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation" (2018), section 3.2.

    Example:
        >>> x = torch.tensor([[[1.0, 3.0]]])
        >>> GeMPool(p=1.0)(x).item(), round(GeMPool(p=2.0)(x).item(), 4)
        (2.0, 2.2361)
    """

    no_weight_decay = frozenset({"p"})

    def __init__(self, p: float = 3.0, learnable: bool = True, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__(keepdim)
        if p <= 0:
            raise ConfigError(f"GeM's p must be above 0, got {p}")
        self.eps = eps
        self.p: Tensor
        if learnable:
            self.p = nn.Parameter(torch.tensor([float(p)]))
        else:
            self.register_buffer("p", torch.tensor([float(p)]))

    def _pool(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        x = x.clamp(min=self.eps)
        largest = x.detach().amax(dims, keepdim=True)
        scaled = (x / largest).pow(self.p).mean(dims, keepdim=True).pow(1.0 / self.p) * largest
        return scaled if self.keepdim else scaled.flatten(1)


class AttentionPool(nn.Module):
    """A mean whose weights the layer learns: softmax over all places of a linear score, one for each head.

    Args:
        channels: C, divisible by `num_heads`.
        num_heads: each head weighs its own slice of the channels.

    Shape: (N, C, *) -> (N, C)

    Source: Lin et al., "A Structured Self-attentive Sentence Embedding" (2017), section 2.

    Example:
        >>> AttentionPool(4, num_heads=2)(torch.ones(2, 4, 5, 7)).shape
        torch.Size([2, 4])
    """

    def __init__(self, channels: int, num_heads: int = 1) -> None:
        super().__init__()
        if channels % num_heads:
            raise ConfigError(f"{channels} channels do not divide into {num_heads} heads")
        self.channels, self.num_heads = channels, num_heads
        self.score = nn.Linear(channels, num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """The weighted mean of each sample."""
        check_shape("AttentionPool", x, "N C *", {1: self.channels})
        x_NPC = x.flatten(2).transpose(1, 2)  # P: places
        weights_NPH1 = self.score(x_NPC).softmax(dim=1).unsqueeze(-1)
        x_NPHc = x_NPC.unflatten(-1, (self.num_heads, -1))
        return (weights_NPH1 * x_NPHc).sum(dim=1).flatten(1)
