"""Small random turns, shifts, scalings and shears, for one image or for a batch in one go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from scirs_neural.data.image.spec import UNKNOWN_PIXEL


class SmallAffine(v2.Transform):
    """torchvision's affine transform with parts of a pixel in its shifts, and a form for whole batches.

    Args:
        degrees: largest turn, either way.
        shift: largest shift as a fraction of the side, either way.
        scale: largest change of size, as a fraction, either way.
        shear: largest shear in degrees, either way.

    Source: torchvision.transforms.v2.functional.affine, whose parameters these are.

    Example:
        >>> import torch
        >>> SmallAffine(5, 0.1, 0.1, 5)(torch.zeros(1, 8, 8, dtype=torch.uint8)).shape
        torch.Size([1, 8, 8])
    """

    def __init__(self, degrees: float, shift: float, scale: float, shear: float) -> None:
        super().__init__()
        self.degrees, self.shift, self.scale, self.shear = degrees, shift, scale, shear

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw one move from torch's stream. torchvision calls it for each sample."""
        height, width = next(each.shape[-2:] for each in flat_inputs if isinstance(each, Tensor))
        turn, right, down, grow, slant = (2 * torch.rand(5, dtype=torch.float64) - 1).tolist()
        return {
            "angle": turn * self.degrees,
            "translate": [right * self.shift * width, down * self.shift * height],
            "scale": 1 + grow * self.scale,
            "shear": [slant * self.shear, 0.0],
        }

    def transform(self, sample: Any, params: dict[str, Any]) -> Any:
        """One image, mask or set of boxes. torchvision calls it. What comes into a mask from outside is unknown."""
        fill = UNKNOWN_PIXEL if isinstance(sample, tv_tensors.Mask) else None
        return v2.functional.affine(sample, **params, interpolation=InterpolationMode.BILINEAR, fill=fill)

    def many(self, images: Tensor, moves: Sequence[dict[str, Any]]) -> Tensor:
        """Each image by its own move.

        Shape: (N, C, H, W), uint8 or float32 -> the same.
        """
        height, width = images.shape[-2:]
        theta = torch.tensor([_inverse(move, height, width) for move in moves], dtype=torch.float32).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        moved = F.grid_sample(images.float(), grid, align_corners=False)
        return moved if images.is_floating_point() else moved.round_().to(images.dtype)


def _inverse(move: dict[str, Any], height: int, width: int) -> list[float]:
    """Where a place of the result, in -1..1, comes from."""
    turn, slant = math.radians(move["angle"]), math.tan(math.radians(move["shear"][0]))
    cos, sin, scale = math.cos(turn), math.sin(turn), move["scale"]
    # the move is turn @ [[1, -slant], [0, 1]] * scale, then the shift; this is its inverse, in pixels from the centre
    xx, xy = (cos - slant * sin) / scale, (sin + slant * cos) / scale
    yx, yy = -sin / scale, cos / scale
    right, down = move["translate"]
    x0, y0 = -(xx * right + xy * down), -(yx * right + yy * down)
    return [xx, xy * height / width, 2 * x0 / width, yx * width / height, yy, 2 * y0 / height]
