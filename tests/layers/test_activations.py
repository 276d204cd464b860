import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import create_layer
from scirs_neural.layers.capabilities import has, onnx_works
from scirs_neural.optim.weight_decay import no_decay_names

X = torch.linspace(-6, 6, 101, dtype=torch.float64)
# Formulas written out, apart from torch's functions.
FORMULAS = {
    "relu": lambda x: (x + x.abs()) / 2,
    "relu6": lambda x: ((x + x.abs()) / 2).minimum(torch.tensor(6.0)),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "celu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1)),
    "hardswish": lambda x: x * ((x + 3) / 6).clamp(0, 1),
    "softplus": lambda x: (1 + x.exp()).log(),
    "squared_relu": lambda x: torch.where(x > 0, x * x, 0.0),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "hardsigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "hardtanh": lambda x: x.clamp(-1, 1),
    "log_sigmoid": lambda x: -(1 + (-x).exp()).log(),
    "softsign": lambda x: x / (1 + x.abs()),
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * torch.tanh((1 + x.exp()).log()),
    "silu": lambda x: x / (1 + (-x).exp()),
}
ROWS = {
    35: ["relu", "relu6", "leaky_relu", "elu", "celu", "selu", "hardswish", "softplus", "squared_relu"],
    36: ["sigmoid", "tanh", "hardsigmoid", "hardtanh", "log_sigmoid", "softsign"],
    38: ["gelu"],
    39: ["mish"],
    40: ["silu"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.feature(row)) for row, names in ROWS.items() for name in names]
)
def test_activation_equals_its_formula(name):
    x = X[X != 0].requires_grad_()
    received, expected = create_layer(name)(x), FORMULAS[name](x)
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-10)
    kinks = ~torch.isin(x.detach().round(decimals=9), torch.tensor([-3.0, -1.0, 1.0, 3.0, 6.0, -6.0]).double())
    (a,), (b,) = (torch.autograd.grad(y.sum(), x) for y in (received, expected))
    exact = 1e-8 if name == "hardsigmoid" else 1e-10  # torch keeps its slope 1/6 in float32
    torch.testing.assert_close(a[kinks], b[kinks], rtol=10 * exact, atol=exact)


