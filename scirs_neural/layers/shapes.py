"""Shape checks with one kind of answer: which layer, what it expects, what it got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scirs_neural.core.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor


def check_shape(layer: str, x: Tensor, legend: str, sizes: Mapping[int, int] | None = None) -> None:
    """Refuse an input whose number of dimensions or fixed sizes do not fit.

    Args:
        layer: how the error calls the layer.
        x: the input.
        legend: the expected dimensions by letter, such as ``"N C H W"``; a trailing ``*`` stands for one or more.
        sizes: dimension index to the size that it must have; negative indices count from the end.

    Raises:
        ShapeError: with the layer, the expected and the received shape.

    Example:
        >>> import torch
        >>> check_shape("PatchEmbedding", torch.zeros(2, 3, 8), "N C H W", {1: 3})
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ShapeError: PatchEmbedding expects (N, C=3, H, W), received (2, 3, 8)
    """
    letters = legend.split()
    open_ended = letters[-1] == "*"
    fits = x.dim() >= len(letters) if open_ended else x.dim() == len(letters)
    for index, size in (sizes or {}).items():
        fits = fits and x.shape[index] == size
    if not fits:
        for index, size in (sizes or {}).items():
            letters[index] = f"{letters[index]}={size}"
        expected, received = ", ".join(letters), ", ".join(str(int(s)) for s in x.shape)
        raise ShapeError(f"{layer} expects ({expected}), received ({received})")
