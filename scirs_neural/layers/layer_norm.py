"""Layer normalisation of channels-first maps."""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.layers.shapes import check_shape


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels at each pixel; its state dict is `torch.nn.LayerNorm`'s.

    Shape: (N, C, H, W) -> (N, C, H, W)

    Source: Liu et al., "A ConvNet for the 2020s" (2022); equals torchvision.models.convnext.LayerNorm2d.

    Example:
        >>> import torch
        >>> y = LayerNorm2d(8)(torch.randn(2, 8, 5, 5))
        >>> bool(y.mean(dim=1).abs().max() < 1e-6)
        True
    """

    def forward(self, x: Tensor) -> Tensor:
        """The normalised map."""
        check_shape("LayerNorm2d", x, "N C H W", {1: self.normalized_shape[0]})
        y_NHWC = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return y_NHWC.permute(0, 3, 1, 2)
