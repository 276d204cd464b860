"""Weights of torch's attention and transformer layers, copied into ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ShapeError
from scirs_neural.layers.attention import MultiHeadAttention
from scirs_neural.layers.feed_forward import FeedForward
from scirs_neural.layers.transformer_blocks import TransformerDecoderBlock, TransformerEncoderBlock


@torch.no_grad()
def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    """Copy the weights of `torch.nn.MultiheadAttention`, with kdim and vdim too.

    Raises:
        ShapeError: the two have different sizes.
    """
    if theirs.in_proj_weight is None:
        weights = [theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight]
    else:
        weights = list(theirs.in_proj_weight.chunk(3))
    for projection, weight in zip((ours.q_proj, ours.k_proj, ours.v_proj), weights, strict=True):
        _copy(projection.weight, weight)
    if theirs.in_proj_bias is not None:
        for projection, bias in zip((ours.q_proj, ours.k_proj, ours.v_proj), theirs.in_proj_bias.chunk(3), strict=True):
            _copy(projection.bias, bias)
        _copy(ours.out_proj.bias, theirs.out_proj.bias)
    _copy(ours.out_proj.weight, theirs.out_proj.weight)


def copy_encoder_block(ours: TransformerEncoderBlock, theirs: nn.TransformerEncoderLayer) -> None:
    """Copy the weights of `torch.nn.TransformerEncoderLayer`."""
    copy_attention(ours.attention, theirs.self_attn)
    ours.attention_residual.norm.load_state_dict(theirs.norm1.state_dict())
    ours.feed_forward_residual.norm.load_state_dict(theirs.norm2.state_dict())
    _copy_feed_forward(ours.feed_forward, theirs.linear1, theirs.linear2)


def copy_decoder_block(ours: TransformerDecoderBlock, theirs: nn.TransformerDecoderLayer) -> None:
    """Copy the weights of `torch.nn.TransformerDecoderLayer`."""
    copy_attention(ours.attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    ours.attention_residual.norm.load_state_dict(theirs.norm1.state_dict())
    ours.cross_residual.norm.load_state_dict(theirs.norm2.state_dict())
    ours.feed_forward_residual.norm.load_state_dict(theirs.norm3.state_dict())
    _copy_feed_forward(ours.feed_forward, theirs.linear1, theirs.linear2)


def _copy_feed_forward(ours: FeedForward, up: nn.Linear, down: nn.Linear) -> None:
    ours.up.load_state_dict(up.state_dict())
    ours.down.load_state_dict(down.state_dict())


def _copy(ours: Tensor, theirs: Tensor) -> None:
    if ours.shape != theirs.shape:
        raise ShapeError(f"cannot copy weights: expected {tuple(ours.shape)}, received {tuple(theirs.shape)}")
    ours.copy_(theirs)
