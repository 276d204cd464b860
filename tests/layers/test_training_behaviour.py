"""Layers that act on training rather than on shapes: dropout, MC-dropout, activity penalties."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers import SelfAttention, collect_penalties, create_layer, mc_dropout, mc_predict
from scirs_neural.layers.penalties import ActivityRegularization


@pytest.fixture(scope="session")
def digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return [torch.tensor(part / 16, dtype=torch.float32) for part in split[:2]] + [torch.tensor(y) for y in split[2:]]


@pytest.mark.feature(32)
@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("dropout", {"p": 0.3}, (1000, 100)),
        ("dropout2d", {"p": 0.3}, (2000, 50, 2, 2)),
        ("drop_path", {"p": 0.3, "mode": "row"}, (20000, 8)),
        ("drop_block2d", {"p": 0.1, "block_size": 3}, (300, 8, 16, 16)),
    ],
)
def test_dropout_keeps_the_mean_in_training_and_all_in_evaluation(name, options, shape):
    torch.manual_seed(0)
    layer = create_layer(name, **options)
    x = torch.ones(shape)
    y = layer(x)
    assert (y == 0).any()
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.feature(32)
@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    torch.manual_seed(0)
    x = torch.randn(2000, 50, 2, 2)
    y = create_layer(name, p=0.2)(x)
    assert y.mean().item() == pytest.approx(0.0, abs=0.01)
    assert y.std().item() == pytest.approx(1.0, abs=0.01)


@pytest.mark.feature(33)
@pytest.mark.parametrize(("dims", "size"), [(1, (9,)), (2, (4, 5)), (3, (2, 3, 4))])
def test_spatial_dropout_drops_whole_channels(dims, size):
    torch.manual_seed(0)
    x = torch.randn(16, 32, *size)
    y = create_layer(f"dropout{dims}d", p=0.25)(x)
    dropped = (y == 0).flatten(2).all(-1)
    assert 0.15 < dropped.float().mean() < 0.35
    torch.testing.assert_close(y[~dropped], x[~dropped] / 0.75)


@pytest.mark.feature(32)
def test_mc_dropout_is_more_spread_off_the_distribution(digits):
    torch.manual_seed(0)
    train_x, test_x, train_y, _ = digits
    net = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(train_x), train_y).backward()
        optimizer.step()
    net.eval()
    statistics = copy.deepcopy(net[1].state_dict())
    probabilities = nn.Sequential(net, nn.Softmax(1)).eval()
    mean, spread = mc_predict(probabilities, test_x, samples=30)
    _, noise_spread = mc_predict(probabilities, torch.rand(len(test_x), 64), samples=30)
    torch.testing.assert_close(mean.sum(1), torch.ones(len(test_x)))
    assert noise_spread.mean() > 1.5 * spread.mean()
    assert not any(module.training for module in net.modules())
    for key, value in net[1].state_dict().items():  # batch normalisation saw nothing of it
        assert torch.equal(value, statistics[key])


def test_mc_dropout_finds_dropout_inside_layers():
    attention = SelfAttention(8, 2, dropout=0.5).eval()
    x = torch.randn(2, 5, 8)
    with mc_dropout(attention):
        assert not torch.equal(attention(x), attention(x))
    assert torch.equal(attention(x), attention(x))
    lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5).eval()
    with mc_dropout(lstm):
        assert lstm.training
    assert not lstm.training
    with pytest.raises(ConfigError, match="has no dropout"), mc_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0))):
        pass
    with pytest.raises(ConfigError, match="at least 2 samples"):
        mc_predict(attention, x, samples=1)


@pytest.mark.feature(34)
@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.5), (0.2, 0.3)])
def test_the_loss_grows_by_exactly_the_penalty(l1, l2):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), ActivityRegularization(l1, l2), nn.Linear(6, 2)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    loss = model(x).square().mean()
    hidden = model[:2](x)
    penalty = collect_penalties(model)
    torch.testing.assert_close(penalty, l1 * hidden.abs().mean() + l2 * hidden.square().mean(), rtol=1e-12, atol=0)
    grads = torch.autograd.grad(loss + penalty, model[0].weight)
    plain = nn.Sequential(*model[:2], model[3])
    expected = torch.autograd.grad(
        plain(x).square().mean() + l1 * hidden.abs().mean() + l2 * hidden.square().mean(), model[0].weight
    )
    torch.testing.assert_close(grads, expected, rtol=1e-10, atol=1e-12)
    assert collect_penalties(model).item() == 0.0  # collected once


@pytest.mark.feature(34)
def test_no_cost_in_evaluation_and_export():
    layer = ActivityRegularization(0.1, 0.1)
    model = nn.Sequential(nn.Linear(3, 3), layer).eval()
    x = torch.randn(2, 3)
    assert layer.eval()(x) is x
    model(x)
    assert not layer.waiting
    ops = [node.target for node in torch.export.export(model, (x,)).graph.nodes if node.op == "call_function"]
    assert ops == [torch.ops.aten.linear.default]
    with torch.no_grad():
        layer.train()(x)
    assert not layer.waiting


@pytest.mark.feature(34)
def test_shared_layers_copies_and_forgotten_penalties():
    layer = ActivityRegularization(l1=1.0)
    shared = nn.Sequential(layer, nn.Linear(2, 2), layer)
    shared(torch.ones(1, 2))
    assert len(layer.waiting) == 2
    assert not copy.deepcopy(shared)[0].waiting
    assert not pickle.loads(pickle.dumps(shared))[0].waiting
    collect_penalties(shared)
    for _ in range(64):
        layer(torch.ones(1, 2))
    with pytest.raises(ConfigError, match="never collected"):
        layer(torch.ones(1, 2))
    with pytest.raises(ConfigError, match="must not be negative"):
        ActivityRegularization(l1=-0.1)


@pytest.mark.feature(34)
def test_compiled_training_collects_the_penalty_too():
    model = nn.Sequential(nn.Linear(3, 3), ActivityRegularization(l2=1.0))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 3)
    for _ in range(2):
        loss = compiled(x).sum() * 0 + collect_penalties(model)
        torch.testing.assert_close(loss, model[0](x).square().mean())
        loss.backward()


@pytest.mark.feature(34)
def test_a_larger_penalty_makes_hidden_units_sparser(digits):
    train_x, test_x, train_y, test_y = digits
    sparsity, accuracy = [], []
    for l1 in (0.0, 0.3, 3.0):
        torch.manual_seed(0)
        penalty = create_layer("activity_regularization", l1=l1)
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), penalty, nn.Linear(64, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            loss = F.cross_entropy(model(train_x), train_y) + collect_penalties(model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        sparsity.append((model[:2](test_x) == 0).float().mean().item())
        accuracy.append((model(test_x).argmax(1) == test_y).float().mean().item())
    print(f"digits, l1 0 / 0.3 / 3: hidden units at 0 {sparsity}, accuracy {accuracy}")
    assert sparsity[0] + 0.1 < sparsity[1]
    assert sparsity[1] + 0.1 < sparsity[2]
    assert min(accuracy) > 0.9
