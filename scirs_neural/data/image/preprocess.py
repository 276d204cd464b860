"""From an image to the model's input, by the data's own description alone: the same in training and everywhere else."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from scirs_neural.core.errors import ShapeError
from scirs_neural.data.image.image_file import to_mode
from scirs_neural.data.image.spec import Preprocess


class Preprocessor:
    """Channels, size and scale of one image or a batch: from an image to a model's input.

    Everything is done on 8-bit tensors, whether the image came as a file or as a tensor, so that both give the same
    numbers.

    Shape: an image, or (..., C, H, W) -> (..., channels, *size), float32.

    Example:
        >>> import torch
        >>> to_input = Preprocessor(Preprocess(1, (32, 32), None, "bilinear", (0.5,), (0.25,)))
        >>> to_input(torch.full((1, 8, 8), 255, dtype=torch.uint8)).unique()
        tensor([2.])
    """

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self._mean = torch.tensor(preprocess.mean).view(-1, 1, 1)
        self._std = torch.tensor(preprocess.std).view(-1, 1, 1)
        self._interpolation = InterpolationMode(preprocess.interpolation)

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """All three steps."""
        return self.normalise(self.fit(self.to_tensor(image)))

    def to_tensor(self, image: Image.Image | Tensor) -> Tensor:
        """The image as a tensor with the right number of channels.

        Raises:
            ShapeError: a tensor that has neither 1 nor 3 channels, or not at least three dimensions.
        """
        wanted = self.preprocess.channels
        if isinstance(image, Image.Image):
            return tvf.pil_to_tensor(to_mode(image, wanted))
        if image.ndim < 3 or image.shape[-3] not in (1, 3):
            raise ShapeError(
                f"expected an image of shape (1 or 3, height, width), got {tuple(image.shape)}",
                fix="channels come first; a single grey image needs image[None]",
            )
        if image.shape[-3] == wanted:
            return image
        return tvf.rgb_to_grayscale(image) if wanted == 1 else image.expand(*image.shape[:-3], 3, -1, -1)

    def fit(self, image: Tensor) -> Tensor:
        """The image at the right size: scaled, and cut to its centre where the spec says so."""
        height, width = self.preprocess.size
        if tuple(image.shape[-2:]) == (height, width) and self.preprocess.resize is None:
            return image
        if self.preprocess.resize is None:
            return tvf.resize(image, [height, width], interpolation=self._interpolation, antialias=True)
        image = tvf.resize(image, [self.preprocess.resize], interpolation=self._interpolation, antialias=True)
        return tvf.center_crop(image, [height, width])

    def normalise(self, image: Tensor) -> Tensor:
        """Numbers 0..255 (8 bits) or 0..1 (floats) to the scale on which the data has mean 0 and deviation 1."""
        return (tvf.to_dtype(image, torch.float32, scale=True) - self._mean) / self._std
