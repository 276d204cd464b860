"""A linear layer with its activation and initialisation in one spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.near import near_names
from scirs_neural.layers.spec import build_layer

# torch.nn.init functions that take nothing but the weight
_INITS = (
    "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "trunc_normal", "normal",
    "uniform", "zeros", "ones", "eye",
)  # fmt: skip


class Dense(nn.Module):
    """`torch.nn.Linear` followed by an activation; the input width is taken from the first input if not given.

    Args:
        out_features: width of the output.
        in_features: width of the input; None infers it.
        activation: registry name, class or module; None is linear.
        bias: whether there is one.
        init: name of a function of `torch.nn.init` without its underscore for the weight (the bias is then zero); None
            keeps torch's own initialisation. Needs `in_features`.

    Shape: (*, in_features) -> (*, out_features)

    Raises:
        ConfigError: an unknown `init`, or one without `in_features`.

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
        self.linear: nn.Linear = (
            nn.LazyLinear(out_features, bias, device, dtype)
            if in_features is None
            else nn.Linear(in_features, out_features, bias, device, dtype)
        )
        self.activation = nn.Identity() if activation is None else build_layer(activation)
        if init is not None:
            if init not in _INITS:
                raise ConfigError(f"unknown init '{init}'", near=near_names(init, _INITS))
            if in_features is None:
                raise ConfigError(f"init '{init}' needs in_features", fix="give in_features, or leave init out")
            getattr(nn.init, f"{init}_")(self.linear.weight)
            if bias:
                nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The activation of W x + b."""
        y: Tensor = self.activation(self.linear(x))
        return y
