"""Two copies of a recurrent layer, one reading from the end, for torch's layers and for cells of the user's own."""

# ruff: noqa: N806  (names end in the letters of their dimensions)

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers.recurrent import Recurrent, RecurrentCell

MERGES = ("concat", "sum", "mean", "mul")


class Bidirectional(nn.Module):
    """Runs a recurrent layer forwards and a second one backwards in time, and merges their outputs.

    Each sequence is reversed within its own length, so padding never comes first.

    Args:
        layer: an `nn.LSTM`, `nn.GRU` or `nn.RNN` (not bidirectional itself), a `Recurrent`, or one `RecurrentCell`.
        merge: "concat" (2H features), "sum", "mean" or "mul".
        backward_layer: the layer that reads backwards; None takes a copy of `layer` on which every
            `reset_parameters` was called.

    Shape: (N, T, F) -> (N, T, 2H or H), or time first as the layer has it. The states are those of the two directions,
        as a pair.

    Raises:
        ConfigError: an unknown merge, or a layer that is bidirectional already.
        ShapeError: lengths that do not fit the batch.

    Example:
        >>> layer = Bidirectional(nn.GRU(3, 5, batch_first=True), merge="sum")
        >>> output, (forward, backward) = layer(torch.zeros(2, 7, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, forward.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(self, layer: nn.Module, merge: str = "concat", backward_layer: nn.Module | None = None) -> None:
        super().__init__()
        if merge not in MERGES:
            raise ConfigError(f"unknown merge '{merge}'", fix=f"one of {', '.join(MERGES)}")
        if getattr(layer, "bidirectional", False):
            raise ConfigError("the layer is bidirectional already", fix="build it with bidirectional=False")
        if isinstance(layer, RecurrentCell):
            layer = Recurrent(layer)
        if isinstance(backward_layer, RecurrentCell):
            backward_layer = Recurrent(backward_layer)
        self.forward_layer = layer
        self.backward_layer = _fresh_copy(layer) if backward_layer is None else backward_layer
        self.merge = merge
        self.batch_first = bool(getattr(layer, "batch_first", False))

    def forward(
        self, x: Tensor | PackedSequence, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, tuple[Any, Any]]:
        """The merged outputs, zero after a sequence's end, and the last states of both directions.

        Args:
            x: the padded batch, or a packed one (which brings its lengths).
            lengths: real steps of each sequence, at least 1 for torch's layers; None takes all.
        """
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(x, batch_first=self.batch_first)
            output, states = self._run(padded, lengths)
            return pack_padded_sequence(output, lengths, self.batch_first, enforce_sorted=False), states
        return self._run(x, lengths)

    def _run(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, tuple[Any, Any]]:
        ahead, ahead_state = _call(self.forward_layer, x, lengths, self.batch_first)
        flipped = reverse_sequences(x, lengths, self.batch_first)
        back, back_state = _call(self.backward_layer, flipped, lengths, self.batch_first)
        back = reverse_sequences(back, lengths, self.batch_first)
        if self.merge == "concat":
            return torch.cat([ahead, back], dim=-1), (ahead_state, back_state)
        merged = ahead * back if self.merge == "mul" else ahead + back
        return (merged / 2 if self.merge == "mean" else merged), (ahead_state, back_state)

    def extra_repr(self) -> str:
        """How the directions are merged."""
        return f"merge={self.merge!r}"


def reverse_sequences(x: Tensor, lengths: Tensor | None, batch_first: bool = True) -> Tensor:
    """Reverse each sequence within its length; what follows the end stays where it is.

    Example:
        >>> x = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]]).unsqueeze(-1)
        >>> reverse_sequences(x, torch.tensor([3, 4])).squeeze(-1)
        tensor([[3, 2, 1, 0],
                [7, 6, 5, 4]])
    """
    time = 1 if batch_first else 0
    if lengths is None:
        return x.flip(time)
    if lengths.shape != (x.shape[1 - time],):
        raise ShapeError(f"expected lengths of shape ({x.shape[1 - time]},), received {tuple(lengths.shape)}")
    steps = torch.arange(x.shape[time], device=x.device)
    ends = lengths.to(x.device)[:, None]
    places_NT = torch.where(steps < ends, ends - 1 - steps, steps)
    places = places_NT if batch_first else places_NT.T
    return x.gather(time, places.unsqueeze(-1).expand_as(x))


def _call(layer: nn.Module, x: Tensor, lengths: Tensor | None, batch_first: bool) -> tuple[Tensor, Any]:
    if lengths is None:
        output, state = layer(x)
    elif isinstance(layer, nn.RNNBase):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first, enforce_sorted=False)
        output, state = layer(packed)
        output, _ = pad_packed_sequence(output, batch_first, total_length=x.shape[1 if batch_first else 0])
    else:
        output, state = layer(x, lengths=lengths)
    return output, state


def _fresh_copy(layer: nn.Module) -> nn.Module:
    fresh = copy.deepcopy(layer)
    for module in reversed(list(fresh.modules())):  # parents last: they may set their children's parameters
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    return fresh
