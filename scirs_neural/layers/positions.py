"""Where a token stands: sinusoids, learned tables (resized by interpolation), rotation, and linear biases.

Shape letters: B batch, H heads, T tokens, S keys, D features of a head, E features of the stream.
"""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers.shapes import check_shape


def sinusoid_table(length: int, dim: int, start: int = 0, base: float = 10_000.0) -> Tensor:
    """sin(t / base^(2i/dim)) at the even columns 2i, the cosine at the odd ones; rows are positions from `start`.

    Computed in float64, given in float32.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.5.

    Example:
        >>> sinusoid_table(2, 4)[1]
        tensor([0.8415, 0.5403, 0.0100, 0.9999])
    """
    times = torch.arange(start, start + length, dtype=torch.float64)[:, None]
    rates = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = times * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim].float()


class SinusoidalPositions(nn.Module):
    """Adds fixed sinusoids to a sequence. Nothing to learn, nothing in the state dict.

    Args:
        embed_dim: E.
        max_length: tokens that the table holds; longer sequences are refused.
        dropout: after the sum.

    Shape: (B, T, E) -> (B, T, E)

    Raises:
        ShapeError: another E, or more tokens than `max_length`.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.5.

    Example:
        >>> SinusoidalPositions(4)(torch.zeros(1, 2, 4))[0, 0]
        tensor([0., 1., 0., 1.])
    """

    table: Tensor

    def __init__(self, embed_dim: int, max_length: int = 4096, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid_table(max_length, embed_dim), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """The tokens with their positions; the first one stands at `start`."""
        _check_tokens(self, x, self.table, start)
        summed: Tensor = self.dropout(x + self.table[start : start + x.shape[1]].to(x.dtype))
        return summed


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position; `resized` gives the same for another length.

    Args:
        embed_dim: E.
        max_length: positions in the table.
        dropout: after the sum.

    Shape: (B, T, E) -> (B, T, E), T up to `max_length`

    Raises:
        ShapeError: another E, or more tokens than positions.

    Example:
        >>> LearnedPositions(4, max_length=8).resized(16)(torch.zeros(1, 16, 4)).shape
        torch.Size([1, 16, 4])
    """

    no_weight_decay = frozenset({"table"})

    def __init__(self, embed_dim: int, max_length: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(max_length, embed_dim))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """The tokens with their positions; the first one stands at `start`."""
        _check_tokens(self, x, self.table, start)
        summed: Tensor = self.dropout(x + self.table[start : start + x.shape[1]])
        return summed

    def resized(self, max_length: int) -> LearnedPositions:
        """A copy for another number of positions, by linear interpolation."""
        other = LearnedPositions(self.table.shape[1], max_length, self.dropout.p)
        with torch.no_grad():
            table = F.interpolate(self.table.T[None], size=max_length, mode="linear", align_corners=False)[0].T
            other.table.copy_(table)
        return other.to(self.table.device, self.table.dtype)


class LearnedPositions2d(nn.Module):
    """Adds a learned vector for each cell of a grid of patches; another grid gets the interpolated table.

    Args:
        embed_dim: E.
        grid: rows and columns of the table.
        num_prefix_tokens: leading tokens (class token, registers) with positions of their own, never interpolated.
        mode: of the interpolation: "bicubic" or "bilinear".
        dropout: after the sum.

    Shape: (B, prefix + rows * columns, E) -> the same

    Raises:
        ShapeError: another E, or a number of tokens that is not that of the grid.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.2.

    Example:
        >>> positions = LearnedPositions2d(4, grid=(14, 14), num_prefix_tokens=1)
        >>> positions(torch.zeros(1, 1 + 16 * 16, 4), grid=(16, 16)).shape
        torch.Size([1, 257, 4])
    """

    no_weight_decay = frozenset({"table"})

    def __init__(
        self,
        embed_dim: int,
        grid: Sequence[int],
        num_prefix_tokens: int = 0,
        mode: str = "bicubic",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if mode not in ("bicubic", "bilinear"):
            raise ConfigError(f"unknown interpolation '{mode}'", fix="bicubic or bilinear")
        rows, columns = grid
        self.grid = (int(rows), int(columns))
        self.num_prefix_tokens, self.mode = num_prefix_tokens, mode
        self.table = nn.Parameter(torch.empty(num_prefix_tokens + self.grid[0] * self.grid[1], embed_dim))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """The tokens with their positions, for the table's own grid or another one."""
        rows, columns = self.grid if grid is None else grid
        tokens = self.num_prefix_tokens + rows * columns
        check_shape("LearnedPositions2d", x, "B T E", {1: tokens, 2: self.table.shape[1]})
        table = self.table if (rows, columns) == self.grid else self._interpolated(rows, columns)
        summed: Tensor = self.dropout(x + table)
        return summed

    def resized(self, grid: Sequence[int]) -> LearnedPositions2d:
        """A copy whose table has another grid."""
        rows, columns = grid
        other = LearnedPositions2d(self.table.shape[1], grid, self.num_prefix_tokens, self.mode, self.dropout.p)
        with torch.no_grad():
            other.table.copy_(self._interpolated(rows, columns))
        return other.to(self.table.device, self.table.dtype)

    def _interpolated(self, rows: int, columns: int) -> Tensor:
        prefix, cells = self.table.split([self.num_prefix_tokens, self.grid[0] * self.grid[1]])
        image_1EHW = cells.T.unflatten(1, self.grid)[None]
        resized = F.interpolate(image_1EHW, size=(rows, columns), mode=self.mode, align_corners=False)
        return torch.cat([prefix, resized[0].flatten(1).T])


class RotaryPositions(nn.Module):
    """Turns queries or keys by an angle that grows with position, so that scores depend on distance alone.

    Feature i is paired with feature i + D/2 (the pairing of GPT-NeoX and Llama). No parameters, no limit of length.

    Args:
        head_dim: D, even.
        base: of the geometric row of rates.

    Shape: (B, H, T, D) -> (B, H, T, D)

    Raises:
        ConfigError: an odd D.

    Source: Su et al., "RoFormer" (2021), section 3.2.2.

    Example:
        >>> turn, q, k = RotaryPositions(8), torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
        >>> near, far = (turn(q, 5 + s) @ turn(k, 2 + s).mT for s in (0, 1000))
        >>> bool((near - far).abs().max() < 1e-3)
        True
    """

    def __init__(self, head_dim: int, base: float = 10_000.0) -> None:
        super().__init__()
        if head_dim % 2:
            raise ConfigError(f"rotary positions need an even head_dim, got {head_dim}")
        self.head_dim, self.base = head_dim, base

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """The turned features; the first token stands at `start`."""
        check_shape("RotaryPositions", x, "B H T D", {3: self.head_dim})
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32  # angles of half floats would be noise
        times = torch.arange(start, start + x.shape[2], device=x.device, dtype=exact)
        rates = self.base ** (-torch.arange(0, self.head_dim, 2, device=x.device, dtype=exact) / self.head_dim)
        angles = times[:, None] * rates
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        left, right = x.chunk(2, dim=-1)
        return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class ALiBi(nn.Module):
    """A penalty on scores that grows with distance, at a slope of its own for each head.

    Gives an additive `attention_mask` for `SelfAttention` and the like; no embedding is needed beside it.

    Args:
        num_heads: H.

    Shape: (T queries, S keys) -> (1, H, T, S); with fewer queries than keys the queries are the last ones.

    Source: Press, Smith and Lewis, "Train Short, Test Long" (2022), section 3 (slopes for other H: its appendix).

    Example:
        >>> ALiBi(8)(3, 3)[0, 0]
        tensor([[-0.0000, -0.5000, -1.0000],
                [-0.5000, -0.0000, -0.5000],
                [-1.0000, -0.5000, -0.0000]])
    """

    slopes: Tensor

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(_slopes(num_heads)), persistent=False)

    def forward(self, num_queries: int, num_keys: int) -> Tensor:
        """The biases of all heads."""
        device = self.slopes.device
        queries = torch.arange(num_keys - num_queries, num_keys, device=device)[:, None]
        distance = (queries - torch.arange(num_keys, device=device)).abs()
        return (-self.slopes[:, None, None] * distance)[None]


def _slopes(num_heads: int) -> list[float]:
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    between = [2.0 ** (-4.0 * (i + 1) / power) for i in range(0, 2 * power, 2)]
    return slopes + between[: num_heads - power]


def _check_tokens(layer: nn.Module, x: Tensor, table: Tensor, start: int) -> None:
    name = type(layer).__name__
    check_shape(name, x, "B T E", {2: table.shape[1]})
    if start + x.shape[1] > table.shape[0]:
        raise ShapeError(f"{name} holds {table.shape[0]} positions, received tokens up to {start + x.shape[1]}")
