"""Word vectors from a text file, and an output layer that shares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import DataError


def load_word_vectors(path: str | Path, words: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Read vectors in GloVe's text format: a word and its numbers on each line, separated by spaces.

    A first line of two whole numbers (word2vec's header) is skipped.

    Args:
        path: the file.
        words: keep only these; None keeps all.

    Raises:
        DataError: no such file, a line that is not a vector, or vectors of different lengths.

    Source: Pennington, Socher and Manning, "GloVe" (2014); the format of its published files.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no such file: {path}")
    wanted = None if words is None else set(words)
    vectors: dict[str, Tensor] = {}
    dim: int | None = None
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip().split(" ")
            if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                continue
            dim = len(fields) - 1 if dim is None else dim
            word = " ".join(fields[:-dim]) if dim else ""  # some published words hold spaces
            if not dim or len(fields) <= dim:
                raise DataError(f"expected a word and {dim} numbers", where=f"{path}, line {number}")
            if wanted is None or word in wanted:
                try:
                    vectors[word] = torch.tensor([float(field) for field in fields[-dim:]])
                except ValueError as error:
                    raise DataError(f"no vector: {error}", where=f"{path}, line {number}") from error
    return vectors


def word_embedding(
    vocabulary: Sequence[str],
    vectors: Mapping[str, Tensor],
    padding_idx: int | None = None,
    freeze: bool = True,
    max_norm: float | None = None,
    seed: int = 0,
) -> nn.Embedding:
    """A `torch.nn.Embedding` whose rows are the vectors of a vocabulary.

    Words without a vector get one drawn from a normal distribution with the mean and spread of the known ones, the same
    at every call; the padding gets zeros.

    Args:
        vocabulary: words in the order of their indices.
        vectors: from `load_word_vectors`.
        padding_idx: index whose vector is zero and stays so.
        freeze: whether the vectors do not train.
        max_norm: vectors longer than this are scaled down when looked up.
        seed: of the drawn vectors.

    Raises:
        DataError: no vectors at all.

    Example:
        >>> layer = word_embedding(["<pad>", "cat", "qux"], {"cat": torch.ones(3)}, padding_idx=0)
        >>> layer(torch.tensor([0, 1])), layer.weight.requires_grad
        (tensor([[0., 0., 0.],
                [1., 1., 1.]]), False)
    """
    if not vectors:
        raise DataError("there are no word vectors")
    known = torch.stack(list(vectors.values()))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(len(vocabulary), known.shape[1], generator=generator)
    weight = known.mean(0) + drawn * known.std(0, correction=0)
    for index, word in enumerate(vocabulary):
        if word in vectors:
            weight[index] = vectors[word]
    if padding_idx is not None:
        weight[padding_idx] = 0.0
    return nn.Embedding.from_pretrained(weight, freeze=freeze, padding_idx=padding_idx, max_norm=max_norm)


def tied_linear(embedding: nn.Embedding, bias: bool = False) -> nn.Linear:
    """A linear layer from vectors to scores of words that shares the embedding's weight.

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).

    Example:
        >>> embedding = nn.Embedding(10, 4)
        >>> tied_linear(embedding).weight is embedding.weight
        True
    """
    weight = embedding.weight
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias, device=weight.device, dtype=weight.dtype)
    layer.weight = embedding.weight
    return layer
