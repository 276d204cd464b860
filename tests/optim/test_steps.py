"""Optimizers that learn, and their steps against formulas written here and against other packages."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim import OPTIMIZERS, build_optimizer, parameter_groups
from scirs_neural.optim.build import traits
from scirs_neural.optim.sharpness import asam, sam

# Learning rate and steps that take a convex fit below 1e-3; where not named here, 0.05 and 400.
SETTINGS = {
    "adadelta": (10.0, 400), "adagrad": (0.5, 400), "asgd": (0.1, 400), "sgd": (0.1, 400), "adafactor": (0.1, 400),
    "rprop": (0.01, 200), "radam": (0.2, 400), "lbfgs": (1.0, 4), "lion": (0.01, 1000), "lamb": (0.2, 600),
    "sam": (0.1, 400), "asam": (0.1, 400), "schedule_free_sgd": (0.3, 600), "lookahead": (0.1, 400),
    "adamw_8bit": (0.05, 400),
}  # fmt: skip


class Scale(nn.Module):
    """A line whose body is a matrix, so that Muon has something to do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 8, bias=False), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.body(x))


def fit(name: str, net: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    rate, steps = SETTINGS.get(name, (0.05, 400))
    groups = parameter_groups(net, lr=rate, weight_decay=0.0)
    optimizer = build_optimizer(name, net, groups, **OPTIMIZERS.options(name))

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(inputs), targets)
        loss.backward()
        return loss

    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: 1.0 if traits(name).get("averages") or name == "lbfgs" else 1 - t / steps
    )
    for _ in range(steps):
        optimizer.step(closure)
        schedule.step()
    if traits(name).get("averages"):
        optimizer.eval()
    return nn.functional.mse_loss(net(inputs), targets).item()


@pytest.mark.feature(93)
@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n not in ("sparse_adam", "adamw_8bit")])
def test_every_optimizer_fits_a_line_below_a_thousandth(name):
    inputs = torch.randn(64, 3)
    targets = inputs @ torch.randn(3, 4) + torch.randn(4)  # four outputs: LAMB cannot take a single bias through zero
    net = Scale() if name == "muon" else nn.Linear(3, 4)
    assert fit(name, net, inputs, targets) < 1e-3 * targets.var()


@pytest.mark.slow
@pytest.mark.feature(93)
def test_eight_bit_moments_fit_a_line_and_come_back_from_a_plain_state(tmp_path):
    """Slow: torchao compiles its step (15 s)."""
    import torchao.optim

    inputs, hidden = torch.randn(256, 64), torch.randn(64, 64)  # 4,096 entries: large enough to be quantized
    targets = inputs @ hidden
    net = nn.Linear(64, 64, bias=False)
    optimizer = build_optimizer("adamw_8bit", net, parameter_groups(net, lr=0.05, weight_decay=0.0))
    assert isinstance(optimizer, torchao.optim.AdamW8bit)

    def step():
        loss = nn.functional.mse_loss(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for t in range(400):
        for group in optimizer.param_groups:
            group["lr"].fill_(0.05 * (1 - t / 400))
        step()
    assert nn.functional.mse_loss(net(inputs), targets) < 1e-3 * targets.var()
    assert optimizer.state[net.weight]["exp_avg"].codes.dtype == torch.uint8
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    again = nn.Linear(64, 64, bias=False)
    again.load_state_dict(net.state_dict())
    second = build_optimizer("adamw_8bit", again, parameter_groups(again, lr=0.05, weight_decay=0.0))
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    step()
    net, optimizer, kept = again, second, net.weight.detach().clone()
    step()
    assert torch.equal(net.weight, kept)


def test_sparse_adam_moves_the_rows_that_were_looked_up():
    table = nn.Embedding(6, 2, sparse=True)
    before = table.weight.detach().clone()
    optimizer = build_optimizer("sparse_adam", table, parameter_groups(table, lr=0.1, weight_decay=0.0))
    table(torch.tensor([1, 4])).pow(2).sum().backward()
    optimizer.step()
    moved = (table.weight != before).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True, False]


def rosenbrock(name, options, lr, steps):
    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.xy = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))

    point = Point()
    optimizer = build_optimizer(name, point, parameter_groups(point, lr=lr, weight_decay=0.0), **options)

    def closure():
        optimizer.zero_grad()
        x, y = point.xy
        loss = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return closure().item()


