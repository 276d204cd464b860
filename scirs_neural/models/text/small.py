"""Two small networks for texts.

Both take token numbers alone and find the padding in them, so that padding changes no answer and an exported network
has one input. Shape letters: N texts, T tokens, E features of a token, H of a direction.
"""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.bidirectional import reverse_sequences

POOLINGS = ("max", "mean", "last")


class BagOfEmbeddings(nn.Module):
    """The mean of the tokens' embeddings, and a multi-layer perceptron on it. The order of words does not matter.

    Args:
        vocab_size: different tokens, padding included.
        padding_idx: the token that counts for nothing.
        num_classes: logits given out.
        embed_dim: features of a token.
        hidden: units of each hidden layer; empty makes the network linear in the mean.
        dropout: probability of dropping a feature of the mean and of each hidden layer.

    Shape: (N, T) int64 -> (N, num_classes).

    Source: Joulin et al. 2017 (fastText) without n-grams; Iyyer et al. 2015 (deep averaging network) for the layers.

    Example:
        >>> net = BagOfEmbeddings(vocab_size=100, num_classes=3).eval()
        >>> torch.allclose(net(torch.tensor([[5, 7, 0, 0]])), net(torch.tensor([[7, 5]])))
        True
    """

    def __init__(
        self,
        vocab_size: int,
        padding_idx: int = 0,
        num_classes: int = 2,
        *,
        embed_dim: int = 64,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.padding_idx = padding_idx
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=padding_idx)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for fan_in, fan_out in pairwise([embed_dim, *hidden]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear([embed_dim, *hidden][-1], num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of texts."""
        mask = ids != self.padding_idx
        x = self.embedding(ids) * mask.unsqueeze(-1)
        logits: Tensor = self.head(self.body(x.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)))
        return logits


class TextLSTM(nn.Module):
    """A bidirectional LSTM over the tokens, its outputs pooled over time.

    The second direction reads each text from its own end. Nothing is packed, so no length goes back to the CPU and the
    network is exported as it is; outputs are those of packed sequences.

    Args:
        vocab_size: different tokens, padding included.
        padding_idx: the token that counts for nothing.
        num_classes: logits given out.
        embed_dim: features of a token.
        hidden_size: features of each direction.
        num_layers: LSTMs on top of each other.
        pooling: over time: "max", "mean", or "last": the state in which each direction ends.
        dropout: probability of dropping a feature before each LSTM and before the head.

    Shape: (N, T) int64 -> (N, num_classes).

    Raises:
        ConfigError: no such pooling, or no layers.

    Source: Conneau et al. 2017 (InferSent) for max pooling over a bidirectional LSTM.

    Example:
        >>> net = TextLSTM(vocab_size=100, num_classes=3, hidden_size=8).eval()
        >>> torch.allclose(net(torch.tensor([[5, 7, 0, 0]])), net(torch.tensor([[5, 7]])), atol=1e-6)
        True
    """

    def __init__(
        self,
        vocab_size: int,
        padding_idx: int = 0,
        num_classes: int = 2,
        *,
        embed_dim: int = 64,
        hidden_size: int = 64,
        num_layers: int = 1,
        pooling: str = "max",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError(f"text_lstm: pooling is {pooling!r}", fix=f"one of {', '.join(POOLINGS)}")
        if num_layers < 1:
            raise ConfigError(f"text_lstm needs num_layers of at least 1, not {num_layers}")
        self.padding_idx, self.pooling = padding_idx, pooling
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=padding_idx)
        sizes = [embed_dim] + [2 * hidden_size] * (num_layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of texts."""
        mask_NT1 = (ids != self.padding_idx).unsqueeze(-1)
        lengths_N = mask_NT1.sum((1, 2)).clamp_min(1)
        x_NTE = self.embedding(ids)
        for ahead, back in zip(self.ahead, self.back, strict=True):
            x_NTE = self.dropout(x_NTE)
            ahead_NTH = ahead(x_NTE)[0]
            back_NTH = reverse_sequences(back(reverse_sequences(x_NTE, lengths_N))[0], lengths_N)
            x_NTE = torch.cat([ahead_NTH, back_NTH], -1)
        if self.pooling == "max":
            pooled = x_NTE.masked_fill(~mask_NT1, torch.finfo(x_NTE.dtype).min).amax(1)
        elif self.pooling == "mean":
            pooled = (x_NTE * mask_NT1).sum(1) / lengths_N.unsqueeze(-1)
        else:
            ends = (lengths_N - 1).view(-1, 1, 1).expand(-1, 1, ahead_NTH.shape[-1])
            pooled = torch.cat([ahead_NTH.gather(1, ends).squeeze(1), back_NTH[:, 0]], -1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits
