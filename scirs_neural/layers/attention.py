"""Attention layers: multi-head, self and cross, over `dot_product_attention`.

Shape letters: B batch, H query heads, G key/value heads (H is a multiple of G), T queries, S keys, D features of a
head, E features of the queries' stream, K of the keys' and V of the values' stream.

Masks mean what they mean in `torch.nn.functional.scaled_dot_product_attention`: **True = may be attended to** (the
opposite of `torch.nn.MultiheadAttention`); floats are added to the scores. A query that may attend to nothing gives
zeros.
"""

# ruff: noqa: N803, N806  (names end in the letters of their dimensions)

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.dot_product import dot_product_attention, join_masks
from scirs_neural.layers.kv_cache import KVCache
from scirs_neural.layers.positions import RotaryPositions
from scirs_neural.layers.shapes import check_shape


class MultiHeadAttention(nn.Module):
    """Several heads of dot-product attention between a stream of queries and one of keys and values.

    Separate projections for queries, keys, values and output, and heads counted from the projections' width: a pruned
    layer with fewer heads needs no change of code.

    Args:
        embed_dim: E, features of the queries and of the output.
        num_heads: H.
        num_kv_heads: G, a divisor of H; None is H. Fewer make the cache smaller.
        head_dim: D; None is E / H.
        kdim: K; None is E.
        vdim: V; None is E.
        bias: whether the projections have one.
        dropout: probability at which a weight is zeroed in training.
        causal: whether a query sees only keys up to its own time.
        rotary: turn queries and keys by their position (`RotaryPositions`).

    Shape: (B, T, E), (B, S, K), (B, S, V) -> (B, T, E); with maps also (B, H, T, S)

    Raises:
        ConfigError: heads that do not divide.
        ShapeError: inputs or masks that do not fit.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2.

    Example:
        >>> import torch
        >>> layer = MultiHeadAttention(8, num_heads=4, num_kv_heads=2, causal=True)
        >>> output, maps = layer(torch.randn(2, 5, 8), return_maps=True)
        >>> output.shape, maps.shape, bool((maps.triu(1) == 0).all())
        (torch.Size([2, 5, 8]), torch.Size([2, 4, 5, 5]), True)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        kdim: int | None = None,
        vdim: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
        rotary: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if head_dim is None and embed_dim % num_heads:
            raise ConfigError(f"embed_dim {embed_dim} does not divide into {num_heads} heads")
        if num_heads % num_kv_heads:
            raise ConfigError(f"num_heads {num_heads} is not a multiple of num_kv_heads {num_kv_heads}")
        self.head_dim = embed_dim // num_heads if head_dim is None else head_dim
        self.causal = causal
        to: dict[str, Any] = {"device": device, "dtype": dtype}
        self.q_proj = nn.Linear(embed_dim, num_heads * self.head_dim, bias, **to)
        self.k_proj = nn.Linear(kdim or embed_dim, num_kv_heads * self.head_dim, bias, **to)
        self.v_proj = nn.Linear(vdim or embed_dim, num_kv_heads * self.head_dim, bias, **to)
        self.out_proj = nn.Linear(num_heads * self.head_dim, embed_dim, bias, **to)
        self.dropout = nn.Dropout(dropout)  # a module, so that whatever switches dropout on finds it
        self.rotary = RotaryPositions(self.head_dim) if rotary else None
        self.reset_parameters()

    @property
    def num_heads(self) -> int:
        """Query heads that are there now."""
        return self.q_proj.out_features // self.head_dim

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases, as in `torch.nn.MultiheadAttention`."""
        for projection in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.xavier_uniform_(projection.weight)
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: KVCache | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: (B, T, E).
            key: (B, S, K); None is the query.
            value: (B, S, V); None is the key.
            padding_mask: (B, S) bool over the keys (with a cache: over all of them), True = a real token.
            attention_mask: broadcasts to (B, H, T, S); bool (True = attend) or float (added to the scores).
            cache: keys and values of earlier calls; this call's are added to it.
            return_maps: give the weights (B, H, T, S) too.
        """
        name = type(self).__name__
        key = query if key is None else key
        value = key if value is None else value
        check_shape(name, query, "B T E", {2: self.q_proj.in_features})
        check_shape(name, key, "B S K", {0: query.shape[0], 2: self.k_proj.in_features})
        check_shape(name, value, "B S V", {0: query.shape[0], 1: key.shape[1], 2: self.v_proj.in_features})
        k_BGSD, v_BGSD = self._heads(self.k_proj(key)), self._heads(self.v_proj(value))
        return self._attend(query, k_BGSD, v_BGSD, padding_mask, attention_mask, cache, return_maps)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)

    def _attend(
        self,
        query: Tensor,
        k_BGSD: Tensor,
        v_BGSD: Tensor,
        padding_mask: Tensor | None,
        attention_mask: Tensor | None,
        cache: KVCache | None,
        return_maps: bool,
    ) -> Tensor | tuple[Tensor, Tensor]:
        q_BHTD = self._heads(self.q_proj(query))
        if self.rotary is not None:
            start = 0 if cache is None else cache.length
            q_BHTD, k_BGSD = self.rotary(q_BHTD, start), self.rotary(k_BGSD, start)
        if cache is not None:
            k_BGSD, v_BGSD = cache.append(k_BGSD, v_BGSD)
        mask = join_masks(padding_mask, attention_mask, q_BHTD.shape[0], k_BGSD.shape[2])
        dropout = self.dropout.p if self.dropout.training else 0.0
        result = dot_product_attention(
            q_BHTD, k_BGSD, v_BGSD, mask=mask, causal=self.causal, dropout=dropout, return_maps=return_maps
        )
        out_BHTD, maps = result if isinstance(result, tuple) else (result, None)
        output: Tensor = self.out_proj(out_BHTD.transpose(1, 2).flatten(2))
        return output if maps is None else (output, maps)


class SelfAttention(MultiHeadAttention):
    """Multi-head attention of a stream to itself. Arguments as in `MultiHeadAttention`, without kdim and vdim.

    Shape: (B, T, E) -> (B, T, E)

    Example:
        >>> import torch
        >>> SelfAttention(8, num_heads=2, causal=True)(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
        rotary: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            embed_dim, num_heads, num_kv_heads, head_dim, None, None, bias, dropout, causal, rotary, device, dtype
        )

    def forward(  # type: ignore[override]  # narrower on purpose: there is one stream
        self,
        x: Tensor,
        *,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: KVCache | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend; arguments as in `MultiHeadAttention.forward`."""
        return super().forward(
            x, padding_mask=padding_mask, attention_mask=attention_mask, cache=cache, return_maps=return_maps
        )


class CrossAttention(MultiHeadAttention):
    """Multi-head attention of a stream to a memory of another length and width.

    Args:
        embed_dim: E, features of the queries and of the output.
        num_heads: H.
        memory_dim: features of the memory; None is E.
        num_kv_heads: as in `MultiHeadAttention`.
        head_dim: as in `MultiHeadAttention`.
        bias: as in `MultiHeadAttention`.
        dropout: as in `MultiHeadAttention`.

    Shape: (B, T, E), (B, S, memory_dim) -> (B, T, E)

    Example:
        >>> import torch
        >>> CrossAttention(8, num_heads=2, memory_dim=6)(torch.randn(2, 5, 8), torch.randn(2, 3, 6)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        memory_dim: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            embed_dim, num_heads, num_kv_heads, head_dim, memory_dim, memory_dim, bias, dropout, False, False, device,
            dtype,
        )  # fmt: skip

    def forward(  # type: ignore[override]  # narrower on purpose: keys and values are one memory
        self,
        x: Tensor,
        memory: Tensor,
        *,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: KVCache | None = None,
        return_maps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend; the memory's keys and values are projected once for each cache and then taken from it."""
        if cache is None or cache.length == 0:
            return super().forward(
                x, memory, padding_mask=padding_mask, attention_mask=attention_mask, cache=cache,
                return_maps=return_maps,
            )  # fmt: skip
        check_shape("CrossAttention", x, "B T E", {2: self.q_proj.in_features})
        keys, values = cache.content()
        return self._attend(x, keys, values, padding_mask, attention_mask, None, return_maps)
