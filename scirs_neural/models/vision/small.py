"""Two small networks of ours, for small pictures and quick trials."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import nn

from scirs_neural.core.errors import ConfigError


def cnn(
    num_classes: int = 10, in_channels: int = 1, *, depth: int = 3, width: int = 32, dropout: float = 0.0
) -> nn.Sequential:
    """A plain convolutional network for small pictures.

    Stages of two 3x3 convolutions, each with BatchNorm and ReLU. The channels double from stage to stage, and a 2x2
    max-pool halves the sides between stages; the last map is averaged over its pixels, so any size that survives the
    halvings fits.

    Args:
        num_classes: logits given out.
        in_channels: of the picture.
        depth: stages; the sides shrink by ``2 ** (depth - 1)``, so 8 px take up to 4.
        width: channels of the first stage.
        dropout: fraction of the features dropped before the head; worth 0.2 to 0.5 when there is little data.

    Shape: (N, in_channels, H, W) -> (N, num_classes); H and W at least ``2 ** (depth - 1)``.

    Source: ours; the shape of VGG (arXiv:1409.1556) with BatchNorm (arXiv:1502.03167) and the averaged head of
        Network in Network (arXiv:1312.4400).

    Example:
        >>> import torch
        >>> cnn(depth=2, width=8)(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 10])
    """
    if depth < 1 or width < 1:
        raise ConfigError(f"cnn needs depth and width of at least 1, not depth={depth}, width={width}")
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    channels = in_channels
    for index in range(depth):
        out = width * 2**index
        pool = [nn.MaxPool2d(2)] if index else []
        stages[f"stage{index + 1}"] = nn.Sequential(*pool, *_conv(channels, out), *_conv(out, out))
        channels = out
    stages["pool"] = nn.AdaptiveAvgPool2d(1)
    stages["flatten"] = nn.Flatten()
    stages["dropout"] = nn.Dropout(dropout)
    stages["head"] = nn.Linear(channels, num_classes)
    return nn.Sequential(stages)


def mlp(
    num_classes: int = 10,
    in_channels: int = 1,
    input_size: int | tuple[int, int] = 8,
    *,
    hidden: Sequence[int] = (256, 128),
    dropout: float = 0.0,
) -> nn.Sequential:
    """A multi-layer perceptron on the flattened picture.

    Args:
        num_classes: logits given out.
        in_channels: of the picture.
        input_size: side of the picture in px, or (height, width).
        hidden: units of each hidden layer; empty makes it a linear model.
        dropout: fraction of each hidden layer's output dropped.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Source: ours, the textbook's.

    Example:
        >>> import torch
        >>> mlp(hidden=[32])(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 10])
    """
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    sizes = [prod((in_channels, height, width)), *hidden]
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        layers[f"hidden{index}"] = nn.Sequential(nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(dropout))
    layers["head"] = nn.Linear(sizes[-1], num_classes)
    return nn.Sequential(layers)


def _conv(in_channels: int, out_channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]
