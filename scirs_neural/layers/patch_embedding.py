"""Images as sequences of patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers.shapes import check_shape


class PatchEmbedding(nn.Module):
    """Cuts an image into patches and projects each by one linear map (a convolution whose stride is its kernel).

    Args:
        patch_size: P, one side or (height, width), in px.
        in_channels: C.
        embed_dim: E.
        bias: whether the projection has one.
        odd_sizes: what to do when a side is no multiple of the patch's: "refuse", or "pad" with zeros on the right
            and below.
        flatten: tokens in a row, or a map.

    Shape: (N, C, H, W) -> (N, (H/P) (W/P), E), or (N, E, H/P, W/P) unless `flatten`

    Raises:
        ShapeError: another number of channels, or odd sizes where they are refused.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.1.

    Example:
        >>> import torch
        >>> PatchEmbedding(16, embed_dim=8)(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 6, 8])
        >>> PatchEmbedding(16, embed_dim=8)(torch.zeros(1, 3, 32, 50))
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ShapeError: PatchEmbedding expects sizes in multiples of (16, 16), received (32, 50)
          fix    resize the image, or say odd_sizes="pad"
    """

    def __init__(
        self,
        patch_size: int | Sequence[int],
        in_channels: int = 3,
        embed_dim: int = 768,
        bias: bool = True,
        odd_sizes: str = "refuse",
        flatten: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if odd_sizes not in ("refuse", "pad"):
            raise ConfigError(f"odd_sizes is 'refuse' or 'pad', got '{odd_sizes}'")
        height, width = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        self.patch_size = (height, width)
        self.odd_sizes, self.flatten = odd_sizes, flatten
        self.projection = nn.Conv2d(
            in_channels, embed_dim, self.patch_size, self.patch_size, bias=bias, device=device, dtype=dtype
        )

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches that an image of this size gives."""
        return -(-height // self.patch_size[0]), -(-width // self.patch_size[1])

    def forward(self, x: Tensor) -> Tensor:
        """The embedded patches, row by row."""
        check_shape("PatchEmbedding", x, "N C H W", {1: self.projection.in_channels})
        height, width = x.shape[2:]
        below, right = -height % self.patch_size[0], -width % self.patch_size[1]
        if below or right:
            if self.odd_sizes == "refuse":
                raise ShapeError(
                    f"PatchEmbedding expects sizes in multiples of {self.patch_size}, received ({height}, {width})",
                    fix='resize the image, or say odd_sizes="pad"',
                )
            x = F.pad(x, (0, right, 0, below))
        y: Tensor = self.projection(x)
        return y.flatten(2).transpose(1, 2) if self.flatten else y
