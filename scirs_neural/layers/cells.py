"""A recurrent cell that torch lacks, and the pattern for your own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scirs_neural.layers.recurrent import RecurrentCell, State


class PeepholeLSTMCell(RecurrentCell):
    """An LSTM whose gates also see the cell state, each unit through one weight.

    Args:
        input_size: features F of the input.
        hidden_size: features H of the state.
        forget_bias: added to the forget gate's bias at the start, so that early training does not forget.

    Shape: (N, F) and a state of two (N, H) -> (N, H) and the next state

    Source: Gers, Schraudolph and Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks" (2002), section 3;
        with the peepholes at 0 it is `torch.nn.LSTMCell`.

    Example:
        >>> output, (h, c) = PeepholeLSTMCell(3, 5)(torch.zeros(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, num_states=2)
        self.input = nn.Linear(input_size, 4 * hidden_size)
        self.hidden = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.peephole = nn.Parameter(torch.empty(3, hidden_size))
        self.forget_bias = forget_bias
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as `nn.Linear` does; peepholes start at 0."""
        self.input.reset_parameters()
        self.hidden.reset_parameters()
        nn.init.zeros_(self.peephole)
        with torch.no_grad():
            self.input.bias[self.hidden_size : 2 * self.hidden_size] += self.forget_bias

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The gates, the new cell state, the output."""
        h, c = state
        into, forget, candidate, out = (self.input(x) + self.hidden(h)).chunk(4, dim=-1)
        see_into, see_forget, see_out = self.peephole
        kept = torch.sigmoid(forget + see_forget * c) * c
        c = kept + torch.sigmoid(into + see_into * c) * torch.tanh(candidate)
        h = torch.sigmoid(out + see_out * c) * torch.tanh(c)
        return h, (h, c)
