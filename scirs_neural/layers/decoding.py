"""Greedy and beam search over any model that scores the next token.

Shape letters: B sequences, W beams of each, V tokens of the vocabulary.
"""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
Reorder = Callable[[Tensor], None]


def greedy_search(
    step: Step, batch: int, bos: int, eos: int, max_length: int, pad: int, device: torch.device
) -> Tensor:
    """Take the likeliest token until every sequence has ended.

    Args:
        step: from the newest tokens (B, 1) to the logits of the next (B, V); keeps its own state.
        batch: B.
        bos: the first token; not part of the result.
        eos: the token that ends a sequence; part of the result.
        max_length: tokens at most.
        pad: what follows the end.
        device: of the result.

    Returns:
        (B, up to max_length) tokens.
    """
    newest = torch.full((batch, 1), bos, dtype=torch.long, device=device)
    ended = torch.zeros(batch, dtype=torch.bool, device=device)
    tokens = newest[:, :0]
    while tokens.shape[1] < max_length and not bool(ended.all()):
        best = step(newest).argmax(dim=-1)
        newest = torch.where(ended, pad, best).unsqueeze(1)
        ended = ended | (best == eos)
        tokens = torch.cat([tokens, newest], dim=1)
    return tokens


def beam_search(
    step: Step,
    reorder: Reorder,
    batch: int,
    bos: int,
    eos: int,
    max_length: int,
    pad: int,
    device: torch.device,
    beam_size: int,
    length_penalty: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Keep the W likeliest prefixes of each sequence; give the best ended one.

    Args:
        step: from the newest tokens (B * W, 1) to the logits of the next (B * W, V); keeps its own state.
        reorder: makes the state's rows follow the given rows (B * W).
        batch: B.
        bos: the first token; not part of the result.
        eos: the token that ends a sequence; part of the result.
        max_length: tokens at most.
        pad: what follows the end.
        device: of the result.
        beam_size: W.
        length_penalty: the score is the log-probability over length ** this; 0 favours short sequences.

    Returns:
        (B, up to max_length) tokens and their (B,) scores.
    """
    width = beam_size
    tokens_BWT = torch.empty(batch, width, 0, dtype=torch.long, device=device)
    newest = torch.full((batch * width, 1), bos, dtype=torch.long, device=device)
    logp_BW = torch.full((batch, width), -math.inf, device=device)
    logp_BW[:, 0] = 0.0  # all beams are equal at first: only one may branch
    ended_BW = torch.zeros(batch, width, dtype=torch.bool, device=device)
    length_BW = torch.zeros(batch, width, device=device)
    first_row = torch.arange(batch, device=device)[:, None] * width
    while tokens_BWT.shape[2] < max_length and not bool(ended_BW.all()):
        next_BWV = step(newest).float().log_softmax(dim=-1).unflatten(0, (batch, width))
        stay = torch.full_like(next_BWV, -math.inf)
        stay[..., pad] = 0.0
        total_BWV = logp_BW[..., None] + torch.where(ended_BW[..., None], stay, next_BWV)
        lengths_BW = length_BW + (~ended_BW).float()
        ranked = total_BWV / lengths_BW.clamp(min=1.0)[..., None] ** length_penalty
        vocabulary = ranked.shape[-1]
        choice_BW = ranked.flatten(1).topk(width, dim=-1).indices
        parent_BW, token_BW = choice_BW // vocabulary, choice_BW % vocabulary
        logp_BW = total_BWV.flatten(1).gather(1, choice_BW)
        length_BW = lengths_BW.gather(1, parent_BW)
        was_ended = ended_BW.gather(1, parent_BW)
        ended_BW = was_ended | (token_BW == eos)
        tokens_BWT = tokens_BWT.gather(1, parent_BW[..., None].expand_as(tokens_BWT))
        tokens_BWT = torch.cat([tokens_BWT, token_BW[..., None]], dim=-1)
        reorder((first_row + parent_BW).flatten())
        newest = token_BW.flatten().unsqueeze(1)
    scores_BW = logp_BW / length_BW.clamp(min=1.0) ** length_penalty
    best = scores_BW.argmax(dim=1)
    rows = torch.arange(batch, device=device)
    return tokens_BWT[rows, best], scores_BW[rows, best]
