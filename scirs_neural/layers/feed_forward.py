"""The position-wise half of a transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from scirs_neural.layers.spec import build_layer

GATED = ("glu", "reglu", "geglu", "swiglu")


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear. With a gated activation the first linear layer is twice as wide.

    Args:
        embed_dim: E.
        hidden_dim: width after the activation; None is 4 E.
        activation: registry name, class or module; "glu", "reglu", "geglu" and "swiglu" are the gated ones.
        dropout: after the activation.
        bias: whether the linear layers have one.

    Shape: (*, E) -> (*, E)

    Source: Vaswani et al. (2017), section 3.3; gated: Shazeer, "GLU Variants Improve Transformer" (2020).

    Example:
        >>> layer = FeedForward(4, hidden_dim=6, activation="swiglu", bias=False)
        >>> layer.up.weight.shape, layer.down.weight.shape
        (torch.Size([12, 4]), torch.Size([4, 6]))
    """

    def __init__(
        self,
        embed_dim: int,
        hidden_dim: int | None = None,
        activation: str | nn.Module | Callable[[], nn.Module] = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        width = 2 * hidden_dim if activation in GATED else hidden_dim
        self.up = nn.Linear(embed_dim, width, bias, device, dtype)
        self.activation = build_layer(activation)
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(hidden_dim, embed_dim, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Each token by itself."""
        y: Tensor = self.down(self.dropout(self.activation(self.up(x))))
        return y
