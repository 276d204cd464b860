"""One example of every shipped layer: options, inputs, and the shape that comes out. Pure data: no torch import.

An input is ``"f 2 3"`` (floats of that shape), ``"i9 2 3"`` (whole numbers below 9) or ``"n 3"`` (the plain number 3).
The output is the shape of the first tensor that the layer gives. `scirs_neural.layers.capabilities` and the tests run
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """How to build and call one layer."""

    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    output: str


def _ex(inputs: str, output: str, **options: Any) -> Example:
    return Example(options, tuple(part.strip() for part in inputs.split(",")), output)


_SPACE = {1: "9", 2: "9 7", 3: "5 6 7"}


def _each_dim(name: str, before: str, after: str, out: Mapping[int, str], **options: Any) -> dict[str, Example]:
    """A layer of one, two and three dimensions on inputs of odd sizes."""
    return {f"{name}{d}d": _ex(f"{before} {_SPACE[d]}", f"{after} {out[d]}", **options) for d in (1, 2, 3)}


def _same(inputs: str, *names: str, **options: Any) -> dict[str, Example]:
    return {name: _ex(inputs, inputs.split(maxsplit=1)[1], **options) for name in names}


_ENCODER = {"name": "transformer_encoder_layer", "d_model": 8, "nhead": 2, "dim_feedforward": 12, "batch_first": True}
_DECODER = {**_ENCODER, "name": "transformer_decoder_layer"}
_CELL = {"name": "peephole_lstm_cell", "input_size": 3, "hidden_size": 5}
_PADS = {1: (1, 2), 2: (1, 2, 0, 1), 3: (1, 2, 0, 1, 1, 0)}
_PADDED = {1: "12", 2: "10 10", 3: "6 7 10"}


def _pads(name: str, **options: Any) -> dict[str, Example]:
    return {
        f"{name}{d}d": _ex(f"f 2 3 {_SPACE[d]}", f"2 3 {_PADDED[d]}", padding=_PADS[d], **options) for d in (1, 2, 3)
    }


EXAMPLES: dict[str, Example] = {
    # linear
    "linear": _ex("f 4 5", "4 3", in_features=5, out_features=3),
    "lazy_linear": _ex("f 4 5", "4 3", out_features=3),
    "bilinear": _ex("f 4 5, f 4 2", "4 3", in1_features=5, in2_features=2, out_features=3),
    "dense": _ex("f 4 5", "4 3", in_features=5, out_features=3, activation="gelu", init="orthogonal"),
    **_same("f 4 5", "identity"),
    # convolution
    **_each_dim("conv", "f 2 4", "2 6", {1: "7", 2: "7 5", 3: "3 4 5"}, in_channels=4, out_channels=6, kernel_size=3),
    **_each_dim("lazy_conv", "f 2 4", "2 6", {1: "5", 2: "5 4", 3: "3 3 4"}, out_channels=6, kernel_size=3, stride=2,
                padding=1),
    **_each_dim("conv_transpose", "f 2 4", "2 6", {1: "19", 2: "19 15", 3: "11 13 15"}, in_channels=4, out_channels=6,
                kernel_size=3, stride=2),
    **_each_dim("lazy_conv_transpose", "f 2 4", "2 6", {1: "11", 2: "11 9", 3: "7 8 9"}, out_channels=6, kernel_size=3),
    **_each_dim("same_conv", "f 2 4", "2 6", {1: "5", 2: "5 4", 3: "3 3 4"}, in_channels=4, out_channels=6,
                kernel_size=4, stride=2),
    **_each_dim("depthwise_conv", "f 2 4", "2 8", {1: "9", 2: "9 7", 3: "5 6 7"}, channels=4, kernel_size=4,
                depth_multiplier=2),
    **_each_dim("separable_conv", "f 2 4", "2 6", {1: "9", 2: "9 7", 3: "5 6 7"}, in_channels=4, out_channels=6,
                kernel_size=3, activation="relu"),
    "deform_conv2d": _ex("f 2 4 6 5, f 2 18 6 5", "2 6 6 5", in_channels=4, out_channels=6, kernel_size=3, padding=1),
    "conv2d_norm_activation": _ex("f 2 4 9 7", "2 6 9 7", in_channels=4, out_channels=6),
    "conv3d_norm_activation": _ex("f 2 4 5 6 7", "2 6 5 6 7", in_channels=4, out_channels=6, activation_layer="silu"),
    "unfold": _ex("f 2 3 9 7", "2 12 48", kernel_size=2),
    "fold": _ex("f 2 12 48", "2 3 9 7", output_size=(9, 7), kernel_size=2),
    # pooling
    **_each_dim("max_pool", "f 2 3", "2 3", {1: "4", 2: "4 3", 3: "2 3 3"}, kernel_size=2),
    **_each_dim("avg_pool", "f 2 3", "2 3", {1: "4", 2: "4 3", 3: "2 3 3"}, kernel_size=2),
    **_each_dim("lp_pool", "f 2 3", "2 3", {1: "4", 2: "4 3", 3: "2 3 3"}, norm_type=2.0, kernel_size=2),
    **_each_dim("same_max_pool", "f 2 3", "2 3", {1: "5", 2: "5 4", 3: "3 3 4"}, kernel_size=2),
    **_each_dim("same_avg_pool", "f 2 3", "2 3", {1: "5", 2: "5 4", 3: "3 3 4"}, kernel_size=2),
    **_each_dim("adaptive_avg_pool", "f 2 3", "2 3", {1: "4", 2: "4 4", 3: "4 4 4"}, output_size=4),
    **_each_dim("adaptive_max_pool", "f 2 3", "2 3", {1: "4", 2: "4 4", 3: "4 4 4"}, output_size=4),
    "max_unpool1d": _ex("f 2 3 4, i8 2 3 4", "2 3 8", kernel_size=2),
    "max_unpool2d": _ex("f 2 3 4 3, i8 2 3 4 3", "2 3 8 6", kernel_size=2),
    "max_unpool3d": _ex("f 2 3 2 3 3, i8 2 3 2 3 3", "2 3 4 6 6", kernel_size=2),
    "fractional_max_pool2d": _ex("f 2 3 9 7", "2 3 5 4", kernel_size=2, output_size=(5, 4)),
    "fractional_max_pool3d": _ex("f 2 3 5 6 7", "2 3 3 3 4", kernel_size=2, output_size=(3, 3, 4)),
    **{name: _ex("f 2 3 9 7", "2 3") for name in ("global_avg_pool", "global_max_pool", "global_avg_max_pool",
                                                  "gem_pool")},
    "attention_pool": _ex("f 2 4 9 7", "2 4", channels=4, num_heads=2),
    # padding
    **_pads("zero_pad"), **_pads("constant_pad", value=1.5), **_pads("reflection_pad"), **_pads("replication_pad"),
    **_pads("circular_pad"),
    # recurrent
    "rnn": _ex("f 4 7 3", "4 7 5", input_size=3, hidden_size=5, batch_first=True),
    "lstm": _ex("f 4 7 3", "4 7 5", input_size=3, hidden_size=5, num_layers=2, batch_first=True),
    "gru": _ex("f 4 7 3", "4 7 10", input_size=3, hidden_size=5, bidirectional=True, batch_first=True),
    **{name: _ex("f 4 3", "4 5", input_size=3, hidden_size=5) for name in ("rnn_cell", "lstm_cell", "gru_cell",
                                                                           "peephole_lstm_cell")},
    "recurrent": _ex("f 4 7 3", "4 7 5", cell="peephole_lstm_cell", input_size=3, hidden_size=5, num_layers=2),
    "bidirectional": _ex("f 4 7 3", "4 7 10", layer={"name": "recurrent", "cell": _CELL}),
    # normalisation
    **_each_dim("batch_norm", "f 2 3", "2 3", _SPACE, num_features=3),
    **_each_dim("lazy_batch_norm", "f 2 3", "2 3", _SPACE),
    **_each_dim("instance_norm", "f 2 3", "2 3", _SPACE, num_features=3, affine=True),
    **_each_dim("lazy_instance_norm", "f 2 3", "2 3", _SPACE),
    **_same("f 2 3 9 7", "sync_batch_norm", "frozen_batch_norm2d", num_features=3),
    **_same("f 4 7 8", "layer_norm", "rms_norm", normalized_shape=8),
    **_same("f 2 6 9 7", "group_norm", num_groups=3, num_channels=6),
    **_same("f 2 6 9 7", "local_response_norm", "cross_map_lrn2d", size=3),
    **_same("f 2 6 9 7", "layer_norm2d", normalized_shape=6),
    # dropout
    **_same("f 4 5", "dropout", "alpha_dropout"),
    **_same("f 2 3 9", "dropout1d"),
    **_same("f 2 3 9 7", "dropout2d", "feature_alpha_dropout"),
    **_same("f 2 3 5 6 7", "dropout3d"),
    **_same("f 4 5", "drop_path", p=0.2, mode="row"),
    **_same("f 2 3 9 7", "drop_block2d", p=0.2, block_size=3),
    **_same("f 2 3 5 6 7", "drop_block3d", p=0.2, block_size=3),
    # activations
    **_same(
        "f 4 6", "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish",
        "hardswish", "hardsigmoid", "hardtanh", "hardshrink", "softshrink", "tanhshrink", "sigmoid", "log_sigmoid",
        "tanh", "softplus", "softsign", "squared_relu", "swish", "pau",
    ),
    **_same("f 4 6", "threshold", threshold=0.1, value=-2.0),
    **_same("f 4 6", "softmax", "log_softmax", "softmin", dim=-1),
    **_same("f 4 6", "temperature_softmax", dim=-1, temperature=2.0, learnable=True),
    **_same("f 2 3 9 7", "softmax2d"),
    **_same("f 2 3 9", "snake", num_parameters=3),
    **{name: _ex("f 4 6", "4 3") for name in ("glu", "reglu", "geglu", "swiglu")},
    **_same("f 4 6", "activity_regularization", l1=0.1, l2=0.1),
    # embeddings and positions
    "embedding": _ex("i9 4 7", "4 7 8", num_embeddings=9, embedding_dim=8, padding_idx=0),
    "embedding_bag": _ex("i9 4 7", "4 8", num_embeddings=9, embedding_dim=8),
    "patch_embedding": _ex("f 2 3 9 7", "2 12 8", patch_size=(3, 2), embed_dim=8, odd_sizes="pad"),
    **_same("f 4 7 8", "sinusoidal_positions", embed_dim=8),
    **_same("f 4 7 8", "learned_positions", embed_dim=8, max_length=9),
    **_same("f 4 7 8", "learned_positions2d", embed_dim=8, grid=(2, 3), num_prefix_tokens=1),
    **_same("f 2 3 7 8", "rotary_positions", head_dim=8),
    "alibi": _ex("n 3, n 5", "1 6 3 5", num_heads=6),
    # attention and transformers
    "multihead_attention": _ex("f 4 7 8, f 4 5 8, f 4 5 8", "4 7 8", embed_dim=8, num_heads=2, batch_first=True),
    "attention": _ex("f 4 7 8, f 4 5 6, f 4 5 10", "4 7 8", embed_dim=8, num_heads=4, num_kv_heads=2, kdim=6, vdim=10),
    "self_attention": _ex("f 4 7 8", "4 7 8", embed_dim=8, num_heads=2, causal=True, rotary=True),
    "cross_attention": _ex("f 4 7 8, f 4 5 6", "4 7 8", embed_dim=8, num_heads=2, memory_dim=6),
    "feed_forward": _ex("f 4 7 8", "4 7 8", embed_dim=8, hidden_dim=12, activation="swiglu"),
    "transformer_encoder_layer": _ex("f 4 7 8", "4 7 8", d_model=8, nhead=2, dim_feedforward=12, batch_first=True),
    "transformer_decoder_layer": _ex("f 4 7 8, f 4 5 8", "4 7 8", d_model=8, nhead=2, dim_feedforward=12,
                                     batch_first=True),
    "transformer_encoder": _ex("f 4 7 8", "4 7 8", encoder_layer=_ENCODER, num_layers=2, enable_nested_tensor=False),
    "transformer_decoder": _ex("f 4 7 8, f 4 5 8", "4 7 8", decoder_layer=_DECODER, num_layers=2),
    "transformer": _ex("f 4 5 8, f 4 7 8", "4 7 8", d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=1,
                       dim_feedforward=12, batch_first=True),
    "transformer_encoder_block": _ex("f 4 7 8", "4 7 8", embed_dim=8, num_heads=2, drop_path=0.1),
    "transformer_decoder_block": _ex("f 4 7 8, f 4 5 6", "4 7 8", embed_dim=8, num_heads=2, memory_dim=6),
    "encoder_decoder": _ex("i11 4 5, i11 4 7", "4 7 11", vocab_size=11, embed_dim=8, num_heads=2,
                           num_encoder_layers=1, num_decoder_layers=1, dropout=0.0),
    # shape, size, comparison, blocks
    "flatten": _ex("f 2 3 9 7", "2 189"),
    "unflatten": _ex("f 4 6", "4 2 3", dim=1, unflattened_size=(2, 3)),
    "permute": _ex("f 2 3 9 7", "2 9 7 3", dims=(0, 2, 3, 1)),
    "pixel_shuffle": _ex("f 2 4 9 7", "2 1 18 14", upscale_factor=2),
    "pixel_unshuffle": _ex("f 2 1 8 6", "2 4 4 3", downscale_factor=2),
    "channel_shuffle": _ex("f 2 6 9 7", "2 6 9 7", groups=3),
    "upsample": _ex("f 2 3 9 7", "2 3 18 14", scale_factor=2.0),
    "upsampling_nearest2d": _ex("f 2 3 9 7", "2 3 18 14", scale_factor=2.0),
    "upsampling_bilinear2d": _ex("f 2 3 9 7", "2 3 18 14", scale_factor=2.0),
    "cosine_similarity": _ex("f 4 5, f 4 5", "4"),
    "pairwise_distance": _ex("f 4 5, f 4 5", "4"),
    "squeeze_excitation": _ex("f 2 6 9 7", "2 6 9 7", input_channels=6, squeeze_channels=2),
    "mlp": _ex("f 4 5", "4 3", in_channels=5, hidden_channels=[8, 3], norm_layer="layer_norm"),
}  # fmt: skip
