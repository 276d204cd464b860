"""One split as users see it: inputs and targets by index, without augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from scirs_neural.data.image.preprocess import Preprocessor
from scirs_neural.data.samples import Samples, TensorSamples


class ImageSplit(Dataset[tuple[Tensor, Tensor]]):
    """The samples of one split, as the model sees them in evaluation.

    ``ids[i]`` names sample i (its file, or its place in the source) and ``targets[i]`` is its label, so predictions of
    an evaluation loader, which keeps this order, can be joined to them.

    Shape: an item is ((C, H, W) float32, () int64 or (K,) float32).
    """

    def __init__(self, samples: Samples, to_input: Preprocessor) -> None:
        self.samples, self.to_input = samples, to_input

    @property
    def ids(self) -> Sequence[Any]:
        """What names each sample."""
        return self.samples.ids

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """What else is known of each sample, by name."""
        return self.samples.columns

    @property
    def targets(self) -> Tensor:
        """All targets: (N,) int64, or (N, K) float32 for several labels a sample."""
        return self.samples.targets

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.to_input(self.raw(index % len(self))), self.targets[index]

    def raw(self, index: int) -> Tensor:
        """The image before scaling and normalising: (channels, height, width), uint8 or float32 on 0..1."""
        return self.to_input.to_tensor(self.samples.image(index))

    def picture(self, index: int) -> Image.Image:
        """The image for people to look at."""
        from torchvision.transforms.v2.functional import to_pil_image

        return to_pil_image(self.raw(index))

    def stacked(self, indices: Sequence[int]) -> Tensor | None:
        """Raw images of many samples in one tensor, if they are in memory; else None."""
        if not isinstance(self.samples, TensorSamples):
            return None
        return self.to_input.to_tensor(self.samples.images[torch.as_tensor(indices, dtype=torch.int64)])
