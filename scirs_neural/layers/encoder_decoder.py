"""The full transformer: embeddings, encoder, decoder, output, and generation.

Shape letters: B batch, S source tokens, T target tokens, E features, V target vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.decoding import beam_search, greedy_search
from scirs_neural.layers.positions import LearnedPositions, SinusoidalPositions
from scirs_neural.layers.shapes import check_shape
from scirs_neural.layers.spec import build_norm
from scirs_neural.layers.transformer_blocks import (
    Activation,
    BlockCache,
    Norm,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
)

POSITIONS = ("sinusoidal", "learned", "rotary")


class EncoderDecoder(nn.Module):
    """Source tokens in, logits of target tokens out.

    Args:
        vocab_size: tokens of the source.
        target_vocab_size: V; None is `vocab_size`.
        embed_dim: E.
        num_heads: of every attention.
        num_encoder_layers: blocks.
        num_decoder_layers: blocks.
        hidden_dim: of the feed-forward parts; None is 4 E.
        dropout: everywhere.
        activation: of the feed-forward parts.
        norm: of all blocks.
        norm_first: pre-norm (with one more norm at the end of both stacks) or post-norm.
        positions: "sinusoidal", "learned" or "rotary".
        max_length: tokens at most, for the first two.
        pad_index: the token that is masked out of the source.
        tie_output: output layer and target embedding share their weights; with equal vocabularies the source too.

    Shape: (B, S), (B, T) -> (B, T, V)

    Raises:
        ConfigError: unknown positions.

    Source: Vaswani et al., "Attention Is All You Need" (2017).

    Example:
        >>> model = EncoderDecoder(12, embed_dim=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1).eval()
        >>> source = torch.randint(1, 12, (2, 5))
        >>> model(source, source).shape, model.generate(source, bos=1, eos=2, max_length=4).shape[0]
        (torch.Size([2, 5, 12]), 2)
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int | None = None,
        embed_dim: int = 512,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        hidden_dim: int | None = None,
        dropout: float = 0.1,
        activation: Activation = "relu",
        norm: Norm = "layer_norm",
        norm_first: bool = True,
        positions: str = "sinusoidal",
        max_length: int = 1024,
        pad_index: int = 0,
        tie_output: bool = True,
    ) -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise ConfigError(f"unknown positions '{positions}'", fix=f"one of {', '.join(POSITIONS)}")
        self.pad_index, self.scale = pad_index, math.sqrt(embed_dim)
        shared = tie_output and target_vocab_size in (None, vocab_size)
        target_vocab_size = vocab_size if target_vocab_size is None else target_vocab_size
        self.source_embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_index)
        self.target_embedding = (
            self.source_embedding if shared else nn.Embedding(target_vocab_size, embed_dim, padding_idx=pad_index)
        )
        self.source_positions = _positions(positions, embed_dim, max_length, dropout)
        self.target_positions = _positions(positions, embed_dim, max_length, dropout)
        of_blocks: dict[str, Any] = {
            "activation": activation, "norm": norm, "norm_first": norm_first, "rotary": positions == "rotary",
        }  # fmt: skip
        self.encoder = nn.ModuleList(
            TransformerEncoderBlock(embed_dim, num_heads, hidden_dim, dropout, **of_blocks)
            for _ in range(num_encoder_layers)
        )
        self.decoder = nn.ModuleList(
            TransformerDecoderBlock(embed_dim, num_heads, hidden_dim, dropout, **of_blocks)
            for _ in range(num_decoder_layers)
        )
        self.encoder_norm = build_norm(norm, embed_dim) if norm_first else nn.Identity()
        self.decoder_norm = build_norm(norm, embed_dim) if norm_first else nn.Identity()
        self.output = nn.Linear(embed_dim, target_vocab_size, bias=not tie_output)
        self.reset_parameters()
        if tie_output:
            self.output.weight = self.target_embedding.weight

    def reset_parameters(self) -> None:
        """Embeddings at 1/sqrt(E), so that tied logits start at unit scale."""
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=1.0 / self.scale)
            with torch.no_grad():
                embedding.weight[self.pad_index].zero_()

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the token after each target token (teacher forcing: give the target shifted right)."""
        memory, real = self.encode(source)
        return self.decode(target, memory, real)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The memory (B, S, E), and which of its tokens are real (B, S)."""
        check_shape("EncoderDecoder", source, "B S")
        real = source != self.pad_index
        x = self.source_positions(self.source_embedding(source) * self.scale)
        for block in self.encoder:
            x = block(x, padding_mask=real)
        return self.encoder_norm(x), real

    def decode(self, target: Tensor, memory: Tensor, real: Tensor, caches: list[BlockCache] | None = None) -> Tensor:
        """Logits (B, T, V) for target tokens (B, T); with caches only the tokens that they do not hold."""
        check_shape("EncoderDecoder", target, "B T", {0: memory.shape[0]})
        embedded = self.target_embedding(target) * self.scale
        start = caches[0].own.length if caches else 0
        if isinstance(self.target_positions, nn.Dropout):
            x = self.target_positions(embedded)
        else:
            x = self.target_positions(embedded, start)
        for i, block in enumerate(self.decoder):
            x = block(x, memory, memory_padding_mask=real, cache=caches[i] if caches else None)
        logits: Tensor = self.output(self.decoder_norm(x))
        return logits

    @torch.no_grad()
    def generate(
        self, source: Tensor, bos: int, eos: int, max_length: int, beam_size: int = 1, length_penalty: float = 1.0
    ) -> Tensor:
        """Target tokens for each source, without `bos`, ending in `eos`, then `pad_index`.

        Each token is computed once. Call it in evaluation mode: dropout stays as the model has it.

        Args:
            source: (B, S).
            bos: the first target token.
            eos: the token that ends a target.
            max_length: tokens at most.
            beam_size: 1 is greedy.
            length_penalty: of the beam's scores; see `beam_search`.
        """
        memory, real = self.encode(source.repeat_interleave(beam_size, dim=0))
        caches = [BlockCache() for _ in self.decoder]

        def step(newest: Tensor) -> Tensor:
            return self.decode(newest, memory, real, caches)[:, -1]

        def reorder(rows: Tensor) -> None:  # beams of one source share its memory: only their own tokens move
            for cache in caches:
                cache.own.reorder(rows)

        batch = source.shape[0]
        if beam_size == 1:
            return greedy_search(step, batch, bos, eos, max_length, self.pad_index, source.device)
        tokens, _ = beam_search(
            step, reorder, batch, bos, eos, max_length, self.pad_index, source.device, beam_size, length_penalty
        )
        return tokens


def _positions(kind: str, embed_dim: int, max_length: int, dropout: float) -> nn.Module:
    if kind == "sinusoidal":
        return SinusoidalPositions(embed_dim, max_length, dropout)
    if kind == "learned":
        return LearnedPositions(embed_dim, max_length, dropout)
    return nn.Dropout(dropout)  # rotary positions are inside the attention
