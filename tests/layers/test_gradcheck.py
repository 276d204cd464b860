import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ParityError
from scirs_neural.layers import Recurrent, check_gradients, create_layer
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.capabilities import build_example, example_inputs
from scirs_neural.layers.examples import EXAMPLES

# Whole numbers in, nothing to learn: no derivative to check.
NO_GRADIENT = {"alibi"}


def shrunk(value):
    """The same, with fewer samples and places, and no padding tokens: those have no gradient on purpose."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value if value.is_floating_point() else value.clamp(min=1)
    return value[:1] if value.dim() > 2 else value[:2]


@pytest.mark.feature(2)
@pytest.mark.parametrize("name", sorted(set(BUILTIN) - NO_GRADIENT))
def test_own_layers_pass_gradcheck(name):
    layer = build_example(name).eval()
    inputs = [shrunk(value) for value in example_inputs(EXAMPLES[name])]
    check_gradients(layer, *inputs, fast=True)


@pytest.mark.slow
@pytest.mark.feature(2)
@pytest.mark.parametrize("name", sorted(set(BUILTIN) - NO_GRADIENT))
def test_own_layers_pass_gradgradcheck(name):
    layer = build_example(name).eval()
    inputs = [shrunk(value) for value in example_inputs(EXAMPLES[name])]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the fused ones have no second derivative
        check_gradients(layer, *inputs, second_order=True, fast=True)


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x**2

    @staticmethod
    def backward(ctx, grad):
        return grad  # should be 2 x grad


class WrongSquare(nn.Module):
    def forward(self, x):
        return WrongBackward.apply(x)


class WrongScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return x * WrongBackward.apply(self.scale)


@pytest.mark.feature(2)
def test_a_wrong_backward_is_reported_with_the_layers_name():
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh(), WrongSquare()), nn.Linear(2, 1))
    with pytest.raises(ParityError, match=r"layer '1\.1' \(WrongSquare\) has a wrong gradient by input 0"):
        check_gradients(model, torch.randn(2, 3))
    with pytest.raises(ParityError, match=r"^WrongSquare has a wrong gradient by input 0"):
        check_gradients(WrongSquare(), torch.randn(2, 3))
    with pytest.raises(ParityError, match=r"WrongScale has a wrong gradient by parameter 'scale'"):
        check_gradients(WrongScale(), torch.randn(2, 2) + 3)


def test_the_layer_is_not_changed():
    layer = nn.Linear(3, 2)
    check_gradients(layer, torch.randn(2, 3), second_order=True)
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is None


def test_layers_with_states_and_whole_numbers():
    check_gradients(nn.GRU(2, 3), torch.randn(2, 1, 2))
    check_gradients(nn.Embedding(4, 2), torch.tensor([1, 3]))
    cell = create_layer("peephole_lstm_cell", 2, 3)
    check_gradients(Recurrent(cell), torch.randn(1, 3, 2))
