"""Transformer blocks: attention and feed-forward, each behind a residual, with the norm before or after.

Shape letters: B batch, T tokens, S tokens of the memory, E features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from scirs_neural.layers.attention import CrossAttention, SelfAttention
from scirs_neural.layers.feed_forward import FeedForward
from scirs_neural.layers.kv_cache import KVCache
from scirs_neural.layers.spec import build_norm

Norm = str | Callable[[int], nn.Module]
Activation = str | nn.Module | Callable[[], nn.Module]


class _Residual(nn.Module):
    """x + f(norm(x)) (pre-norm) or norm(x + f(x)) (post-norm), with dropout and drop-path on f."""

    def __init__(self, embed_dim: int, norm: Norm, norm_first: bool, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm = build_norm(norm, embed_dim)
        self.norm_first = norm_first
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path, mode="row") if drop_path else nn.Identity()

    def forward(self, x: Tensor, branch: Callable[[Tensor], Any]) -> tuple[Tensor, Tensor | None]:
        result = branch(self.norm(x) if self.norm_first else x)
        update, maps = result if isinstance(result, tuple) else (result, None)
        x = x + self.drop_path(self.dropout(update))
        return (x if self.norm_first else self.norm(x)), maps


class TransformerEncoderBlock(nn.Module):
    """Self-attention, then feed-forward. With ``causal=True`` it is the block of a decoder-only model (GPT).

    Args:
        embed_dim: E.
        num_heads: of the attention.
        hidden_dim: of the feed-forward part; None is 4 E.
        dropout: on each branch, and inside the feed-forward part.
        attention_dropout: of the attention's weights; None is `dropout`.
        drop_path: probability that a sample skips a branch in training.
        activation: of the feed-forward part, gated ones included.
        norm: registry name, or function of E, of the normalisation.
        norm_first: pre-norm (trains without warm-up; a stack needs a norm at its end) or post-norm (the paper's).
        num_kv_heads: as in `MultiHeadAttention`.
        causal: as in `MultiHeadAttention`.
        rotary: as in `MultiHeadAttention`.
        bias: of all projections.

    Shape: (B, T, E) -> (B, T, E); with maps also (B, H, T, T)

    Source: Vaswani et al. (2017), section 3.1; pre-norm: Xiong et al., "On Layer Normalization in the Transformer
        Architecture" (2020).

    Example:
        >>> import torch
        >>> TransformerEncoderBlock(8, num_heads=2)(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden_dim: int | None = None,
        dropout: float = 0.0,
        attention_dropout: float | None = None,
        drop_path: float = 0.0,
        activation: Activation = "gelu",
        norm: Norm = "layer_norm",
        norm_first: bool = True,
        num_kv_heads: int | None = None,
        causal: bool = False,
        rotary: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        weights = dropout if attention_dropout is None else attention_dropout
        self.attention = SelfAttention(
            embed_dim, num_heads, num_kv_heads, bias=bias, dropout=weights, causal=causal, rotary=rotary
        )
        self.attention_residual = _Residual(embed_dim, norm, norm_first, dropout, drop_path)
        self.feed_forward = FeedForward(embed_dim, hidden_dim, activation, dropout, bias)
        self.feed_forward_residual = _Residual(embed_dim, norm, norm_first, dropout, drop_path)

    def forward(
        self,
        x: Tensor,
        *,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: KVCache | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Arguments as in `MultiHeadAttention.forward`."""

        def attend(normed: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            return self.attention(
                normed, padding_mask=padding_mask, attention_mask=attention_mask, cache=cache, return_maps=return_maps
            )

        x, maps = self.attention_residual(x, attend)
        x, _ = self.feed_forward_residual(x, self.feed_forward)
        return x if maps is None else (x, maps)


class BlockCache:
    """The caches of one decoder block: its own tokens', and the memory's."""

    def __init__(self) -> None:
        self.own, self.memory = KVCache(), KVCache()


class TransformerDecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to a memory, feed-forward. Arguments as in `TransformerEncoderBlock`.

    Args:
        embed_dim: E.
        num_heads: of both attentions.
        hidden_dim: of the feed-forward part; None is 4 E.
        dropout: on each branch, and inside the feed-forward part.
        attention_dropout: of the attentions' weights; None is `dropout`.
        drop_path: probability that a sample skips a branch in training.
        activation: of the feed-forward part, gated ones included.
        norm: registry name, or function of E, of the normalisation.
        norm_first: pre-norm or post-norm.
        num_kv_heads: as in `MultiHeadAttention`.
        memory_dim: features of the memory; None is E.
        rotary: as in `MultiHeadAttention`, for the self-attention.
        bias: of all projections.

    Shape: (B, T, E), (B, S, memory_dim) -> (B, T, E)

    Source: Vaswani et al. (2017), section 3.1.

    Example:
        >>> import torch
        >>> TransformerDecoderBlock(8, num_heads=2)(torch.randn(2, 5, 8), torch.randn(2, 3, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden_dim: int | None = None,
        dropout: float = 0.0,
        attention_dropout: float | None = None,
        drop_path: float = 0.0,
        activation: Activation = "gelu",
        norm: Norm = "layer_norm",
        norm_first: bool = True,
        num_kv_heads: int | None = None,
        memory_dim: int | None = None,
        rotary: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        weights = dropout if attention_dropout is None else attention_dropout
        self.attention = SelfAttention(
            embed_dim, num_heads, num_kv_heads, bias=bias, dropout=weights, causal=True, rotary=rotary
        )
        self.attention_residual = _Residual(embed_dim, norm, norm_first, dropout, drop_path)
        self.cross_attention = CrossAttention(
            embed_dim, num_heads, memory_dim, num_kv_heads, bias=bias, dropout=weights
        )
        self.cross_residual = _Residual(embed_dim, norm, norm_first, dropout, drop_path)
        self.feed_forward = FeedForward(embed_dim, hidden_dim, activation, dropout, bias)
        self.feed_forward_residual = _Residual(embed_dim, norm, norm_first, dropout, drop_path)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        padding_mask: Tensor | None = None,
        memory_padding_mask: Tensor | None = None,
        cache: BlockCache | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One block.

        Args:
            x: (B, T, E).
            memory: (B, S, memory_dim).
            padding_mask: (B, T) bool over the own tokens, True = real.
            memory_padding_mask: (B, S) bool over the memory, True = real.
            cache: of earlier calls.
            return_maps: give the cross-attention's weights (B, H, T, S) too.
        """

        def attend(normed: Tensor) -> Tensor:
            self_cache = None if cache is None else cache.own
            return self.attention(normed, padding_mask=padding_mask, cache=self_cache)

        def look(normed: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            memory_cache = None if cache is None else cache.memory
            return self.cross_attention(
                normed, memory, padding_mask=memory_padding_mask, cache=memory_cache, return_maps=return_maps
            )

        x, _ = self.attention_residual(x, attend)
        x, maps = self.cross_residual(x, look)
        x, _ = self.feed_forward_residual(x, self.feed_forward)
        return x if maps is None else (x, maps)
