"""The tables of optimizers and schedules against the signatures that they describe, and optimizers that learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.registry import signature_options
from scirs_neural.optim import OPTIMIZERS, SCHEDULERS, build_optimizer, parameter_groups
from scirs_neural.optim.build import build_scheduler
from scirs_neural.optim.schedules import Span

ELSEWHERE = {"params", "lr", "weight_decay"}  # settings of every optimizer
NOT_OFFERED = {"capturable", "differentiable"}  # for code that drives the optimizer itself
RATE = {"adadelta": 2.0, "adagrad": 0.5, "asgd": 0.1, "sgd": 0.1, "adafactor": 0.1, "rprop": 0.01}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_options_are_torch_s_own_with_torch_s_defaults(name):
    real = {k: v for k, v in signature_options(OPTIMIZERS.get(name)).items() if k not in ELSEWHERE | NOT_OFFERED}
    assert dict(OPTIMIZERS.options(name)) == real
    assert OPTIMIZERS.get(name).__module__.startswith("torch.optim")


def test_every_optimizer_of_torch_that_a_loop_can_drive_has_a_name():
    ours = {OPTIMIZERS.get(name) for name in OPTIMIZERS}
    theirs = {v for v in vars(torch.optim).values() if isinstance(v, type) and issubclass(v, torch.optim.Optimizer)}
    missing = {kind.__name__ for kind in theirs - ours}
    assert missing <= {"Optimizer", "LBFGS", "SparseAdam", "Muon"}  # a closure, sparse gradients, matrices only


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_a_schedule_s_options_are_those_of_its_function(name):
    real = signature_options(SCHEDULERS.get(name))
    assert list(real)[:2] == ["optimizer", "span"]
    assert dict(SCHEDULERS.options(name)) == dict(list(real.items())[2:])


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer_fits_a_line(name):
    torch.manual_seed(0)
    inputs = torch.randn(64, 3)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.25
    net = nn.Linear(3, 1)
    groups = parameter_groups(net, lr=RATE.get(name, 0.05), weight_decay=0.0)
    optimizer = build_optimizer(name, net, groups, **OPTIMIZERS.options(name))
    for _ in range(400):
        loss = nn.functional.mse_loss(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-2 * targets.var()


def test_lists_from_yaml_serve_where_torch_wants_tuples():
    net = nn.Linear(2, 1)
    optimizer = build_optimizer("adam", net, parameter_groups(net, lr=0.1, weight_decay=0.0), betas=[0.8, 0.9])
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"momentun": 0.9}, "the optimizer 'sgd' has no option 'momentun'"),
        ("sgd", {"nesterov": True}, "the optimizer 'sgd' refuses its options: Nesterov momentum requires a momentum"),
        ("adam", {"betas": [1.5, 0.9]}, "the optimizer 'adam' refuses its options: Invalid beta"),
        ("adam", {"params": []}, "the optimizer 'adam' has no option 'params'"),
    ],
)
def test_what_an_optimizer_cannot_take_is_the_user_s_error(name, options, message):
    net = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=message):
        build_optimizer(name, net, parameter_groups(net, lr=0.1, weight_decay=0.0), **options)


def test_a_weight_decay_that_would_be_ignored_is_refused():
    net = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match="'rprop' knows no weight decay"):
        build_optimizer("rprop", net, parameter_groups(net, lr=0.1, weight_decay=0.1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("step", {"span": 3}, "the scheduler 'step' has no option 'span'"),
        ("step", {"step_size": 0}, "the scheduler 'step' refuses its options"),
        ("plateau", {"mode": "up"}, "the scheduler 'plateau' refuses its options: mode up is unknown"),
    ],
)
def test_what_a_schedule_cannot_take_is_the_user_s_error(name, options, message):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ConfigError, match=message):
        build_scheduler(name, optimizer, Span(10, 5), **options)


def test_unknown_names():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(UnknownNameError, match="cosine"):
        build_scheduler("cosin", optimizer, Span(10, 5))
