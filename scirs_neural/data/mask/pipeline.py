"""A picture and its mask, which move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.image.spec import UNKNOWN_PIXEL
from scirs_neural.data.mask.field import MaskField
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec


class ImageMaskPipeline(Pipeline):
    """One picture and one mask a sample: what augmentation and resizing do to the one, they do to the other.

    Masks are resized by the nearest pixel, and where a move uncovers a border they are unknown (255).
    """

    def __init__(self, spec: DataSpec, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(spec, settings)
        (self._image,), (self._mask,) = self.inputs, self.targets

    def encode(self, raw: Mapping[str, Any], *, targets: bool = False) -> dict[str, Any]:
        """See `Pipeline.encode`; picture and mask must have one size."""
        row = super().encode(raw, targets=targets)
        mask = row.get(self._mask)
        if mask is not None and mask.shape != row[self._image].shape[-2:]:
            height, width = row[self._image].shape[-2:]
            raise DataError(
                f"the mask has {mask.shape[0]}x{mask.shape[1]} px and its picture {height}x{width}",
                where=str(raw["id"]),
            )
        return row

    def batch(self, ids: Sequence[str], columns: Mapping[str, Any], ctx: Context, keys: Sequence[int]) -> Batch:
        """See `Pipeline.batch`."""
        if self._mask not in columns or not ids:
            return super().batch(ids, columns, ctx, keys)
        import torch
        from torchvision import tv_tensors

        pictures = columns[self._image]
        masks = [
            np.full(picture.shape[-2:], UNKNOWN_PIXEL, np.uint8) if mask is None else mask
            for picture, mask in zip(pictures, columns[self._mask], strict=True)
        ]
        field: Any = self.inputs[self._image]
        images, moved = field.collate_with(pictures, [tv_tensors.Mask(mask) for mask in masks], ctx, keys)
        others = {name: values for name, values in columns.items() if name not in (self._image, self._mask)}
        batch = super().batch(ids, others, ctx, keys)
        return {
            **batch,
            self._image: images,
            self._mask: torch.stack([mask.as_subclass(torch.Tensor) for mask in moved]),
        }

    def example(self, n: int = 2) -> Batch:
        """See `Pipeline.example`; the mask has its picture's size."""
        batch, masks = super().example(n), self.targets[self._mask]
        assert isinstance(masks, MaskField)
        return {**batch, self._mask: masks.example_of(n, *batch[self._image].shape[-2:])}
