"""Activations that torch lacks: squared ReLU, learned Swish, Snake, the gated family, Padé, softmax with temperature.

Parameters of activations are shapes, not weights: `no_weight_decay` names those that an optimizer must not decay.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers.shapes import check_shape


def per_channel(parameter: Tensor, x: Tensor, dim: int) -> Tensor:
    """A vector of one value, or one for each channel, shaped to broadcast along dimension `dim` of x.

    Raises:
        ShapeError: x has another number of channels there.
    """
    if parameter.numel() == 1:
        return parameter
    if x.shape[dim] != parameter.numel():
        raise ShapeError(f"expected {parameter.numel()} channels in dimension {dim}, received {tuple(x.shape)}")
    return parameter.view([-1 if i == dim % x.dim() else 1 for i in range(x.dim())])


class SquaredReLU(nn.Module):
    """max(x, 0)^2. Shape: any.

    Source: So et al., "Primer: Searching for Efficient Transformers" (2021), section 3.

    Example:
        >>> SquaredReLU()(torch.tensor([-1.0, 3.0]))
        tensor([0., 9.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """The square of the positive part."""
        return F.relu(x).square()


class Swish(nn.Module):
    """x sigmoid(beta x) with a learned beta; beta = 1 is SiLU, 0 is x/2, large nears ReLU. Shape: any.

    Args:
        num_parameters: 1, or the number of channels for a beta each.
        beta: the value at the start.
        dim: dimension of the channels.

    Source: Ramachandran, Zoph and Le, "Searching for Activation Functions" (2017), section 4.

    Example:
        >>> x = torch.randn(3)
        >>> torch.allclose(Swish()(x), torch.nn.functional.silu(x))
        True
    """

    no_weight_decay = frozenset({"beta"})

    def __init__(self, num_parameters: int = 1, beta: float = 1.0, dim: int = 1, device: Any = None, dtype: Any = None):
        super().__init__()
        self.dim = dim
        self.beta = nn.Parameter(torch.full((num_parameters,), float(beta), device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """The gated input."""
        return x * torch.sigmoid(per_channel(self.beta, x, self.dim) * x)


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha with a learned alpha for each channel: a periodic part that extrapolates. Shape: any.

    Args:
        num_parameters: 1, or the number of channels for an alpha each.
        alpha: the value at the start, not 0; larger for faster oscillations.
        dim: dimension of the channels: 1 for maps, -1 for the output of linear layers.

    Source: Ziyin, Hartwig and Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It" (2020), eq. 3.

    Example:
        >>> Snake(alpha=2.0)(torch.zeros(2))
        tensor([0., 0.], grad_fn=<AddBackward0>)
    """

    no_weight_decay = frozenset({"alpha"})

    def __init__(
        self, num_parameters: int = 1, alpha: float = 1.0, dim: int = 1, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        if alpha == 0:
            raise ConfigError("Snake's alpha must not be 0")
        self.dim = dim
        self.alpha = nn.Parameter(torch.full((num_parameters,), float(alpha), device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """The input plus its periodic part."""
        alpha = per_channel(self.alpha, x, self.dim)
        return x + torch.sin(alpha * x).square() / alpha


class _Gated(nn.Module):
    """Halves the input along `dim`; the second half, through an activation, gates the first."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """One half gated by the other."""
        if x.shape[self.dim] % 2:
            raise ShapeError(
                f"{type(self).__name__} expects an even size in dimension {self.dim}, received {tuple(x.shape)}"
            )
        value, gate = x.chunk(2, dim=self.dim)
        return value * self._activate(gate)

    def _activate(self, gate: Tensor) -> Tensor:
        raise NotImplementedError


class ReGLU(_Gated):
    """a * relu(b), the input's halves being a and b. Shape: (*, 2D) -> (*, D).

    Source: Shazeer, "GLU Variants Improve Transformer" (2020), eq. 5.

    Example:
        >>> ReGLU()(torch.tensor([2.0, 3.0, 4.0, 1.0]))
        tensor([8., 3.])
    """

    def _activate(self, gate: Tensor) -> Tensor:
        return F.relu(gate)


class GEGLU(_Gated):
    """a * gelu(b). Shape: (*, 2D) -> (*, D). Source: Shazeer, "GLU Variants Improve Transformer" (2020), eq. 5."""

    def _activate(self, gate: Tensor) -> Tensor:
        return F.gelu(gate)


class SwiGLU(_Gated):
    """a * silu(b). Shape: (*, 2D) -> (*, D). Source: Shazeer, "GLU Variants Improve Transformer" (2020), eq. 5."""

    def _activate(self, gate: Tensor) -> Tensor:
        return F.silu(gate)


# Least-squares fits of a 5/4 Padé function to Leaky ReLU (slope 0.01) on [-3, 3]: the reference's starting point.
_PAU_NUMERATOR = (0.02996348, 0.61690165, 2.37539147, 3.06608078, 1.52474449, 0.25281987)
_PAU_DENOMINATOR = (1.19160814, 4.40811795, 0.91111034, 0.34885983)


class PAU(nn.Module):
    """A learned quotient of polynomials P(x) / (1 + |b1 x| + ... + |b4 x^4|), started near Leaky ReLU. Shape: any.

    The denominator is at least 1, so there are no poles ("safe" form).

    Source: Molina, Schramowski and Kersting, "Padé Activation Units" (2020), eq. 3, table 3.

    Example:
        >>> x = torch.linspace(-2, 2, 9)
        >>> bool((PAU()(x) - torch.nn.functional.leaky_relu(x)).abs().max() < 0.1)
        True
    """

    no_weight_decay = frozenset({"numerator", "denominator"})

    def __init__(self, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.numerator = nn.Parameter(torch.tensor(_PAU_NUMERATOR, device=device, dtype=dtype))
        self.denominator = nn.Parameter(torch.tensor(_PAU_DENOMINATOR, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """The quotient."""
        above = self.numerator[-1].expand_as(x)
        for i in range(self.numerator.numel() - 2, -1, -1):
            above = above * x + self.numerator[i]
        below, size = torch.ones_like(x), x.abs()
        power = torch.ones_like(x)
        for i in range(self.denominator.numel()):
            power = power * size
            below = below + self.denominator[i].abs() * power
        return above / below


class TemperatureSoftmax(nn.Module):
    """softmax(x / temperature) along `dim`: above 1 softer, below 1 sharper. Shape: any.

    Args:
        dim: dimension that sums to 1.
        temperature: above 0.
        learnable: whether the temperature is a parameter (kept as its logarithm, so it stays above 0).
        log: give log-probabilities.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), eq. 1.

    Example:
        >>> TemperatureSoftmax(dim=-1, temperature=1e6)(torch.tensor([0.0, 5.0]))
        tensor([0.5000, 0.5000])
    """

    no_weight_decay = frozenset({"log_temperature"})

    def __init__(self, dim: int, temperature: float = 1.0, learnable: bool = False, log: bool = False) -> None:
        super().__init__()
        if temperature <= 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}")
        self.dim, self.log = dim, log
        log_temperature = torch.tensor(float(temperature)).log()
        self.log_temperature: Tensor
        if learnable:
            self.log_temperature = nn.Parameter(log_temperature)
        else:
            self.register_buffer("log_temperature", log_temperature)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities, or their logarithms."""
        check_shape("TemperatureSoftmax", x, "*")
        scaled = x / self.log_temperature.exp()
        return scaled.log_softmax(self.dim) if self.log else scaled.softmax(self.dim)
