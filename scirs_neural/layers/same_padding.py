"""Convolution and pooling whose output size is ceil(input / stride), for every kernel, stride and dilation.

torch's ``padding="same"`` refuses strides and pads even kernels through an extra copy with a warning. Here the padding
is computed from the input's size, the odd element goes to the end (TensorFlow's rule), and

- convolution pads with what ``padding_mode`` says,
- max pooling pads with minus infinity, so the padding never wins,
- average pooling divides by the real elements, or with ``count_include_pad=True`` by the whole window.

Source: the rule is TensorFlow's "SAME" (tf.nn.convolution, "Notes on padding").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.shapes import check_shape

Size = int | Sequence[int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
_LETTERS = {1: "N C L", 2: "N C H W", 3: "N C D H W"}
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def same_pads(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after one dimension so that the output has ceil(size / stride) elements.

    Example:
        >>> same_pads(8, kernel=3), same_pads(8, kernel=4), same_pads(7, kernel=3, stride=2)
        ((1, 1), (1, 2), (1, 1))
    """
    total = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
    total = max(total, 0)
    return total // 2, total - total // 2


def _pads(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """The padding of all spatial dimensions in the order of `torch.nn.functional.pad`: last dimension first."""
    pads: list[int] = []
    for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        pads = [*same_pads(size, k, s, d), *pads]
    return pads


def _tuple(value: Size, dims: int) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims or min(values) < 1:
        raise ConfigError(f"expected one size or {dims} sizes of at least 1, got {value}")
    return values


class _SameConv(nn.Module):
    """The forward of the three convolutions below; their parameters and names are torch's."""

    dims: int
    weight: Tensor
    bias: Tensor | None
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    in_channels: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(  # torch's convolution, which comes next in each class below
            in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, padding_mode, device, dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pad what the input's size asks for, then convolve."""
        check_shape(type(self).__name__, x, _LETTERS[self.dims], {1: self.in_channels})
        pads = _pads(x, self.kernel_size, self.stride, self.dilation)
        if any(pads):
            x = F.pad(x, pads, mode="constant" if self.padding_mode == "zeros" else self.padding_mode)
        y: Tensor = _CONV[self.dims](x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return y


class SameConv1d(_SameConv, nn.Conv1d):
    """`torch.nn.Conv1d` with an output of ceil(L / stride). Its state dict is torch's.

    Shape: (N, C, L) -> (N, C', ceil(L / stride))

    Raises:
        ShapeError: the input has another number of dimensions or channels.

    Example:
        >>> SameConv1d(2, 4, kernel_size=4)(torch.zeros(1, 2, 7)).shape
        torch.Size([1, 4, 7])
    """

    dims = 1


class SameConv2d(_SameConv, nn.Conv2d):
    """`torch.nn.Conv2d` with an output of ceil(size / stride). Its state dict is torch's.

    Shape: (N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))

    Raises:
        ShapeError: the input has another number of dimensions or channels.
    """

    dims = 2


class SameConv3d(_SameConv, nn.Conv3d):
    """`torch.nn.Conv3d` with an output of ceil(size / stride). Its state dict is torch's.

    Shape: (N, C, D, H, W) -> (N, C', ceil(D / stride), ceil(H / stride), ceil(W / stride))

    Raises:
        ShapeError: the input has another number of dimensions or channels.
    """

    dims = 3


class _SamePool(nn.Module):
    dims: int

    def __init__(self, kernel_size: Size, stride: Size | None = None) -> None:
        super().__init__()
        self.kernel_size = _tuple(kernel_size, self.dims)
        self.stride = self.kernel_size if stride is None else _tuple(stride, self.dims)

    def _padded(self, x: Tensor, value: float) -> Tensor:
        check_shape(type(self).__name__, x, _LETTERS[self.dims])
        pads = _pads(x, self.kernel_size, self.stride, (1,) * self.dims)
        return F.pad(x, pads, value=value) if any(pads) else x

    def extra_repr(self) -> str:
        """The sizes, as torch shows them."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class _SameMaxPool(_SamePool):
    def forward(self, x: Tensor) -> Tensor:
        """The largest real value of each window."""
        lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        y: Tensor = _MAX_POOL[self.dims](self._padded(x, lowest), self.kernel_size, self.stride)
        return y


class _SameAvgPool(_SamePool):
    def __init__(self, kernel_size: Size, stride: Size | None = None, count_include_pad: bool = False) -> None:
        super().__init__(kernel_size, stride)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each window."""
        pool = _AVG_POOL[self.dims]
        y: Tensor = pool(self._padded(x, 0.0), self.kernel_size, self.stride)
        if self.count_include_pad:
            return y
        real: Tensor = pool(self._padded(torch.ones_like(x[:1, :1]), 0.0), self.kernel_size, self.stride)
        return y / real


class SameMaxPool1d(_SameMaxPool):
    """Max pooling to ceil(L / stride); the padding never wins.

    Shape: (N, C, L) -> (N, C, ceil(L / stride))

    Example:
        >>> SameMaxPool1d(2)(torch.tensor([[[-5.0, -4.0, -3.0]]]))
        tensor([[[-4., -3.]]])
    """

    dims = 1


class SameMaxPool2d(_SameMaxPool):
    """Max pooling to ceil(size / stride); the padding never wins. Shape: (N, C, H, W) -> (N, C, H', W')."""

    dims = 2


class SameMaxPool3d(_SameMaxPool):
    """Max pooling to ceil(size / stride); the padding never wins. Shape: (N, C, D, H, W) -> (N, C, D', H', W')."""

    dims = 3


class SameAvgPool1d(_SameAvgPool):
    """Mean pooling to ceil(L / stride).

    Args:
        kernel_size: elements in a window.
        stride: step between windows; None takes the kernel's size.
        count_include_pad: whether padding counts as zeros in the mean (torch's default) or not at all (ours, Keras's).

    Shape: (N, C, L) -> (N, C, ceil(L / stride))

    Example:
        >>> x = torch.tensor([[[2.0, 4.0, 6.0]]])
        >>> SameAvgPool1d(2)(x), SameAvgPool1d(2, count_include_pad=True)(x)
        (tensor([[[3., 6.]]]), tensor([[[3., 3.]]]))
    """

    dims = 1


class SameAvgPool2d(_SameAvgPool):
    """Mean pooling to ceil(size / stride); see `SameAvgPool1d`. Shape: (N, C, H, W) -> (N, C, H', W')."""

    dims = 2


class SameAvgPool3d(_SameAvgPool):
    """Mean pooling to ceil(size / stride); see `SameAvgPool1d`. Shape: (N, C, D, H, W) -> (N, C, D', H', W')."""

    dims = 3
