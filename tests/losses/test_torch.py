"""torch's own losses, built by name: value and gradient equal to the formulas of their papers, written out here."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scirs_neural.losses import LOSSES, create_loss

SHAPES = [(1, 1), (1, 5), (3, 1), (4, 7), (2, 3, 5), (1, 3, 2, 5), (0, 3)]


def hinge(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), without overflow."""
    return hinge(x) + torch.log1p(torch.exp(-x.abs()))


def huber(d: Tensor, delta: float) -> Tensor:
    return torch.where(d.abs() <= delta, d * d / 2, delta * (d.abs() - delta / 2))


def log_factorial(n: Tensor) -> Tensor:
    """Stirling's approximation, as torch takes it: nothing for n of 1 and less."""
    stirling = n * torch.log(n) - n + torch.log(2 * math.pi * n) / 2
    return torch.where(n > 1, stirling, torch.zeros_like(n))


def poisson_full(x: Tensor, y: Tensor) -> Tensor:
    return torch.exp(x) - y * x + log_factorial(y)


# name, options, what the second argument is, the loss of each element
ELEMENTWISE = [
    ("mse", {}, "real", lambda x, y: (x - y) ** 2),
    ("l1", {}, "real", lambda x, y: (x - y).abs()),
    ("mae", {}, "real", lambda x, y: (x - y).abs()),
    ("huber", {}, "real", lambda x, y: huber(x - y, 1.0)),
    ("huber", {"delta": 0.3}, "real", lambda x, y: huber(x - y, 0.3)),
    ("smooth_l1", {"beta": 0.3}, "real", lambda x, y: huber(x - y, 0.3) / 0.3),
    ("poisson_nll", {}, "counts", lambda x, y: torch.exp(x) - y * x),
    ("poisson_nll", {"log_input": True, "full": True}, "counts", poisson_full),
    ("bce_with_logits", {}, "binary", lambda x, y: softplus(x) - x * y),
    ("bce_with_logits", {"pos_weight": 3.0}, "binary", lambda x, y: 3 * y * softplus(-x) + (1 - y) * softplus(x)),
    ("soft_margin", {}, "signs", lambda x, y: softplus(-x * y)),
    ("hinge_embedding", {"margin": 0.4}, "signs", lambda x, y: torch.where(y > 0, x, hinge(0.4 - x))),
    ("kl_div", {"log_target": True}, "real", lambda x, y: torch.exp(y) * (y - x)),
]


def reduced(each: Tensor, reduction: str) -> Tensor:
    return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each


def target_of(kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if kind == "real":
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    drawn = torch.randint(0, 6 if kind == "counts" else 2, shape, generator=generator)
    return (2 * drawn - 1 if kind == "signs" else drawn).to(dtype)


def assert_same(loss, reference, inputs: list[Tensor], dtype: torch.dtype) -> None:
    """Equal values, and equal gradients of every input, for an uneven weighting of the outputs."""
    found = []
    for function in (loss, reference):
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        value = function(*leaves)
        weighting = torch.arange(1, value.numel() + 1, dtype=dtype).reshape(value.shape)
        found.append([value, *torch.autograd.grad((value * weighting).sum(), leaves)])
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-6, "atol": 1e-6}
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, equal_nan=True, **tolerance)  # the mean of nothing is NaN in both


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "kind", "formula"), ELEMENTWISE, ids=lambda held: str(held)[:24])
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # kl_div's mean is over elements: torch warns of it
def test_elementwise(name, options, kind, formula, reduction, dtype):
    as_tensors = {k: torch.tensor(v, dtype=dtype) if k == "pos_weight" else v for k, v in options.items()}
    loss = create_loss(name, reduction=reduction, **as_tensors)
    for shape in SHAPES:
        x = torch.randn(shape, dtype=torch.float64).to(dtype)
        y = target_of(kind, shape, dtype)
        assert_same(lambda x, y=y: loss(x, y), lambda x, y=y: reduced(formula(x, y), reduction), [x], dtype)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_and_gaussians(shape, reduction):
    x, y = torch.rand(shape, dtype=torch.float64) * 0.9 + 0.05, target_of("binary", shape, torch.float64)
    bce = create_loss("bce", reduction=reduction)
    by_hand = lambda x: reduced(-(y * torch.log(x) + (1 - y) * torch.log(1 - x)), reduction)  # noqa: E731
    assert_same(lambda x: bce(x, y), by_hand, [x], torch.float64)
    mean, variance = torch.randn(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64) + 0.1
    gaussian = create_loss("gaussian_nll", reduction=reduction, full=True)
    density = lambda m, v: reduced((torch.log(2 * math.pi * v) + (y - m) ** 2 / v) / 2, reduction)  # noqa: E731
    assert_same(lambda m, v: gaussian(m, y, v), density, [mean, variance], torch.float64)


