"""The table of names: torch-free, equal to the real signatures, torch's own classes."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from scirs_neural.core.signatures import signature_options
from scirs_neural.losses import LOSSES, create_loss

DEPRECATED = {"size_average", "reduce"}


@pytest.mark.parametrize("name", LOSSES.names())
def test_options_are_the_signature(name):
    target = LOSSES.get(name)
    bare = target.__init__ is nn.Module.__init__
    real = {} if bare else {k: v for k, v in signature_options(target).items() if k not in DEPRECATED}
    assert dict(LOSSES.options(name)) == real
    assert LOSSES.entry(name).summary


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_is_built_by_name_alone(name):
    assert isinstance(create_loss(name), nn.Module)


def test_every_torch_loss_has_a_name_and_is_itself():
    registered = {LOSSES.get(name) for name in LOSSES}
    with_parameters = {"AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"}  # output layer and loss in one
    losses = [c for c in vars(nn).values() if isinstance(c, type) and c.__name__.endswith("Loss")]
    assert {c.__name__ for c in losses if c not in registered} <= with_parameters
    assert LOSSES.get("cross_entropy") is nn.CrossEntropyLoss
    assert LOSSES.get("mae") is LOSSES.get("l1") is nn.L1Loss


def test_the_room_needs_no_torch():
    code = (
        "import sys; from scirs_neural.losses import LOSSES; LOSSES.names(); LOSSES.options('focal');"
        "assert not {'torch', 'numpy', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_public_name():
    import scirs_neural.losses as room

    with pytest.raises(AttributeError):
        room.nonsense  # noqa: B018
    assert room.CompositeLoss.__name__ == "CompositeLoss"


def test_torch_dtype_of_list_options():
    loss = create_loss("cross_entropy", weight=[1, 2, 3])
    assert torch.equal(loss.weight, torch.tensor([1.0, 2.0, 3.0]))
