"""Names, import strings and options of torch's and torchvision's own layers. Pure data: no torch import.

Each row is ``name: (import string, summary, options)``. Options have torch's names and defaults; `REQUIRED` marks those
without one. Two kinds of default cannot be written as plain data and stand here by name: functions and classes
(``"relu"``, ``"batch_norm2d"``); `create_layer` turns a name back into the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scirs_neural.core.registry import REQUIRED

Row = tuple[str, str, Mapping[str, Any]]

_FACTORY: dict[str, Any] = {"device": None, "dtype": None}
_IN_OUT: dict[str, Any] = {"in_channels": REQUIRED, "out_channels": REQUIRED}
_OUT: dict[str, Any] = {"out_channels": REQUIRED}
_CONV: dict[str, Any] = {
    "kernel_size": REQUIRED, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True,
    "padding_mode": "zeros", **_FACTORY,
}  # fmt: skip
_CONV_TRANSPOSE: dict[str, Any] = {
    "kernel_size": REQUIRED, "stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "bias": True, "dilation": 1,
    "padding_mode": "zeros", **_FACTORY,
}  # fmt: skip
_MAX_POOL: dict[str, Any] = {
    "kernel_size": REQUIRED, "stride": None, "padding": 0, "dilation": 1, "return_indices": False, "ceil_mode": False,
}  # fmt: skip
_AVG_POOL: dict[str, Any] = {
    "kernel_size": REQUIRED, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
}  # fmt: skip
_AVG_POOL_ND: dict[str, Any] = {**_AVG_POOL, "divisor_override": None}
_UNPOOL: dict[str, Any] = {"kernel_size": REQUIRED, "stride": None, "padding": 0}
_LP_POOL: dict[str, Any] = {"norm_type": REQUIRED, "kernel_size": REQUIRED, "stride": None, "ceil_mode": False}
_FRACTIONAL: dict[str, Any] = {
    "kernel_size": REQUIRED, "output_size": None, "output_ratio": None, "return_indices": False,
    "_random_samples": None,
}  # fmt: skip
_FOLD: dict[str, Any] = {"kernel_size": REQUIRED, "dilation": 1, "padding": 0, "stride": 1}
_ADAPTIVE_MAX: dict[str, Any] = {"output_size": REQUIRED, "return_indices": False}
_RUNNING: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
_BATCH_NORM: dict[str, Any] = {"num_features": REQUIRED, **_RUNNING, **_FACTORY, "bias": True}
_INSTANCE_NORM: dict[str, Any] = {**_BATCH_NORM, "affine": False, "track_running_stats": False}
_LAZY_NORM: dict[str, Any] = {**_RUNNING, **_FACTORY, "bias": True}
_RNN: dict[str, Any] = {
    "input_size": REQUIRED, "hidden_size": REQUIRED, "num_layers": 1, "bias": True, "batch_first": False,
    "dropout": 0.0, "bidirectional": False, **_FACTORY,
}  # fmt: skip
_CELL: dict[str, Any] = {"input_size": REQUIRED, "hidden_size": REQUIRED, "bias": True}
_DROPOUT: dict[str, Any] = {"p": 0.5, "inplace": False}
_INPLACE: dict[str, Any] = {"inplace": False}
_PADDING: dict[str, Any] = {"padding": REQUIRED}
_EMBEDDING: dict[str, Any] = {"num_embeddings": REQUIRED, "embedding_dim": REQUIRED}
_MAX_NORM: dict[str, Any] = {"max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
_TRANSFORMER: dict[str, Any] = {"layer_norm_eps": 1e-5, "batch_first": False, "norm_first": False, "bias": True}
_BLOCK: dict[str, Any] = {
    "d_model": REQUIRED, "nhead": REQUIRED, "dim_feedforward": 2048, "dropout": 0.1, "activation": "relu",
    **_TRANSFORMER, **_FACTORY,
}  # fmt: skip
_DROP_BLOCK: dict[str, Any] = {"p": REQUIRED, "block_size": REQUIRED, "inplace": False, "eps": 1e-6}
_CONV_NORM: dict[str, Any] = {
    **_IN_OUT, "kernel_size": 3, "stride": 1, "padding": None, "groups": 1, "norm_layer": "batch_norm2d",
    "activation_layer": "relu", "dilation": 1, "inplace": True, "bias": None,
}  # fmt: skip


def _per_dim(name: str, torch_name: str, summary: str, options: Mapping[str, Any]) -> dict[str, Row]:
    """The rows of a layer that comes in one, two and three dimensions."""
    return {f"{name}{d}d": (f"torch.nn:{torch_name}{d}d", f"{summary}, {d}d", options) for d in (1, 2, 3)}


TORCH: dict[str, Row] = {
    # linear
    "linear": ("torch.nn:Linear", "x W^T + b", {
        "in_features": REQUIRED, "out_features": REQUIRED, "bias": True, **_FACTORY}),
    "lazy_linear": ("torch.nn:LazyLinear", "linear; input width taken from the first input", {
        "out_features": REQUIRED, "bias": True, **_FACTORY}),
    "bilinear": ("torch.nn:Bilinear", "x1^T A x2 + b", {
        "in1_features": REQUIRED, "in2_features": REQUIRED, "out_features": REQUIRED, "bias": True, **_FACTORY}),
    "identity": ("torch.nn:Identity", "the input as it is", {}),
    # convolution
    **_per_dim("conv", "Conv", "convolution", {**_IN_OUT, **_CONV}),
    **_per_dim("conv_transpose", "ConvTranspose", "transposed convolution; output_size at call time", {
        **_IN_OUT, **_CONV_TRANSPOSE}),
    **_per_dim("lazy_conv", "LazyConv", "convolution; input channels taken from the first input", {**_OUT, **_CONV}),
    **_per_dim("lazy_conv_transpose", "LazyConvTranspose", "transposed convolution; input channels inferred", {
        **_OUT, **_CONV_TRANSPOSE}),
    "unfold": ("torch.nn:Unfold", "sliding windows as columns", _FOLD),
    "fold": ("torch.nn:Fold", "columns summed back into an image", {"output_size": REQUIRED, **_FOLD}),
    # pooling
    **_per_dim("max_pool", "MaxPool", "largest value of each window", _MAX_POOL),
    "avg_pool1d": ("torch.nn:AvgPool1d", "mean of each window, 1d", _AVG_POOL),
    "avg_pool2d": ("torch.nn:AvgPool2d", "mean of each window, 2d", _AVG_POOL_ND),
    "avg_pool3d": ("torch.nn:AvgPool3d", "mean of each window, 3d", _AVG_POOL_ND),
    **_per_dim("lp_pool", "LPPool", "power mean (a sum, not divided) of each window", _LP_POOL),
    **_per_dim("max_unpool", "MaxUnpool", "values back to the places that max pooling took them from", _UNPOOL),
    **_per_dim("adaptive_avg_pool", "AdaptiveAvgPool", "mean pooling to a given size", {"output_size": REQUIRED}),
    **_per_dim("adaptive_max_pool", "AdaptiveMaxPool", "max pooling to a given size", _ADAPTIVE_MAX),
    "fractional_max_pool2d": ("torch.nn:FractionalMaxPool2d", "max pooling by a random fraction, 2d", _FRACTIONAL),
    "fractional_max_pool3d": ("torch.nn:FractionalMaxPool3d", "max pooling by a random fraction, 3d", _FRACTIONAL),
    # padding
    **_per_dim("zero_pad", "ZeroPad", "zeros round the input", _PADDING),
    **_per_dim("constant_pad", "ConstantPad", "a constant round the input", {**_PADDING, "value": REQUIRED}),
    **_per_dim("reflection_pad", "ReflectionPad", "the input mirrored at its border", _PADDING),
    **_per_dim("replication_pad", "ReplicationPad", "the border value repeated", _PADDING),
    **_per_dim("circular_pad", "CircularPad", "the input wrapped round", _PADDING),
    # recurrent
    "rnn": ("torch.nn:RNN", "Elman recurrent network", {
        "input_size": REQUIRED, "hidden_size": REQUIRED, "num_layers": 1, "nonlinearity": "tanh", "bias": True,
        "batch_first": False, "dropout": 0.0, "bidirectional": False, **_FACTORY}),
    "lstm": ("torch.nn:LSTM", "long short-term memory", {**_RNN, "proj_size": 0}),
    "gru": ("torch.nn:GRU", "gated recurrent unit", _RNN),
    "rnn_cell": ("torch.nn:RNNCell", "one step of an Elman network", {**_CELL, "nonlinearity": "tanh", **_FACTORY}),
    "lstm_cell": ("torch.nn:LSTMCell", "one step of an LSTM", {**_CELL, **_FACTORY}),
    "gru_cell": ("torch.nn:GRUCell", "one step of a GRU", {**_CELL, **_FACTORY}),
    # normalisation
    **_per_dim("batch_norm", "BatchNorm", "batch normalisation", _BATCH_NORM),
    **_per_dim("lazy_batch_norm", "LazyBatchNorm", "batch normalisation; channels inferred", _LAZY_NORM),
    "sync_batch_norm": ("torch.nn:SyncBatchNorm", "batch normalisation over all processes", {
        "num_features": REQUIRED, **_RUNNING, "process_group": None, **_FACTORY, "bias": True}),
    **_per_dim("instance_norm", "InstanceNorm", "normalisation of each channel of each sample", _INSTANCE_NORM),
    **_per_dim("lazy_instance_norm", "LazyInstanceNorm", "instance normalisation; channels inferred", _LAZY_NORM),
    "layer_norm": ("torch.nn:LayerNorm", "normalisation over the last dimensions", {
        "normalized_shape": REQUIRED, "eps": 1e-5, "elementwise_affine": True, "bias": True, **_FACTORY}),
    "rms_norm": ("torch.nn:RMSNorm", "division by the root mean square of the last dimensions", {
        "normalized_shape": REQUIRED, "eps": None, "elementwise_affine": True, **_FACTORY}),
    "group_norm": ("torch.nn:GroupNorm", "normalisation over groups of channels", {
        "num_groups": REQUIRED, "num_channels": REQUIRED, "eps": 1e-5, "affine": True, **_FACTORY, "bias": True}),
    "local_response_norm": ("torch.nn:LocalResponseNorm", "AlexNet's normalisation across channels", {
        "size": REQUIRED, "alpha": 1e-4, "beta": 0.75, "k": 1.0}),
    "cross_map_lrn2d": ("torch.nn:CrossMapLRN2d", "Lua torch's local response normalisation", {
        "size": REQUIRED, "alpha": 1e-4, "beta": 0.75, "k": 1}),
    # dropout
    "dropout": ("torch.nn:Dropout", "zeroes single values", _DROPOUT),
    **_per_dim("dropout", "Dropout", "zeroes whole channels", _DROPOUT),
    "alpha_dropout": ("torch.nn:AlphaDropout", "dropout that keeps SELU's mean and variance", _DROPOUT),
    "feature_alpha_dropout": ("torch.nn:FeatureAlphaDropout", "alpha dropout of whole channels", _DROPOUT),
    # activations
    "relu": ("torch.nn:ReLU", "max(x, 0)", _INPLACE),
    "relu6": ("torch.nn:ReLU6", "ReLU capped at 6", _INPLACE),
    "leaky_relu": ("torch.nn:LeakyReLU", "ReLU with a small slope below 0", {"negative_slope": 0.01, **_INPLACE}),
    "prelu": ("torch.nn:PReLU", "ReLU with a learned slope below 0", {"num_parameters": 1, "init": 0.25, **_FACTORY}),
    "rrelu": ("torch.nn:RReLU", "ReLU with a random slope below 0", {"lower": 1 / 8, "upper": 1 / 3, **_INPLACE}),
    "elu": ("torch.nn:ELU", "alpha (exp(x) - 1) below 0", {"alpha": 1.0, **_INPLACE}),
    "celu": ("torch.nn:CELU", "ELU with a continuous derivative for every alpha", {"alpha": 1.0, **_INPLACE}),
    "selu": ("torch.nn:SELU", "self-normalising ELU", _INPLACE),
    "gelu": ("torch.nn:GELU", "x Phi(x), exact or by tanh", {"approximate": "none"}),
    "silu": ("torch.nn:SiLU", "x sigmoid(x), Swish with beta 1", _INPLACE),
    "mish": ("torch.nn:Mish", "x tanh(softplus(x))", _INPLACE),
    "glu": ("torch.nn:GLU", "one half gated by the sigmoid of the other", {"dim": -1}),
    "hardswish": ("torch.nn:Hardswish", "piecewise SiLU", _INPLACE),
    "hardsigmoid": ("torch.nn:Hardsigmoid", "piecewise sigmoid", _INPLACE),
    "hardtanh": ("torch.nn:Hardtanh", "the input clamped", {
        "min_val": -1.0, "max_val": 1.0, "inplace": False, "min_value": None, "max_value": None}),
    "hardshrink": ("torch.nn:Hardshrink", "zero near 0, else the input", {"lambd": 0.5}),
    "softshrink": ("torch.nn:Softshrink", "the input moved towards 0", {"lambd": 0.5}),
    "tanhshrink": ("torch.nn:Tanhshrink", "x - tanh(x)", {}),
    "threshold": ("torch.nn:Threshold", "a constant below a threshold", {
        "threshold": REQUIRED, "value": REQUIRED, **_INPLACE}),
    "sigmoid": ("torch.nn:Sigmoid", "1 / (1 + exp(-x))", {}),
    "log_sigmoid": ("torch.nn:LogSigmoid", "log of the sigmoid", {}),
    "tanh": ("torch.nn:Tanh", "hyperbolic tangent", {}),
    "softplus": ("torch.nn:Softplus", "log(1 + exp(beta x)) / beta", {"beta": 1.0, "threshold": 20.0}),
    "softsign": ("torch.nn:Softsign", "x / (1 + abs(x))", {}),
    "softmax": ("torch.nn:Softmax", "probabilities along dim", {"dim": REQUIRED}),
    "log_softmax": ("torch.nn:LogSoftmax", "log-probabilities along dim", {"dim": REQUIRED}),
    "softmin": ("torch.nn:Softmin", "softmax of -x along dim", {"dim": REQUIRED}),
    "softmax2d": ("torch.nn:Softmax2d", "probabilities over the channels at each pixel", {}),
    # embeddings
    "embedding": ("torch.nn:Embedding", "a vector for each index", {
        **_EMBEDDING, "padding_idx": None, **_MAX_NORM, "sparse": False, "_weight": None, "_freeze": False,
        **_FACTORY}),
    "embedding_bag": ("torch.nn:EmbeddingBag", "sum or mean of the vectors of a bag", {
        **_EMBEDDING, **_MAX_NORM, "mode": "mean", "sparse": False, "_weight": None, "include_last_offset": False,
        "padding_idx": None, **_FACTORY}),
    # attention and transformers
    "multihead_attention": ("torch.nn:MultiheadAttention", "torch's own; a True in a mask means: ignore", {
        "embed_dim": REQUIRED, "num_heads": REQUIRED, "dropout": 0.0, "bias": True, "add_bias_kv": False,
        "add_zero_attn": False, "kdim": None, "vdim": None, "batch_first": False, **_FACTORY}),
    "transformer_encoder_layer": ("torch.nn:TransformerEncoderLayer", "torch's encoder block", _BLOCK),
    "transformer_decoder_layer": ("torch.nn:TransformerDecoderLayer", "torch's decoder block", _BLOCK),
    "transformer_encoder": ("torch.nn:TransformerEncoder", "a stack of torch's encoder blocks", {
        "encoder_layer": REQUIRED, "num_layers": REQUIRED, "norm": None, "enable_nested_tensor": True,
        "mask_check": True}),
    "transformer_decoder": ("torch.nn:TransformerDecoder", "a stack of torch's decoder blocks", {
        "decoder_layer": REQUIRED, "num_layers": REQUIRED, "norm": None}),
    "transformer": ("torch.nn:Transformer", "torch's encoder-decoder, without embeddings and output", {
        "d_model": 512, "nhead": 8, "num_encoder_layers": 6, "num_decoder_layers": 6, "dim_feedforward": 2048,
        "dropout": 0.1, "activation": "relu", "custom_encoder": None, "custom_decoder": None, **_TRANSFORMER,
        **_FACTORY}),
    # shape and size
    "flatten": ("torch.nn:Flatten", "several dimensions as one", {"start_dim": 1, "end_dim": -1}),
    "unflatten": ("torch.nn:Unflatten", "one dimension as several", {"dim": REQUIRED, "unflattened_size": REQUIRED}),
    "pixel_shuffle": ("torch.nn:PixelShuffle", "channels to space", {"upscale_factor": REQUIRED}),
    "pixel_unshuffle": ("torch.nn:PixelUnshuffle", "space to channels", {"downscale_factor": REQUIRED}),
    "channel_shuffle": ("torch.nn:ChannelShuffle", "channels interleaved between groups", {"groups": REQUIRED}),
    "upsample": ("torch.nn:Upsample", "resizing by interpolation", {
        "size": None, "scale_factor": None, "mode": "nearest", "align_corners": None,
        "recompute_scale_factor": None}),
    "upsampling_nearest2d": ("torch.nn:UpsamplingNearest2d", "resizing, nearest", {
        "size": None, "scale_factor": None}),
    "upsampling_bilinear2d": ("torch.nn:UpsamplingBilinear2d", "resizing, bilinear with aligned corners", {
        "size": None, "scale_factor": None}),
    # comparison
    "cosine_similarity": ("torch.nn:CosineSimilarity", "cosine between two inputs", {"dim": 1, "eps": 1e-8}),
    "pairwise_distance": ("torch.nn:PairwiseDistance", "p-norm of the difference of two inputs", {
        "p": 2.0, "eps": 1e-6, "keepdim": False}),
}  # fmt: skip

TORCHVISION: dict[str, Row] = {
    "drop_path": ("torchvision.ops:StochasticDepth", "zeroes a residual branch, for each sample or the batch", {
        "p": REQUIRED, "mode": REQUIRED}),
    "drop_block2d": ("torchvision.ops:DropBlock2d", "zeroes square regions", _DROP_BLOCK),
    "drop_block3d": ("torchvision.ops:DropBlock3d", "zeroes cubic regions", _DROP_BLOCK),
    "frozen_batch_norm2d": ("torchvision.ops:FrozenBatchNorm2d", "batch normalisation with fixed statistics", {
        "num_features": REQUIRED, "eps": 1e-5}),
    "deform_conv2d": ("torchvision.ops:DeformConv2d", "convolution at learned offsets", {
        **_IN_OUT, "kernel_size": REQUIRED, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}),
    "conv2d_norm_activation": ("torchvision.ops:Conv2dNormActivation", "convolution, norm and activation, 2d",
        _CONV_NORM),
    "conv3d_norm_activation": ("torchvision.ops:Conv3dNormActivation", "convolution, norm and activation, 3d", {
        **_CONV_NORM, "norm_layer": "batch_norm3d"}),
    "squeeze_excitation": ("torchvision.ops:SqueezeExcitation", "channels weighted by their global context", {
        "input_channels": REQUIRED, "squeeze_channels": REQUIRED, "activation": "relu",
        "scale_activation": "sigmoid"}),
    "mlp": ("torchvision.ops:MLP", "linear layers with norm, activation and dropout between", {
        "in_channels": REQUIRED, "hidden_channels": REQUIRED, "norm_layer": None, "activation_layer": "relu",
        "inplace": None, "bias": True, "dropout": 0.0}),
    "permute": ("torchvision.ops:Permute", "dimensions in another order", {"dims": REQUIRED}),
}  # fmt: skip

# Options that take a class. A string there is the registry name of one.
CLASS_OPTIONS: dict[str, tuple[str, ...]] = {
    "conv2d_norm_activation": ("norm_layer", "activation_layer"),
    "conv3d_norm_activation": ("norm_layer", "activation_layer"),
    "squeeze_excitation": ("activation", "scale_activation"),
    "mlp": ("norm_layer", "activation_layer"),
    "recurrent": ("cell",),
}