@pytest.mark.feature(38)
def test_gelu_by_tanh():
    expected = 0.5 * X * (1 + torch.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))
    torch.testing.assert_close(create_layer("gelu", approximate="tanh")(X), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(35)
def test_gradients_at_0():
    for name, slope in [("relu", 0.0), ("leaky_relu", 0.01), ("squared_relu", 0.0), ("elu", 1.0), ("prelu", 0.25)]:
        x = torch.zeros(1, requires_grad=True)
        create_layer(name)(x).sum().backward()
        assert x.grad.item() == pytest.approx(slope)


@pytest.mark.feature(36)
@pytest.mark.parametrize("name", [*ROWS[36], "swish", "snake", "pau", "mish", "gelu", "silu", "softplus"])
def test_large_inputs_stay_finite(name):
    x = torch.tensor([-1e4, 1e4], requires_grad=True)
    y = create_layer(name)(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.feature(37)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("learnable", [True, False])
def test_softmax_with_temperature(temperature, learnable):
    x = torch.randn(4, 5, dtype=torch.float64)
    layer = create_layer("temperature_softmax", dim=1, temperature=temperature, learnable=learnable).double()
    expected = (x / temperature).exp() / (x / temperature).exp().sum(1, keepdim=True)
    torch.testing.assert_close(layer(x), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(layer(x).sum(1), torch.ones(4).double())
    log = create_layer("temperature_softmax", dim=1, temperature=temperature, log=True).double()
    torch.testing.assert_close(log(x), expected.log(), rtol=1e-6, atol=1e-6)
    assert len(list(layer.parameters())) == learnable
    with pytest.raises(ConfigError, match="above 0"):
        create_layer("temperature_softmax", dim=1, temperature=0.0)


@pytest.mark.feature(37)
def test_softmax_of_large_logits_is_finite():
    x = torch.tensor([[1e4, -1e4, 1e4]])
    for name in ("softmax", "temperature_softmax"):
        assert create_layer(name, dim=1)(x).tolist() == [[0.5, 0.0, 0.5]]
    assert create_layer("log_softmax", dim=1)(x).isfinite().all()


@pytest.mark.feature(40)
def test_swish_with_beta_1_is_silu_and_beta_trains():
    layer = create_layer("swish").double()
    torch.testing.assert_close(layer(X), F.silu(X), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(create_layer("swish", beta=0.0).double()(X), X / 2)
    target = X * torch.sigmoid(2.5 * X)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        F.mse_loss(layer(X), target).backward()
        optimizer.step()
    assert layer.beta.item() == pytest.approx(2.5, abs=0.05)


@pytest.mark.feature(41)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 5.0])
def test_snake_equals_its_formula(alpha):
    layer = create_layer("snake", 2, alpha=alpha).double()
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x + torch.sin(alpha * x) ** 2 / alpha, rtol=1e-10, atol=0)
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(layer(x)[:, 1], x[:, 1] + torch.sin(2 * x[:, 1]) ** 2 / 2)
    last = create_layer("snake", 4, dim=-1)
    assert last(torch.zeros(2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(ShapeError, match="expected 2 channels in dimension 1"):
        layer(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match="must not be 0"):
        create_layer("snake", alpha=0.0)


@pytest.mark.feature(42)
@pytest.mark.parametrize(
    ("name", "gate"), [("glu", torch.sigmoid), ("reglu", torch.relu), ("geglu", F.gelu), ("swiglu", F.silu)]
)
def test_gated_units(name, gate):
    x = torch.randn(3, 8, 5)
    torch.testing.assert_close(create_layer(name, dim=1)(x), x[:, :4] * gate(x[:, 4:]))
    if name != "glu":
        with pytest.raises(ShapeError, match="expects an even size in dimension -1"):
            create_layer(name)(x)


@pytest.mark.feature(42)
def test_pau_learns_a_function():
    layer = create_layer("pau")
    x = X[25:76].float()  # -3 .. 3
    assert (layer(x[10:41]) - F.leaky_relu(x[10:41])).abs().max() < 0.1  # where it starts
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        F.mse_loss(layer(x), torch.tanh(x)).backward()
        optimizer.step()
    assert F.mse_loss(layer(x), torch.tanh(x)) < 1e-3


@pytest.mark.feature(42)
@pytest.mark.parametrize("name", ["prelu", "swish", "snake", "pau"])
def test_parameters_of_activations_do_not_decay(name):
    model = nn.Sequential(nn.Linear(3, 4), create_layer(name))
    names = {key for key, _ in model.named_parameters() if key.startswith("1.")}
    assert names
    assert names <= no_decay_names(model)
    assert names <= set(model.state_dict())
    assert "0.weight" not in no_decay_names(model)


@pytest.mark.slow
@pytest.mark.feature(42)
@pytest.mark.parametrize("name", ["prelu", "swish", "snake", "pau", "glu", "geglu"])
def test_parametric_activations_become_onnx(name):
    assert has(onnx_works, name)


def extrapolation_error(activation):
    """Fit a sine on [-10, 10], give the error on (10, 20]."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(1, 64), create_layer(**activation), nn.Linear(64, 64), create_layer(**activation), nn.Linear(64, 1)
    )
    x = torch.linspace(-10, 10, 256)[:, None]
    steps = 1000
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(net(x), torch.sin(x)).backward()
        optimizer.step()
        schedule.step()
    beyond = torch.linspace(10, 20, 256)[:, None]
    with torch.no_grad():
        return F.mse_loss(net(beyond), torch.sin(beyond)).sqrt().item()


@pytest.mark.feature(41)
def test_snake_extrapolates_a_sine_where_others_fail():
    snake = extrapolation_error({"name": "snake", "num_parameters": 64, "dim": -1})
    others = [extrapolation_error({"name": "relu"}), extrapolation_error({"name": "tanh"})]
    print("RMSE beyond the range: snake", snake, "relu, tanh", others)
    assert snake * 5 <= min(others)


def co2_error(months, ppm, activation, seed):
    """Fit monthly CO2 of 1976 to 1980, give the error in ppm on 1981 to 1985. One recipe for every activation."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(1, 64), create_layer(**activation), nn.Linear(64, 64), create_layer(**activation), nn.Linear(64, 1)
    )
    known, beyond = months < 1981, months >= 1981
    x = 2 * math.pi * (months - 1978.5)[:, None]  # a year is one turn
    mean, std = ppm[known].mean(), ppm[known].std()
    y, steps = ((ppm - mean) / std)[:, None], 3000
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x[known]), y[known]) + 0.01 * net[-1].weight.abs().sum()  # few waves rather than many
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return (std * F.mse_loss(net(x[beyond]), y[beyond]).sqrt()).item()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.feature(41)
def test_snake_extrapolates_monthly_co2_where_others_fail():
    """Mauna Loa (Keeling and Whorf), five years known, the next five foretold: mean error over three seeds.

    From 1966, 1976 and 1981 on it is 5 to 8 times better than the better of both; from 1986 on only 3 times, because
    the growth itself slowed after Pinatubo.
    """
    co2 = pytest.importorskip("statsmodels.datasets.co2")
    monthly = co2.load_pandas().data["co2"]["1976":"1985"].resample("MS").mean()
    assert len(monthly.dropna()) == 120
    months = torch.tensor([when.year + (when.month - 0.5) / 12 for when in monthly.index], dtype=torch.float32)
    ppm = torch.tensor(monthly.to_numpy(), dtype=torch.float32)
    kinds = {name: {"name": name} for name in ("snake", "relu", "tanh")}
    kinds["snake"] |= {"num_parameters": 64, "dim": -1}
    errors = {name: sum(co2_error(months, ppm, kind, seed) for seed in range(3)) / 3 for name, kind in kinds.items()}
    print("monthly CO2, RMSE in ppm over five years beyond the range:", errors)
    assert errors["snake"] * 5 <= min(errors["relu"], errors["tanh"])
