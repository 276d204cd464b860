"""A multi-layer perceptron that learns a vector for each category."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ShapeError
from scirs_neural.models.vision.small import mlp


class TabularMLP(nn.Module):
    """Numbers and embedded categories, joined and fed to `mlp`.

    Rows are as ``data.categories=embed`` gives them: a category is its place counted from 1, 0 stands for one that is
    not known and is embedded as zeros.

    Args:
        num_classes: outputs.
        in_channels: numbers a row, categories too.
        category_sizes: (place in the row, number of categories) of each column of categories; the data gives them.
        embed_dim: of every category's vector; None: ``1.6 * categories ** 0.56``, at most 600.
        hidden: units of each hidden layer.
        dropout: fraction of each hidden layer's output dropped.

    Shape: (N, in_channels) -> (N, num_classes).

    Source: entity embeddings (arXiv:1604.06737); their size as fastai chooses it.

    Example:
        >>> net = TabularMLP(2, 3, category_sizes=[[1, 4]], embed_dim=5)
        >>> net(torch.tensor([[0.3, 4.0, -1.0], [0.1, 0.0, 2.0]])).shape, net.body.hidden1[0].in_features
        (torch.Size([2, 2]), 7)
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_channels: int = 1,
        *,
        category_sizes: Sequence[Sequence[int]] = (),
        embed_dim: int | None = None,
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [(int(place), int(levels)) for place, levels in category_sizes]
        if any(not 0 <= place < in_channels for place, _ in sizes):
            raise ShapeError(f"category_sizes {sizes} do not fit rows of {in_channels} numbers")
        self.places = [place for place, _ in sizes]
        self.numbers = [place for place in range(in_channels) if place not in self.places]
        widths = [embed_dim or min(600, round(1.6 * levels**0.56)) for _, levels in sizes]
        self.embeddings = nn.ModuleList(
            nn.Embedding(levels + 1, width, padding_idx=0) for (_, levels), width in zip(sizes, widths, strict=True)
        )
        self.most_levels = max((levels for _, levels in sizes), default=0)
        self.body = mlp(num_classes, len(self.numbers) + sum(widths), (1, 1), hidden=hidden, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of rows.

        Raises:
            ShapeError: the rows are in a type that cannot count so many categories.
        """
        if self.most_levels >= 2 / torch.finfo(x.dtype).eps:
            raise ShapeError(f"{x.dtype} cannot count {self.most_levels} categories", fix="trainer.precision=16-mixed")
        vectors = [embed(x[:, place].long()) for place, embed in zip(self.places, self.embeddings, strict=True)]
        joined: Tensor = self.body(torch.cat([x[:, self.numbers], *vectors], dim=1))
        return joined
