"""Recurrent layers from one step: the user writes a cell, the framework unrolls, packs, stacks and drops out.

Shape letters: N batch, T time, F features in, H features out.
"""

# ruff: noqa: N803, N806  (names end in the letters of their dimensions)

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers.shapes import check_shape

State = tuple[Tensor, ...]


class RecurrentCell(nn.Module):
    """One step of a recurrent network. Subclass it and write `step`; `Recurrent` does the rest.

    Args:
        input_size: features F of the input at one time.
        hidden_size: features H of the output at one time.
        num_states: tensors (N, H) in the state. The first one is taken as "the hidden state" where only one fits.

    Example:
        >>> class Leaky(RecurrentCell):
        ...     def __init__(self, input_size, hidden_size):
        ...         super().__init__(input_size, hidden_size)
        ...         self.input = nn.Linear(input_size, hidden_size)
        ...     def step(self, x, state):
        ...         h = 0.9 * state[0] + 0.1 * torch.tanh(self.input(x))
        ...         return h, (h,)
        >>> output, (h,) = Recurrent(Leaky(3, 5))(torch.zeros(2, 7, 3))
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(self, input_size: int, hidden_size: int, num_states: int = 1) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_states = input_size, hidden_size, num_states

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step in time.

        Args:
            x: (N, F), the input at this time.
            state: `num_states` tensors (N, H).

        Returns:
            The output (N, H) and the next state.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(x, state)")

    def initial_state(self, x: Tensor) -> State:
        """The state before the first step, for a batch like x (N, F): zeros."""
        return tuple(x.new_zeros(x.shape[0], self.hidden_size) for _ in range(self.num_states))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One checked step; without a state, the first one."""
        check_shape(type(self).__name__, x, "N F", {1: self.input_size})
        return self.step(x, self.initial_state(x) if state is None else state)


class Recurrent(nn.Module):
    """Unrolls cells over time: stacks them, drops out between them, and respects lengths.

    The loop is plain Python, so ``torch.export`` and ONNX unroll it for the length they are given.

    Args:
        cell: one `RecurrentCell`, a list of them (a stack, the first takes the input), or a function of (input_size,
            hidden_size) that makes one, such as the class itself.
        input_size: F, only with a function.
        hidden_size: H, only with a function.
        num_layers: cells to stack, only with a function.
        dropout: probability at the output of each cell but the last.
        batch_first: input as (N, T, F), our default, or (T, N, F), torch's.
        reverse: run from the last time to the first; outputs stay at the time of their input.

    Shape: (N, T, F) -> (N, T, H), with the state after the last real step as a tuple of (num_layers, N, H). A
        `PackedSequence` gives one back.

    Raises:
        ShapeError: wrong features, or lengths that do not fit the batch.
        ConfigError: cells whose sizes do not chain.

    Example:
        >>> from scirs_neural.layers.cells import PeepholeLSTMCell
        >>> layer = Recurrent(PeepholeLSTMCell, input_size=3, hidden_size=5, num_layers=2)
        >>> output, (h, c) = layer(torch.zeros(4, 6, 3), lengths=torch.tensor([6, 2, 0, 5]))
        >>> output.shape, h.shape
        (torch.Size([4, 6, 5]), torch.Size([2, 4, 5]))
    """

    def __init__(
        self,
        cell: RecurrentCell | Sequence[RecurrentCell] | Callable[[int, int], RecurrentCell],
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        dropout: float = 0.0,
        batch_first: bool = True,
        reverse: bool = False,
    ) -> None:
        super().__init__()
        cells = _cells(cell, input_size, hidden_size, num_layers)
        self.input_size, self.hidden_size = cells[0].input_size, cells[-1].hidden_size
        self.cells = nn.ModuleList(cells)
        self.dropout = nn.Dropout(dropout)
        self.batch_first, self.reverse = batch_first, reverse

    def forward(
        self, x: Tensor | PackedSequence, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        """Outputs at every time, zero after a sequence's end, and the last states.

        Args:
            x: the padded batch, or a packed one (which brings its lengths).
            state: a tuple of (num_layers, N, H) to start from.
            lengths: real steps of each sequence, 0 allowed; None takes all.
        """
        if isinstance(x, PackedSequence):
            padded, packed_lengths = pad_packed_sequence(x, batch_first=True)
            output, last = self._run(padded, state, packed_lengths.to(padded.device))
            return pack_padded_sequence(output, packed_lengths, batch_first=True, enforce_sorted=False), last
        x_NTF = x if self.batch_first else x.transpose(0, 1)
        check_shape("Recurrent", x_NTF, "N T F", {2: self.input_size})
        output, last = self._run(x_NTF, state, lengths)
        return (output if self.batch_first else output.transpose(0, 1)), last

    def _run(self, x_NTF: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        real_NT = None if lengths is None else _real_steps(x_NTF, lengths)
        lasts: list[State] = []
        for i, cell in enumerate(self.cells):
            assert isinstance(cell, RecurrentCell)
            first = cell.initial_state(x_NTF[:, 0] if x_NTF.shape[1] else x_NTF.sum(1))
            if state is not None:
                first = tuple(part[i] for part in state)
            x_NTF, last = _unroll(cell, self.dropout(x_NTF) if i else x_NTF, first, real_NT, self.reverse)
            lasts.append(last)
        return x_NTF, tuple(torch.stack(parts) for parts in zip(*lasts, strict=True))


def _unroll(
    cell: RecurrentCell, x_NTF: Tensor, state: State, real_NT: Tensor | None, reverse: bool
) -> tuple[Tensor, State]:
    outputs: list[Tensor] = []
    times = range(x_NTF.shape[1])
    for t in reversed(times) if reverse else times:
        output, new = cell.step(x_NTF[:, t], state)
        if real_NT is None:
            state = new
        else:  # past its end a sequence keeps its state and gives zeros
            real_N1 = real_NT[:, t, None]
            output = torch.where(real_N1, output, 0.0)
            state = tuple(torch.where(real_N1, n, old) for n, old in zip(new, state, strict=True))
        outputs.append(output)
    if not outputs:
        return x_NTF.new_zeros(x_NTF.shape[0], 0, cell.hidden_size), state
    return torch.stack(outputs[::-1] if reverse else outputs, dim=1), state


def _real_steps(x_NTF: Tensor, lengths: Tensor) -> Tensor:
    if lengths.shape != x_NTF.shape[:1]:
        raise ShapeError(f"expected lengths of shape ({x_NTF.shape[0]},), received {tuple(lengths.shape)}")
    return torch.arange(x_NTF.shape[1], device=x_NTF.device) < lengths.to(x_NTF.device)[:, None]


def _cells(cell: Any, input_size: int | None, hidden_size: int | None, num_layers: int) -> list[RecurrentCell]:
    if isinstance(cell, RecurrentCell):
        cells = [cell]
    elif isinstance(cell, Sequence):
        cells = list(cell)
    else:
        if input_size is None or hidden_size is None:
            raise ConfigError("Recurrent needs input_size and hidden_size to make its cells")
        cells = [cell(hidden_size if i else input_size, hidden_size) for i in range(num_layers)]
    for below, above in itertools.pairwise(cells):
        if below.hidden_size != above.input_size:
            raise ConfigError(f"a cell with {below.hidden_size} outputs cannot feed one with {above.input_size} inputs")
    return cells
