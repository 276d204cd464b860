"""The tables of optimizers and schedules against the signatures that they describe, and optimizers that learn."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError, MissingExtraError, UnknownNameError
from scirs_neural.core.signatures import signature_options
from scirs_neural.optim import OPTIMIZERS, SCHEDULERS, build_optimizer, parameter_groups
from scirs_neural.optim.build import build_scheduler
from scirs_neural.optim.schedules import Span

ELSEWHERE = {"params", "lr", "weight_decay"}  # settings of every optimizer
NOT_OFFERED = {"capturable", "differentiable"}  # for code that drives the optimizer itself
TARGETS = {name: OPTIMIZERS.entry(name).target for name in OPTIMIZERS if isinstance(OPTIMIZERS.entry(name).target, str)}
OURS = {"adamw_8bit", "asam", "lamb", "lookahead", "muon", "sam"}  # wired here, on others' parts


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_options_are_those_of_the_signature_with_its_defaults(name):
    left_out = ELSEWHERE | NOT_OFFERED | ({"maximize"} if name == "lbfgs" else set())  # not in our oldest torch
    real = {k: v for k, v in signature_options(OPTIMIZERS.get(name)).items() if k not in left_out}
    real = {k: {} if k == "base_options" and v is None else v for k, v in real.items()}
    assert dict(OPTIMIZERS.options(name)) == real
    home = OPTIMIZERS.get(name).__module__.partition(".")[0]
    extra = "pytorch_optimizer" if OPTIMIZERS.entry(name).extra else "torch"
    assert home == ("scirs_neural" if name in OURS else extra)


def test_every_optimizer_of_torch_has_a_name():
    ours = {OPTIMIZERS.get(name) for name in OPTIMIZERS}
    theirs = {v for v in vars(torch.optim).values() if isinstance(v, type) and issubclass(v, torch.optim.Optimizer)}
    missing = {kind.__name__ for kind in theirs - ours}
    assert missing == {"Optimizer", "Muon"}  # Muon takes matrices only, so ours has AdamW beside it
    assert type(build_muon().parts[0]) is torch.optim.Muon


def build_muon():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    return build_optimizer("muon", net, parameter_groups(net, lr=0.1, weight_decay=0.0))


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_a_schedule_s_options_are_those_of_its_function(name):
    real = signature_options(SCHEDULERS.get(name))
    assert list(real)[:2] == ["optimizer", "span"]
    assert dict(SCHEDULERS.options(name)) == dict(list(real.items())[2:])


def test_lists_from_yaml_serve_where_torch_wants_tuples():
    net = nn.Linear(2, 1)
    optimizer = build_optimizer("adam", net, parameter_groups(net, lr=0.1, weight_decay=0.0), betas=[0.8, 0.9])
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"momentun": 0.9}, "optimizer 'sgd' has no option 'momentun'"),
        ("sgd", {"nesterov": True}, "the optimizer 'sgd' refuses its options: Nesterov momentum requires a momentum"),
        ("adam", {"betas": [1.5, 0.9]}, "the optimizer 'adam' refuses its options: Invalid beta"),
        ("adam", {"params": []}, "optimizer 'adam' has no option 'params'"),
    ],
)
def test_what_an_optimizer_cannot_take_is_the_user_s_error(name, options, message):
    net = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=message):
        build_optimizer(name, net, parameter_groups(net, lr=0.1, weight_decay=0.0), **options)


@pytest.mark.parametrize("name", ["rprop", "lbfgs", "sparse_adam"])
def test_a_weight_decay_that_would_be_ignored_is_refused(name):
    net = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=f"'{name}' knows no weight decay"):
        build_optimizer(name, net, parameter_groups(net, lr=0.1, weight_decay=0.1))


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if OPTIMIZERS.entry(name).extra])
def test_without_the_extra_the_error_says_how_to_get_it(name, monkeypatch):
    package = "torchao" if name == "adamw_8bit" else "pytorch_optimizer"
    ours = ("scirs_neural.optim.eight", "scirs_neural.optim.lamb", "scirs_neural.optim.lookahead")
    for module in [m for m in sys.modules if m.startswith((f"{package}.", *ours))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    target = TARGETS.get(name, f"{package}:{name}")
    monkeypatch.setattr(OPTIMIZERS.entry(name), "target", target)
    net = nn.Linear(2, 1)
    with pytest.raises(MissingExtraError, match=package) as caught:
        build_optimizer(name, net, parameter_groups(net, lr=0.1, weight_decay=0.0))
    assert "pip install 'scirs-neural[optim]'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("step", {"span": 3}, "scheduler 'step' has no option 'span'"),
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
