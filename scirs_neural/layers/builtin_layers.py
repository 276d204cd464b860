"""Names, import strings and options of the layers that are written here, because torch lacks them. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scirs_neural.layers.torch_table import REQUIRED, Row

_FACTORY: dict[str, Any] = {"device": None, "dtype": None}
_SAME_CONV: dict[str, Any] = {
    "in_channels": REQUIRED, "out_channels": REQUIRED, "kernel_size": REQUIRED, "stride": 1, "dilation": 1, "groups": 1,
    "bias": True, "padding_mode": "zeros", **_FACTORY,
}  # fmt: skip
_DEPTHWISE: dict[str, Any] = {
    "channels": REQUIRED, "kernel_size": REQUIRED, "depth_multiplier": 1, "stride": 1, "padding": "same", "dilation": 1,
    "bias": True, "padding_mode": "zeros", **_FACTORY,
}  # fmt: skip
_SEPARABLE: dict[str, Any] = {
    "in_channels": REQUIRED, "out_channels": REQUIRED, "kernel_size": REQUIRED, "stride": 1, "padding": "same",
    "dilation": 1, "bias": True, "depth_multiplier": 1, "norm": None, "activation": None,
}  # fmt: skip
_POOL: dict[str, Any] = {"kernel_size": REQUIRED, "stride": None}
_KEEPDIM: dict[str, Any] = {"keepdim": False}
_HEADS: dict[str, Any] = {"embed_dim": REQUIRED, "num_heads": REQUIRED}
_BLOCK: dict[str, Any] = {
    **_HEADS, "hidden_dim": None, "dropout": 0.0, "attention_dropout": None, "drop_path": 0.0, "activation": "gelu",
    "norm": "layer_norm", "norm_first": True, "num_kv_heads": None,
}  # fmt: skip


def _per_dim(name: str, target: str, summary: str, options: Mapping[str, Any]) -> dict[str, Row]:
    return {f"{name}{d}d": (f"scirs_neural.layers.{target}{d}d", f"{summary}, {d}d", options) for d in (1, 2, 3)}


def _row(target: str, summary: str, options: Mapping[str, Any]) -> Row:
    return f"scirs_neural.layers.{target}", summary, options


BUILTIN: dict[str, Row] = {
    "dense": _row("dense:Dense", "linear with activation and init; input width inferred if not given", {
        "out_features": REQUIRED, "in_features": None, "activation": None, "bias": True, "init": None, **_FACTORY}),
    # convolution
    **_per_dim("same_conv", "same_padding:SameConv", "convolution to ceil(size / stride)", _SAME_CONV),
    **_per_dim("depthwise_conv", "separable:depthwise_conv", "each channel by itself", _DEPTHWISE),
    **_per_dim("separable_conv", "separable:SeparableConv", "depthwise, then across channels", _SEPARABLE),
    # pooling
    **_per_dim("same_max_pool", "same_padding:SameMaxPool", "max pooling to ceil(size / stride)", _POOL),
    **_per_dim("same_avg_pool", "same_padding:SameAvgPool", "mean pooling to ceil(size / stride)", {
        **_POOL, "count_include_pad": False}),
    "global_avg_pool": _row("global_pool:GlobalAvgPool", "mean over all places", _KEEPDIM),
    "global_max_pool": _row("global_pool:GlobalMaxPool", "maximum over all places", _KEEPDIM),
    "global_avg_max_pool": _row("global_pool:GlobalAvgMaxPool", "half the sum of both", _KEEPDIM),
    "gem_pool": _row("global_pool:GeMPool", "generalised mean with a learned exponent", {
        "p": 3.0, "learnable": True, "eps": 1e-6, "keepdim": False}),
    "attention_pool": _row("global_pool:AttentionPool", "mean with learned weights", {
        "channels": REQUIRED, "num_heads": 1}),
    # recurrent
    "recurrent": _row("recurrent:Recurrent", "unrolls and stacks cells of your own", {
        "cell": REQUIRED, "input_size": None, "hidden_size": None, "num_layers": 1, "dropout": 0.0,
        "batch_first": True, "reverse": False}),
    "peephole_lstm_cell": _row("cells:PeepholeLSTMCell", "one step of an LSTM whose gates see its cell", {
        "input_size": REQUIRED, "hidden_size": REQUIRED, "forget_bias": 1.0}),
    "bidirectional": _row("bidirectional:Bidirectional", "any recurrent layer, forwards and backwards", {
        "layer": REQUIRED, "merge": "concat", "backward_layer": None}),
    # normalisation
    "layer_norm2d": _row("layer_norm:LayerNorm2d", "normalisation of the channels at each pixel", {
        "normalized_shape": REQUIRED, "eps": 1e-5, "elementwise_affine": True, "bias": True, **_FACTORY}),
    # activations
    "squared_relu": _row("activations:SquaredReLU", "max(x, 0)^2", {}),
    "swish": _row("activations:Swish", "x sigmoid(beta x), beta learned", {
        "num_parameters": 1, "beta": 1.0, "dim": 1, **_FACTORY}),
    "snake": _row("activations:Snake", "x + sin^2(alpha x) / alpha, alpha learned", {
        "num_parameters": 1, "alpha": 1.0, "dim": 1, **_FACTORY}),
    "reglu": _row("activations:ReGLU", "one half gated by the ReLU of the other", {"dim": -1}),
    "geglu": _row("activations:GEGLU", "one half gated by the GELU of the other", {"dim": -1}),
    "swiglu": _row("activations:SwiGLU", "one half gated by the SiLU of the other", {"dim": -1}),
    "pau": _row("activations:PAU", "a learned quotient of polynomials", _FACTORY),
    "temperature_softmax": _row("activations:TemperatureSoftmax", "softmax(x / temperature)", {
        "dim": REQUIRED, "temperature": 1.0, "learnable": False, "log": False}),
    "activity_regularization": _row("penalties:ActivityRegularization", "adds a penalty on x to the loss", {
        "l1": 0.0, "l2": 0.0}),
    # attention and transformers
    "attention": _row("attention:MultiHeadAttention", "multi-head attention; a True in a mask means: attend", {
        **_HEADS, "num_kv_heads": None, "head_dim": None, "kdim": None, "vdim": None, "bias": True, "dropout": 0.0,
        "causal": False, "rotary": False, **_FACTORY}),
    "self_attention": _row("attention:SelfAttention", "a stream attends to itself", {
        **_HEADS, "num_kv_heads": None, "head_dim": None, "bias": True, "dropout": 0.0, "causal": False,
        "rotary": False, **_FACTORY}),
    "cross_attention": _row("attention:CrossAttention", "a stream attends to a memory", {
        **_HEADS, "memory_dim": None, "num_kv_heads": None, "head_dim": None, "bias": True, "dropout": 0.0,
        **_FACTORY}),
    "feed_forward": _row("feed_forward:FeedForward", "linear, activation, dropout, linear", {
        "embed_dim": REQUIRED, "hidden_dim": None, "activation": "gelu", "dropout": 0.0, "bias": True, **_FACTORY}),
    "transformer_encoder_block": _row("transformer_blocks:TransformerEncoderBlock", "self-attention, feed-forward", {
        **_BLOCK, "causal": False, "rotary": False, "bias": True}),
    "transformer_decoder_block": _row("transformer_blocks:TransformerDecoderBlock", "with cross-attention between", {
        **_BLOCK, "memory_dim": None, "rotary": False, "bias": True}),
    "encoder_decoder": _row("encoder_decoder:EncoderDecoder", "the full transformer, tokens to logits", {
        "vocab_size": REQUIRED, "target_vocab_size": None, "embed_dim": 512, "num_heads": 8, "num_encoder_layers": 6,
        "num_decoder_layers": 6, "hidden_dim": None, "dropout": 0.1, "activation": "relu", "norm": "layer_norm",
        "norm_first": True, "positions": "sinusoidal", "max_length": 1024, "pad_index": 0, "tie_output": True}),
    # embeddings and positions
    "patch_embedding": _row("patch_embedding:PatchEmbedding", "an image as a sequence of patches", {
        "patch_size": REQUIRED, "in_channels": 3, "embed_dim": 768, "bias": True, "odd_sizes": "refuse",
        "flatten": True, **_FACTORY}),
    "sinusoidal_positions": _row("positions:SinusoidalPositions", "adds fixed sinusoids", {
        "embed_dim": REQUIRED, "max_length": 4096, "dropout": 0.0}),
    "learned_positions": _row("positions:LearnedPositions", "adds a learned vector for each position", {
        "embed_dim": REQUIRED, "max_length": REQUIRED, "dropout": 0.0}),
    "learned_positions2d": _row("positions:LearnedPositions2d", "adds a learned vector for each cell of a grid", {
        "embed_dim": REQUIRED, "grid": REQUIRED, "num_prefix_tokens": 0, "mode": "bicubic", "dropout": 0.0}),
    "rotary_positions": _row("positions:RotaryPositions", "turns queries and keys by position", {
        "head_dim": REQUIRED, "base": 10_000.0}),
    "alibi": _row("positions:ALiBi", "scores fall linearly with distance", {"num_heads": REQUIRED}),
}  # fmt: skip