def one_hot(labels: Tensor, num: int) -> Tensor:
    return torch.eye(num, dtype=torch.float64)[labels]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (4, 7)])
def test_margins(shape, reduction):
    batch, num = shape
    x, labels = torch.randn(shape, dtype=torch.float64), torch.arange(batch) % num
    truth = one_hot(labels, num)

    def multi_margin(x: Tensor) -> Tensor:
        gaps = hinge(1 - (x * truth).sum(1, keepdim=True) + x) ** 2 * (1 - truth)
        return reduced(gaps.sum(1) / num, reduction)

    loss = create_loss("multi_margin", p=2, reduction=reduction)
    assert_same(lambda x: loss(x, labels), multi_margin, [x], torch.float64)

    lists = torch.full(shape, -1)
    lists[:, 0] = labels  # one class each, then the end mark

    def multi_label(x: Tensor) -> Tensor:
        return reduced((hinge(1 - (x * truth).sum(1, keepdim=True) + x) * (1 - truth)).sum(1) / num, reduction)

    margin = create_loss("multi_label_margin", reduction=reduction)
    assert_same(lambda x: margin(x, lists), multi_label, [x], torch.float64)

    soft = create_loss("multi_label_soft_margin", reduction=reduction)
    each = lambda x: reduced((softplus(x) - x * truth).mean(1), reduction)  # noqa: E731
    assert_same(lambda x: soft(x, truth), each, [x], torch.float64)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1, 4), (5, 3), (3, 1)])
def test_pairs_and_triplets(shape, reduction):
    a, b, c = torch.randn(3, *shape, dtype=torch.float64)
    signs = target_of("signs", shape[:1], torch.float64)

    def cosine(a: Tensor, b: Tensor) -> Tensor:
        angle = (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()
        return reduced(torch.where(signs > 0, 1 - angle, hinge(angle - 0.2)), reduction)

    loss = create_loss("cosine_embedding", margin=0.2, reduction=reduction)
    found, by_hand = loss(a, b, signs), cosine(a, b)
    torch.testing.assert_close(found, by_hand, rtol=1e-9, atol=1e-9)  # torch adds 1e-12 under the root

    ranking = create_loss("margin_ranking", margin=0.1, reduction=reduction)
    every = target_of("signs", shape, torch.float64)
    in_order = lambda a, b: reduced(hinge(-every * (a - b) + 0.1), reduction)  # noqa: E731
    assert_same(lambda a, b: ranking(a, b, every), in_order, [a, b], torch.float64)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return ((x - y + 1e-6) ** 2).sum(1).sqrt()

    def triplet(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return reduced(hinge(distance(a, b) - torch.minimum(distance(a, c), distance(b, c)) + 0.5), reduction)

    for name in ("triplet_margin", "triplet_margin_with_distance"):
        options = {"margin": 0.5, "swap": True, "reduction": reduction}
        assert_same(create_loss(name, **options), triplet, [a, b, c], torch.float64)


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (2, 4, 3), (1, 3, 2, 5), (0, 3)])
def test_class_weights_and_ignored_labels(shape, reduction, name):
    x = torch.randn(shape, dtype=torch.float64)
    labels = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    if labels.numel():
        labels.view(-1)[-1] = 1  # and the first is ignored, where there are others
        if labels.numel() > 1:
            labels.view(-1)[0] = -100
    weight = torch.linspace(0.5, 2.0, shape[1], dtype=torch.float64)
    loss = create_loss(name, weight=weight, reduction=reduction)

    def by_hand(x: Tensor) -> Tensor:
        log_p = x - torch.log(torch.exp(x).sum(1, keepdim=True)) if name == "cross_entropy" else x
        kept = labels != -100
        held = labels.clamp(min=0)
        each = -log_p.gather(1, held.unsqueeze(1)).squeeze(1) * weight[held] * kept
        return each.sum() / (weight[held] * kept).sum() if reduction == "mean" else reduced(each, reduction)

    assert_same(lambda x: loss(x, labels), by_hand, [x], torch.float64)


def test_every_loss_of_torch_is_tried_here_or_with_its_family():
    here = {name for name, *_ in ELEMENTWISE} | {
        "bce", "gaussian_nll", "multi_margin", "multi_label_margin", "multi_label_soft_margin", "cosine_embedding",
        "margin_ranking", "triplet_margin", "triplet_margin_with_distance", "cross_entropy", "nll",
    }  # fmt: skip
    torchs = {name for name in LOSSES if LOSSES.get(name).__module__.startswith("torch.")}
    assert torchs - here == {"ctc"}  # against brute force, in test_ctc