@pytest.mark.parametrize(
    ("name", "options", "lr", "steps"),
    [
        ("lbfgs", {"line_search_fn": "strong_wolfe"}, 1.0, 3),
        ("lookahead", {"base": "adam"}, 0.1, 1500),
        ("sam", {"base": "adam", "rho": 1e-4}, 0.1, 900),
    ],
)
def test_rosenbrock_s_valley_is_walked_to_its_end(name, options, lr, steps):
    assert rosenbrock(name, options, lr, steps) < 1e-3


def ten_steps(name, options, lr, weight_decay):
    """Ten steps on a quadratic of a matrix; its parameters after each."""
    generator = torch.Generator().manual_seed(3)
    net = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    curve = torch.rand(3, 4, generator=generator, dtype=torch.float64) + 0.1
    with torch.no_grad():
        net.weight.copy_(torch.randn(3, 4, generator=generator, dtype=torch.float64))
    start = net.weight.detach().numpy().copy()
    optimizer = build_optimizer(name, net, parameter_groups(net, lr=lr, weight_decay=weight_decay), **options)
    seen = []
    for _ in range(10):
        optimizer.zero_grad()
        (curve * net.weight**2).sum().backward()
        optimizer.step()
        seen.append(net.weight.detach().numpy().copy())
    return start, curve.numpy(), seen


@pytest.mark.feature(93)
def test_lion_makes_the_ten_steps_of_its_paper_s_program():
    """Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, program 1."""
    lr, decay, b1, b2 = 0.03, 0.1, 0.9, 0.99
    w, curve, seen = ten_steps("lion", {}, lr, decay)
    m = np.zeros_like(w)
    for step in seen:
        g = 2 * curve * w
        w = w - lr * (np.sign(b1 * m + (1 - b1) * g) + decay * w)
        m = b2 * m + (1 - b2) * g
        np.testing.assert_allclose(step, w, rtol=1e-12, atol=1e-14)


@pytest.mark.feature(93)
def test_lamb_makes_the_ten_steps_of_its_paper():
    """You et al. 2020 (v3 of the paper, without bias correction), algorithm 2, phi(z) = min(z, 10)."""
    lr, decay, b1, b2, eps = 0.03, 0.1, 0.9, 0.999, 1e-6
    w, curve, seen = ten_steps("lamb", {}, lr, decay)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in seen:
        g = 2 * curve * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = m / (np.sqrt(v) + eps) + decay * w
        ratio = min(np.linalg.norm(w), 10) / (np.linalg.norm(r) + eps)
        w = w - lr * ratio * r
        np.testing.assert_allclose(step, w, rtol=1e-9)


def test_schedule_free_sgd_makes_the_ten_steps_of_its_paper():
    """Defazio et al. 2024, The Road Less Scheduled, eq. 3 to 5: gradients at y, steps of z, x the average."""
    lr, beta = 0.03, 0.9
    y, curve, seen = ten_steps("schedule_free_sgd", {"momentum": beta}, lr, 0.0)
    x, z = y.copy(), y.copy()
    for t, step in enumerate(seen):
        z = z - lr * 2 * curve * y
        x = (1 - 1 / (t + 1)) * x + z / (t + 1)
        y = (1 - beta) * z + beta * x
        np.testing.assert_allclose(step, y, rtol=1e-9)


@pytest.mark.parametrize(("make", "adaptive", "rho"), [(sam, False, 0.3), (asam, True, 0.7)])
def test_sam_makes_the_steps_of_another_implementation(make, adaptive, rho):
    from pytorch_optimizer import SAM

    start, inputs = torch.randn(5, 3), torch.randn(20, 3)
    weights = [nn.Parameter(start.clone()) for _ in range(2)]
    ours = make([weights[0]], lr=0.05, base_options={"momentum": 0.9}, rho=rho)
    theirs = SAM([weights[1]], torch.optim.SGD, rho=rho, adaptive=adaptive, lr=0.05, momentum=0.9)

    def closure_of(optimizer, weight):
        def closure():
            optimizer.zero_grad()
            loss = ((inputs @ weight.T).tanh() - 0.3).pow(2).mean()
            loss.backward()
            return loss

        return closure

    for _ in range(10):
        ours.step(closure_of(ours, weights[0]))
        other = closure_of(theirs, weights[1])
        other()
        theirs.step(other)
        torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n not in ("sparse_adam", "adamw_8bit", "lbfgs")])
