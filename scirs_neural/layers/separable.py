"""Depthwise and depthwise-separable convolution.

Source: Chollet, "Xception" (2017), section 2; `depth_multiplier` as in Keras's DepthwiseConv2D.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.same_padding import SameConv1d, SameConv2d, SameConv3d
from scirs_neural.layers.spec import build_layer, build_norm

_CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_SAME: dict[int, type[nn.Module]] = {1: SameConv1d, 2: SameConv2d, 3: SameConv3d}


def depthwise_conv(
    dims: int,
    channels: int,
    kernel_size: Any,
    depth_multiplier: int = 1,
    stride: Any = 1,
    padding: Any = "same",
    dilation: Any = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """A convolution in which each channel has its own `depth_multiplier` kernels.

    It is torch's convolution with ``groups=channels`` (or ours, for ``padding="same"``), so whatever knows those
    (pruning, quantization, export) knows this.

    Args:
        dims: 1, 2 or 3.
        channels: input channels; the output has channels * depth_multiplier, those of one input channel together.
        kernel_size: as in torch.
        depth_multiplier: kernels for each channel.
        stride: as in torch.
        padding: "same" (output ceil(size / stride)), "valid", or a size as in torch.
        dilation: as in torch.
        bias: whether there is one.
        padding_mode: as in torch.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, *) -> (N, C * depth_multiplier, *)

    Raises:
        ConfigError: a depth multiplier below 1.

    Example:
        >>> conv = depthwise_conv(2, 3, 3, depth_multiplier=2)
        >>> conv.out_channels, conv.groups, tuple(conv.weight.shape)
        (6, 3, (6, 1, 3, 3))
    """
    if depth_multiplier < 1:
        raise ConfigError(f"depth_multiplier must be at least 1, got {depth_multiplier}")
    options: dict[str, Any] = {
        "stride": stride, "dilation": dilation, "groups": channels, "bias": bias, "padding_mode": padding_mode,
        "device": device, "dtype": dtype,
    }  # fmt: skip
    if padding == "same":
        return _SAME[dims](channels, channels * depth_multiplier, kernel_size, **options)
    return _CONV[dims](channels, channels * depth_multiplier, kernel_size, padding=padding, **options)


depthwise_conv1d = partial(depthwise_conv, 1)
depthwise_conv2d = partial(depthwise_conv, 2)
depthwise_conv3d = partial(depthwise_conv, 3)


class _SeparableConv(nn.Module):
    dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = "same",
        dilation: Any = 1,
        bias: bool = True,
        depth_multiplier: int = 1,
        norm: str | Callable[[int], nn.Module] | None = None,
        activation: str | Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        middle = in_channels * depth_multiplier
        self.depthwise = depthwise_conv(
            self.dims,
            in_channels,
            kernel_size,
            depth_multiplier=depth_multiplier,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias and norm is None and activation is not None,  # elsewhere the next step makes it idle
        )
        self.norm = nn.Identity() if norm is None else build_norm(norm, middle)
        self.activation = nn.Identity() if activation is None else build_layer(activation)
        self.pointwise = _CONV[self.dims](middle, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Each channel by itself, then all channels at each place."""
        y: Tensor = self.pointwise(self.activation(self.norm(self.depthwise(x))))
        return y


class SeparableConv1d(_SeparableConv):
    """A depthwise convolution, then one of size 1 across channels, with an optional norm and activation between.

    Args:
        in_channels: channels C of the input.
        out_channels: channels D of the output.
        kernel_size: of the depthwise part.
        stride: of the depthwise part.
        padding: "same" (output ceil(size / stride)), "valid", or a size as in torch.
        dilation: of the depthwise part.
        bias: of the pointwise part. The depthwise part has one only before an activation without norm: elsewhere the
            next linear step makes it redundant.
        depth_multiplier: kernels for each input channel.
        norm: registry name, or function of the channels, of a normalisation after the depthwise part.
        activation: registry name or class of what follows the norm.

    Shape: (N, C, L) -> (N, D, L')

    Example:
        >>> layer = SeparableConv1d(4, 8, kernel_size=3, bias=False)
        >>> sum(p.numel() for p in layer.parameters()) == 3 * 4 + 4 * 8
        True
    """

    dims = 1


class SeparableConv2d(_SeparableConv):
    """Depthwise-separable convolution over images, k * k * C + C * D weights; arguments as in `SeparableConv1d`.

    Shape: (N, C, H, W) -> (N, D, H', W')
    """

    dims = 2


class SeparableConv3d(_SeparableConv):
    """Depthwise-separable convolution over volumes; arguments as in `SeparableConv1d`.

    Shape: (N, C, D, H, W) -> (N, C', D', H', W')
    """

    dims = 3
