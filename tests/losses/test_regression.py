"""Regression losses, weights and masks against scikit-learn's figures on its diabetes data."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.losses import WeightedLoss, create_loss, reduce_loss

SKLEARN = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "l1": mean_absolute_error,
    "rmse": root_mean_squared_error,
}


@pytest.fixture(scope="module")
def diabetes():
    x, y = load_diabetes(return_X_y=True)
    return LinearRegression().fit(x, y).predict(x), y


@pytest.mark.feature(43)
@pytest.mark.parametrize("name", SKLEARN)
def test_equals_scikit_learn(name, diabetes):
    prediction, truth = diabetes
    ours = create_loss(name)(torch.tensor(prediction), torch.tensor(truth)).item()
    assert ours == pytest.approx(SKLEARN[name](truth, prediction), rel=1e-12)


@pytest.mark.feature(43)
@pytest.mark.parametrize("name", ["mse", "mae"])
def test_weights_and_masks_equal_scikit_learn(name, diabetes):
    prediction, truth = diabetes
    rng = np.random.default_rng(0)
    weight, mask = rng.uniform(size=len(truth)), rng.uniform(size=len(truth)) < 0.7
    loss = create_loss("weighted", loss=name)
    ours = loss(torch.tensor(prediction), torch.tensor(truth), torch.tensor(weight), torch.tensor(mask)).item()
    assert ours == pytest.approx(SKLEARN[name](truth[mask], prediction[mask], sample_weight=weight[mask]), rel=1e-12)


@pytest.mark.feature(43)
@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth_l1", "poisson_nll", "bce_with_logits"])
def test_what_is_masked_gets_no_gradient_even_if_nan(name):
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    y = torch.rand(5, 3, dtype=torch.float64)
    y[1, 2] = float("nan")
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[3] = False
    loss = create_loss({"name": "weighted", "loss": name, "nan_is_missing": True})(x, y, mask=mask)
    loss.backward()
    gone = ~mask | y.isnan()
    assert (x.grad[gone] == 0).all()
    assert (x.grad[~gone] != 0).all()
    kept = create_loss(name)(x.detach()[~gone], y[~gone])
    assert loss.item() == pytest.approx(kept.item(), rel=1e-12)


def test_masked_sequence_labelling():
    logits, labels = torch.randn(2, 4, 6), torch.randint(0, 4, (2, 6))
    labels[0, 3:] = -1
    loss = WeightedLoss("cross_entropy")(logits, labels, mask=labels >= 0)
    expected = nn.functional.cross_entropy(logits, labels, ignore_index=-1)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("class_weights", [None, [1.0, 3.0, 0.5, 2.0]])
def test_ignored_targets_and_class_weights_count_as_in_torch(class_weights):
    """Case L2."""
    weights = None if class_weights is None else torch.tensor(class_weights)
    users = nn.CrossEntropyLoss(weight=weights, ignore_index=-100)
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, -100, 3, 1])
    loss = WeightedLoss(users)
    expected = nn.functional.cross_entropy(logits, labels, weight=weights)
    assert loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss(logits, labels, weight=torch.ones(5)).item() == pytest.approx(expected.item(), rel=1e-6)
    twice, rows = torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0]), [0, 0, 1, 2, 3, 4]
    expected = nn.functional.cross_entropy(logits[rows], labels[rows], weight=weights)
    assert loss(logits, labels, weight=twice).item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss(logits, torch.full_like(labels, -100)) == 0
    assert users.reduction == "mean", "the user's own is as it was"


def test_sample_weights_of_fewer_dimensions():
    x, y, w = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([1.0, 0.0, 2.0, 1.0])
    ours = WeightedLoss("mse")(x, y, weight=w)
    per_sample = (x - y).square().mean(1)
    assert torch.allclose(ours, (per_sample * w).sum() / w.sum())
    assert torch.equal(WeightedLoss("mse", reduction="none")(x, y, weight=w), (x - y).square() * w[:, None])
    total = WeightedLoss(nn.MSELoss(), reduction="sum")(x, y, weight=w)
    assert torch.allclose(total, ((x - y).square() * w[:, None]).sum())


def test_nothing_counts():
    x = torch.randn(3, requires_grad=True)
    loss = reduce_loss(x.square(), mask=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (x.grad == 0).all()


def test_rmse_at_a_perfect_fit_has_gradient_zero():
    x = torch.ones(3, requires_grad=True)
    loss = create_loss("rmse")(x, torch.ones(3))
    loss.backward()
    assert loss == 0
    assert (x.grad == 0).all()


def test_rmse_gradients():
    x, y = torch.randn(5, dtype=torch.float64, requires_grad=True), torch.randn(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: create_loss("rmse")(x, y), x)
    assert torch.autograd.gradgradcheck(lambda x: create_loss("rmse")(x, y), x)


def test_gradients_of_what_is_weighted_and_masked():
    x, y, w = torch.randn(3, 5, dtype=torch.float64)
    loss, mask = WeightedLoss("mse"), torch.tensor([True, False, True, True, False])
    x.requires_grad_()
    w = w.abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: loss(x, y, w, mask), (x, w))
    assert torch.autograd.gradgradcheck(lambda x, w: loss(x, y, w, mask), (x, w))


@pytest.mark.feature(48)
def test_a_line_with_outliers():
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(-1, 1, 200, dtype=torch.float64)
    y = 2 * x + 0.5 + 0.05 * torch.randn(200, dtype=torch.float64, generator=generator)
    y[180:] -= 8.0  # 10 % outliers, all on one side: they tilt the line

    def slope_error(name, **options):
        line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")
        loss = create_loss(name, **options)

        def closure():
            optimizer.zero_grad()
            value = loss(line[0] * x + line[1], y)
            value.backward()
            return value

        optimizer.step(closure)
        return abs(line[0].item() - 2)

    of_mse = slope_error("mse")
    assert slope_error("huber", delta=0.1) < 0.1 * of_mse
    assert slope_error("smooth_l1", beta=0.1) < 0.1 * of_mse


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: reduce_loss(torch.ones(2), reduction="avg"), ConfigError, "unknown reduction"),
        (lambda: reduce_loss(torch.ones(2), mask=torch.ones(2)), ConfigError, "the mask has dtype"),
        (lambda: reduce_loss(torch.ones(2, 3), weight=torch.ones(3)), ShapeError, "the weight has shape (3,)"),
        (lambda: reduce_loss(torch.ones(2), weight=torch.ones(2, 1)), ShapeError, "expected (2,)"),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
