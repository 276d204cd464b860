"""Row 92: gradients of single samples against a loop, Hessian-vector products against finite differences."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.curvature import hessian_vector_product, per_sample_gradients

NETS = {
    "convolutions": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.Linear(144, 3)
    ),
    "perceptron": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)),
    "batch norm": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)),
    "frozen": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8).requires_grad_(False), nn.Tanh(), nn.Linear(8, 3)),
}
LOSS = nn.functional.cross_entropy


def batch():
    return torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.randint(0, 3, (6,))


@pytest.mark.feature(92)
@pytest.mark.parametrize("name", NETS)
def test_gradients_of_samples_are_those_of_a_loop(name):
    net, (inputs, targets) = NETS[name]().double().eval(), batch()
    found = per_sample_gradients(net, LOSS, inputs, targets)
    assert set(found) == {n for n, p in net.named_parameters() if p.requires_grad}
    for index in range(len(inputs)):
        net.zero_grad()
        LOSS(net(inputs[index : index + 1]), targets[index : index + 1]).backward()
        for parameter, gradients in found.items():
            torch.testing.assert_close(gradients[index], net.get_parameter(parameter).grad, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(92)
@pytest.mark.parametrize("name", NETS)
def test_hessian_vector_products_are_finite_differences_of_gradients(name):
    net, (inputs, targets) = NETS[name]().double(), batch()
    before = copy.deepcopy(net.state_dict())
    learning = [n for n, p in net.named_parameters() if p.requires_grad]
    vector = {n: torch.randn_like(net.get_parameter(n)) for n in learning}
    product = hessian_vector_product(net, LOSS, inputs, targets, vector)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())

    def gradients(step):
        moved = copy.deepcopy(net)
        with torch.no_grad():
            for n in learning:
                moved.get_parameter(n).add_(vector[n], alpha=step)
        LOSS(moved(inputs), targets).backward()
        return {n: moved.get_parameter(n).grad for n in learning}

    up, down = gradients(1e-5), gradients(-1e-5)
    for n in learning:
        difference = (up[n] - down[n]) / 2e-5
        assert (product[n] - difference).norm() <= 1e-6 * difference.norm() + 1e-9


def test_what_has_no_gradient_of_its_own_is_named():
    inputs, targets = batch()
    net = NETS["batch norm"]().double()
    with pytest.raises(ConfigError, match="'2' normalises over the batch"):
        per_sample_gradients(net, LOSS, inputs, targets)
    vector = {n: torch.ones_like(p) for n, p in net.named_parameters() if n != "1.weight"}
    with pytest.raises(ConfigError, match=r"differ in '1\.weight'"):
        hessian_vector_product(net, LOSS, inputs, targets, vector)