def test_a_group_that_comes_later_is_stepped_or_refused(name):
    """Case L3, for every optimizer."""
    net, late = Scale(), nn.Linear(4, 4, bias=False)
    optimizer = build_optimizer(name, net, parameter_groups(net, lr=0.05, weight_decay=0.0), **OPTIMIZERS.options(name))
    before, groups = late.weight.detach().clone(), len(optimizer.param_groups)
    try:
        optimizer.add_param_group({"params": list(late.parameters()), "lr": 0.05})
    except (ConfigError, ValueError):
        assert len(optimizer.param_groups) == groups
        return

    def closure():
        optimizer.zero_grad()
        loss = late(net(torch.ones(2, 3))).square().sum()
        loss.backward()
        return loss

    for _ in range(6):
        optimizer.step(closure)
    assert not torch.equal(late.weight, before)
    again = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(again)
    optimizer.step(closure)
    with pytest.raises((ValueError, ConfigError)):
        optimizer.add_param_group({"params": [net.body.weight], "lr": 0.05})


@pytest.mark.parametrize("make", [sam, asam])
def test_an_error_in_the_second_pass_leaves_the_weights_where_they_were(make):
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer, passes = make([weight], lr=0.1, rho=1.0), []

    def closure():
        passes.append(1)
        if len(passes) == 2:
            raise RuntimeError("in the second pass")
        loss = weight.square().sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="second pass"):
        optimizer.step(closure)
    assert weight.tolist() == [3.0, -2.0]


def test_sam_without_a_closure_says_so():
    optimizer = sam([nn.Parameter(torch.ones(1))])
    with pytest.raises(ConfigError, match="needs its closure"):
        optimizer.step()


@pytest.mark.parametrize("name", ["sam", "lookahead", "muon", "schedule_free_adamw", "lbfgs"])
def test_a_saved_state_goes_on_to_the_bit(name):
    inputs, targets = torch.randn(32, 3), torch.randn(32, 4)

    def make(net):
        options = {"base_options": {"momentum": 0.9}} if name == "sam" else {}
        return build_optimizer(name, net, parameter_groups(net, lr=0.05, weight_decay=0.0), **options)

    def run(net, optimizer, steps):
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(inputs), targets)
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)

    net = Scale()
    optimizer = make(net)
    run(net, optimizer, 7)
    again = Scale()
    again.load_state_dict(net.state_dict())
    resumed = make(again)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch would share the tensors
    run(net, optimizer, 6)
    run(again, resumed, 6)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest():
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    muon = build_optimizer("muon", net, parameter_groups(net, lr=0.01, weight_decay=0.1))
    held = {id(p) for group in muon.parts[0].param_groups for p in group["params"]}
    assert held == {id(net[1].weight)}
    assert sum(len(group["params"]) for group in muon.param_groups) == len(list(net.parameters()))
    before = [p.detach().clone() for p in net.parameters()]
    net(torch.tensor([[1, 2]])).sum().backward()
    muon.step()
    step = (before[1] - net[1].weight) - 0.01 * 0.1 * before[1]
    values = torch.linalg.svdvals(step.float())
    scale = 0.01 * 0.2 * math.sqrt(4)
    assert (values / scale).max() < 1.3  # Newton-Schulz brings singular values to about 1
    assert all(not torch.equal(a, b) for a, b in zip(before[1:], list(net.parameters())[1:], strict=True))


def test_a_network_without_matrices_is_no_case_for_muon():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ConfigError, match="'muon' is for hidden matrices"):
        build_optimizer("muon", net, parameter_groups(net, lr=0.01, weight_decay=0.1))


@pytest.mark.parametrize("name", ["lbfgs", "schedule_free_sgd", "sam"])
def test_what_is_driven_in_its_own_way_cannot_stand_inside(name):
    net = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=f"'{name}' cannot be wrapped"):
        build_optimizer("sam", net, parameter_groups(net, lr=0.1, weight_decay=0.0), base=name)
