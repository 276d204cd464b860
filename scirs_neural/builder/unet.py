"""U-Net, written as a list of layers with named taps."""

from __future__ import annotations

from typing import Any

from scirs_neural.builder.sequential import Sequential
from scirs_neural.core.errors import ConfigError


def unet(
    num_classes: int = 2,
    in_channels: int = 1,
    input_size: int | tuple[int, int] = 64,
    *,
    width: int = 32,
    depth: int = 4,
    dropout: float = 0.0,
) -> Sequential:
    """An encoder and a decoder of ``depth`` levels, each level of the one joined to that of the other.

    A level is two 3x3 convolutions with BatchNorm and ReLU. On the way down channels double and sides halve; on the
    way up each map is enlarged to the size of its level's, odd sizes too, so any size from ``2 ** (depth - 1)`` px up
    fits, also others than it was built for.

    Args:
        num_classes: logits of each pixel.
        in_channels: of the picture.
        input_size: side of the picture in px, or (height, width): with which the shapes are checked.
        width: channels of the first level.
        depth: levels, at least 2.
        dropout: probability of dropping a channel of the lowest level.

    Shape: (N, in_channels, H, W) -> (N, num_classes, H, W).

    Raises:
        ConfigError: fewer than two levels, or no channels.
        ShapeError: a picture too small for so many levels.

    Source: Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), with padded convolutions, BatchNorm
        (arXiv:1502.03167) and enlarging by the nearest pixel before a convolution.

    Example:
        >>> import torch
        >>> net = unet(num_classes=3, width=4, depth=3)
        >>> net(torch.zeros(2, 1, 33, 21)).shape
        torch.Size([2, 3, 33, 21])
    """
    if depth < 2 or width < 1:
        raise ConfigError(f"unet needs depth of at least 2 and width of at least 1, not depth={depth}, width={width}")
    levels = [f"level{index}" for index in range(depth)]
    layers: list[Any] = []
    for index, level in enumerate(levels):
        layers += [{"max_pool2d": 2}] if index else []
        layers.append({"sequential": _twice(width * 2**index), "as": level})
    if dropout:
        layers.append({"dropout2d": dropout})
    for index, level in reversed(list(enumerate(levels[:-1]))):
        channels = width * 2**index
        layers += [
            {"resize_as": None, "with": level},
            {"conv2d": {"out_channels": channels, "kernel_size": 3, "padding": 1}},
            {"concat": None, "with": level},
            {"sequential": _twice(channels), "as": f"up{index}"},
        ]
    height, width_px = (input_size, input_size) if isinstance(input_size, int) else input_size
    return Sequential(
        [*layers, {"conv2d": {"out_channels": num_classes, "kernel_size": 1}, "as": "head"}],
        (in_channels, height, width_px),
        where="unet",
    )


def _twice(channels: int) -> list[Any]:
    conv = {"conv2d": {"out_channels": channels, "kernel_size": 3, "padding": 1, "bias": False}}
    return [conv, "batch_norm2d", "relu"] * 2
