"""A linear layer with its activation and initialisation in one spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.layers.spec import build_layer

# torch.nn.init functions that take nothing but the weight
_INITS = (
    "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "trunc_normal", "normal",
    "uniform", "zeros", "ones", "eye",
)  # fmt: skip


def _draw(linear: nn.Linear, init: str | None) -> None:
    """Draw the weight anew as `init` says, with a bias of zero; None leaves torch's own."""
    if init is None:
        return
    getattr(nn.init, f"{init}_")(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


class _LazyLinear(nn.LazyLinear):
    """Draws its weight by `init` once the first input has told its width. It becomes a plain `nn.Linear`."""

    init: str | None = None

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if not self.has_uninitialized_params() and self.in_features:
            _draw(self, self.init)


class Dense(nn.Module):
    """`torch.nn.Linear` followed by an activation; the input width is taken from the first input if not given.

    Args:
        out_features: width of the output.
        in_features: width of the input; None infers it.
        activation: registry name, class or module; None is linear.
        bias: whether there is one.
        init: name of a function of `torch.nn.init` without its underscore for the weight (the bias is then zero); None
            keeps torch's own initialisation.

    Shape: (*, in_features) -> (*, out_features)

    Raises:
        ConfigError: an unknown `init`.

    Example:
        >>> import torch
        >>> Dense(3, activation="relu")(torch.zeros(2, 64)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        out_features: int,
        in_features: int | None = None,
        activation: str | nn.Module | Callable[[], nn.Module] | None = None,
        bias: bool = True,
        init: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if init is not None and init not in _INITS:
            raise ConfigError(f"unknown init '{init}'", suggestions=did_you_mean(init, _INITS))
        if in_features is not None:
            self.linear = nn.Linear(in_features, out_features, bias, device, dtype)
            _draw(self.linear, init)
        else:
            self.linear = _LazyLinear(out_features, bias, device, dtype)
            self.linear.init = init
        self.activation = nn.Identity() if activation is None else build_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        """The activation of W x + b."""
        y: Tensor = self.activation(self.linear(x))
        return y
