"""Dot-product attention as a function, over the fused kernel that torch chooses.

Shape letters: B batch, H query heads, G key/value heads (H is a multiple of G), T queries, S keys, D features of a
head.

Masks mean what they mean in `torch.nn.functional.scaled_dot_product_attention`: **True = may be attended to** (the
opposite of `torch.nn.MultiheadAttention`); floats are added to the scores. A query that may attend to nothing gives
zeros.
"""

# ruff: noqa: N803, N806  (names end in the letters of their dimensions)

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from scirs_neural.core.errors import ShapeError

# Queries at a time when causality and another mask meet: bounds the joint mask at _BLOCK x S instead of T x S.
_BLOCK = 512


def dot_product_attention(
    q_BHTD: Tensor,
    k_BGSD: Tensor,
    v_BGSD: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    scale: float | None = None,
    return_maps: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """softmax(Q K^T scale) V, through the fused kernel that torch chooses.

    Without `return_maps` no T x S tensor is made, save by the mask that the caller gives.

    Args:
        q_BHTD: queries.
        k_BGSD: keys; each of the G heads serves H / G query heads.
        v_BGSD: values.
        mask: broadcasts to (B, H, T, S); bool (True = attend) or float (added to the scores).
        causal: query t sees keys up to t, counted from the end when T is not S (with a cache the last query sees all).
        dropout: probability at which a weight is zeroed.
        scale: of the scores; None is 1 / sqrt(D).
        return_maps: give the weights (B, H, T, S) too. This makes them, and is slower.

    Shape: (B, H, T, D), (B, G, S, D), (B, G, S, D) -> (B, H, T, D)

    Raises:
        ShapeError: the three do not fit together.

    Source: Vaswani et al., "Attention Is All You Need" (2017), eq. 1; grouped heads: Ainslie et al., "GQA" (2023).

    Example:
        >>> q = k = v = torch.ones(1, 2, 3, 4)
        >>> nothing = torch.zeros(3, 3, dtype=torch.bool)
        >>> dot_product_attention(q, k, v, mask=nothing).abs().max().item()
        0.0
    """
    num_queries, num_keys = q_BHTD.shape[-2], k_BGSD.shape[-2]
    if k_BGSD.shape[:-1] != v_BGSD.shape[:-1] or q_BHTD.shape[-1] != k_BGSD.shape[-1]:
        raise ShapeError(
            "attention expects q (B, H, T, D), k (B, G, S, D), v (B, G, S, D), received "
            f"{tuple(q_BHTD.shape)}, {tuple(k_BGSD.shape)}, {tuple(v_BGSD.shape)}"
        )
    if q_BHTD.shape[1] % k_BGSD.shape[1]:
        raise ShapeError(f"{q_BHTD.shape[1]} query heads do not divide into {k_BGSD.shape[1]} key heads")
    if causal and num_queries > num_keys:
        raise ShapeError(f"causal attention expects as many keys as queries or more, got {num_keys}, {num_queries}")
    past, device = num_keys - num_queries, q_BHTD.device
    if return_maps:
        mask = _joined(mask, _allowed(past, num_keys, num_keys, device)) if causal else mask
        return _with_maps(q_BHTD, k_BGSD, v_BGSD, mask, dropout, scale)
    if not causal or num_queries == 1:  # a single newest query sees everything
        return _fused(q_BHTD, k_BGSD, v_BGSD, mask, False, dropout, scale)
    if mask is None and past == 0:
        return _fused(q_BHTD, k_BGSD, v_BGSD, None, True, dropout, scale)
    if num_queries <= _BLOCK or torch.compiler.is_compiling():
        mask = _joined(mask, _allowed(past, num_keys, num_keys, device))
        return _fused(q_BHTD, k_BGSD, v_BGSD, mask, False, dropout, scale)
    blocks = []
    for start in range(0, num_queries, _BLOCK):
        stop = min(start + _BLOCK, num_queries)
        seen = past + stop  # keys that the last query of the block sees
        allowed = _allowed(past + start, seen, seen, device)
        if mask is not None:
            rows = mask if mask.shape[-2] == 1 else mask[..., start:stop, :]
            allowed = _joined(rows[..., :seen], allowed)
        q_block, k_seen, v_seen = q_BHTD[..., start:stop, :], k_BGSD[..., :seen, :], v_BGSD[..., :seen, :]
        blocks.append(_fused(q_block, k_seen, v_seen, allowed, False, dropout, scale))
    return torch.cat(blocks, dim=-2)


def _allowed(first: int, last: int, num_keys: int, device: torch.device) -> Tensor:
    """Which of the keys 0..num_keys each query at the times first..last may see: those up to its own time."""
    return torch.arange(num_keys, device=device) <= torch.arange(first, last, device=device)[:, None]


def _joined(mask: Tensor | None, allowed: Tensor) -> Tensor:
    if mask is None:
        return allowed
    return mask & allowed if mask.dtype == torch.bool else mask.masked_fill(~allowed, -math.inf)


def _split_dead(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mask with its fully masked rows opened, and which rows (…, T, 1) are alive."""
    if mask.dtype == torch.bool:
        alive = mask.any(-1, keepdim=True)
        return mask | ~alive, alive
    alive = (mask != -math.inf).any(-1, keepdim=True)
    return mask.masked_fill(~alive, 0.0), alive


def _fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, dropout: float, scale: float | None
) -> Tensor:
    grouped = q.shape[1] != k.shape[1]
    alive = None
    if mask is not None:
        mask, alive = _split_dead(mask)
        mask = mask if mask.dtype == torch.bool else mask.to(q.dtype)
        mask = mask.expand(q.shape[0], -1, -1, -1) if mask.dim() == 4 else mask  # a view: what the CPU kernel asks for
    out = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale, enable_gqa=grouped
    )
    return out if alive is None else torch.where(alive, out, 0.0)


def _with_maps(
    q_BHTD: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scale: float | None
) -> tuple[Tensor, Tensor]:
    groups = q_BHTD.shape[1] // k.shape[1]
    k_BHSD, v_BHSD = (x.repeat_interleave(groups, dim=1) if groups > 1 else x for x in (k, v))
    scores = q_BHTD @ k_BHSD.mT * (1.0 / math.sqrt(q_BHTD.shape[-1]) if scale is None else scale)
    alive = None
    if mask is not None:
        mask, alive = _split_dead(mask)
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    maps = scores.softmax(dim=-1)
    if alive is not None:
        maps = torch.where(alive, maps, 0.0)
    if dropout:
        maps = F.dropout(maps, dropout)
    return maps @ v_BHSD, maps


def join_masks(padding_mask: Tensor | None, attention_mask: Tensor | None, batch: int, num_keys: int) -> Tensor | None:
    """One mask that broadcasts to (B, H, T, S) from a padding mask (B, S) and an attention mask.

    Raises:
        ShapeError: the padding mask is not bool of shape (B, S).
    """
    if padding_mask is None:
        return attention_mask
    if padding_mask.dtype != torch.bool or padding_mask.shape != (batch, num_keys):
        raise ShapeError(
            f"padding_mask expects bool ({batch}, {num_keys}), True = a real token, received {padding_mask.dtype} "
            f"{tuple(padding_mask.shape)}"
        )
    real = padding_mask[:, None, None, :]
    if attention_mask is None:
        return real
    if attention_mask.dtype == torch.bool:
        return attention_mask & real
    return attention_mask.masked_fill(~real, -math.inf)
