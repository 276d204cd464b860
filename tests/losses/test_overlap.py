"""Dice, Tversky and Lovász against closed forms and against the set function that defines them."""

import itertools

import pytest
import torch
from scipy.optimize import linprog

from scirs_neural.losses import create_loss
from scirs_neural.losses.lovasz import lovasz_weights


def regions(n=3, c=3, pixels=(4, 2)):
    generator = torch.Generator().manual_seed(n)
    logits = torch.randn(n, c, *pixels, generator=generator, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(0, c, (n, *pixels), generator=generator)


def tversky_by_loops(prob, truth, alpha, beta, smooth):
    """One class, pixel by pixel."""
    tp = fp = fn = 0.0
    for p, t in zip(prob.flatten().tolist(), truth.flatten().tolist(), strict=True):
        tp, fp, fn = tp + p * t, fp + p * (1 - t), fn + (1 - p) * t
    return 1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)


@pytest.mark.parametrize(("alpha", "beta", "smooth"), [(0.5, 0.5, 1.0), (0.3, 0.7, 0.0), (1.0, 1.0, 0.1)])
def test_tversky_closed_form(alpha, beta, smooth):
    logits, target = regions()
    prob = logits.softmax(1)
    classes = [tversky_by_loops(prob[:, c], target == c, alpha, beta, smooth) for c in range(3)]
    loss = create_loss("tversky", alpha=alpha, beta=beta, smooth=smooth)
    assert loss(logits, target).item() == pytest.approx(sum(classes) / 3, rel=1e-12)
    focal = create_loss("tversky", alpha=alpha, beta=beta, smooth=smooth, gamma=0.75)
    assert focal(logits, target).item() == pytest.approx(sum(c**0.75 for c in classes) / 3, rel=1e-12)
    samples = [tversky_by_loops(prob[n, c], target[n] == c, alpha, beta, smooth) for n in range(3) for c in range(3)]
    each = create_loss("tversky", alpha=alpha, beta=beta, smooth=smooth, per_sample=True)
    assert each(logits, target).item() == pytest.approx(sum(samples) / 9, rel=1e-12)


def test_dice_closed_form_and_relation_to_jaccard():
    logits, target = regions()
    prob, smooth = logits.softmax(1), 1.0
    dice = []
    for c in range(3):
        p, t = prob[:, c], (target == c).double()
        dice.append(1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth))
    assert create_loss("dice")(logits, target).item() == pytest.approx((sum(dice) / 3).item(), rel=1e-12)


def test_sigmoid_mode_and_ignored_pixels():
    logits, target = regions()
    many = (torch.randn_like(logits) > 0).double()
    by_loops = [tversky_by_loops(logits[:, c].sigmoid(), many[:, c], 0.5, 0.5, 0.5) for c in range(3)]
    assert create_loss("dice", mode="sigmoid")(logits, many).item() == pytest.approx(sum(by_loops) / 3, rel=1e-12)
    target[0] = 255
    for name in ("dice", "lovasz"):
        full = create_loss(name, ignore_index=255)(logits, target)
        assert torch.allclose(full, create_loss(name)(logits[1:], target[1:]), rtol=1e-12)
        (grad,) = torch.autograd.grad(full, logits)
        assert (grad[0] == 0).all()
        assert (grad[1:] != 0).any()


def test_a_class_nowhere_is_a_perfect_score():
    logits = torch.full((1, 2, 3), -30.0)
    assert create_loss("dice", mode="sigmoid", smooth=0.0)(logits, torch.zeros(1, 2, 3)) == pytest.approx(1.0)
    assert create_loss("dice", mode="sigmoid")(logits, torch.zeros(1, 2, 3)).item() == pytest.approx(0.0, abs=1e-6)
    empty = create_loss("dice", mode="sigmoid", smooth=0.0)(torch.full((1, 2, 3), -1e4), torch.zeros(1, 2, 3))
    assert empty == 0


def jaccard_loss(mistakes, truth):
    """The set function: 1 - IoU when exactly these pixels are wrong."""
    total = sum(truth)
    missed = sum(truth[i] for i in mistakes)
    extra = sum(1 - truth[i] for i in mistakes)
    return 0.0 if total + extra == 0 else 1 - (total - missed) / (total + extra)


def lovasz_extension(errors, truth):
    """The extension of a submodular set function, as the largest of the linear functions over all orderings."""
    best = -float("inf")
    for order in itertools.permutations(range(len(errors))):
        value = 0.0
        for k, pixel in enumerate(order):
            value += errors[pixel] * (jaccard_loss(order[: k + 1], truth) - jaccard_loss(order[:k], truth))
        best = max(best, value)
    return best


@pytest.mark.parametrize("truth", list(itertools.product([0, 1], repeat=4)))
def test_lovasz_is_the_extension_of_the_jaccard_loss(truth):
    errors = torch.rand(4, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(truth)))
    ordered, order = errors.sort(descending=True)
    ours = (ordered * lovasz_weights(torch.tensor(truth, dtype=torch.float64)[order])).sum().item()
    assert ours == pytest.approx(lovasz_extension(errors.tolist(), truth), rel=1e-10)


def test_lovasz_is_the_convex_closure():
    """The tightest convex function through the set function's corners, found by a linear programme."""
    truth, errors = (1, 0, 1), (0.2, 0.9, 0.5)
    sets = [s for r in range(4) for s in itertools.combinations(range(3), r)]
    corners = [[1.0 if i in s else 0.0 for s in sets] for i in range(3)] + [[1.0] * len(sets)]
    closure = linprog([jaccard_loss(s, truth) for s in sets], A_eq=corners, b_eq=[*errors, 1.0]).fun
    assert lovasz_extension(errors, truth) == pytest.approx(closure, rel=1e-9)


@pytest.mark.parametrize("mode", ["softmax", "sigmoid", "hinge"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_lovasz_loss_from_the_definition(mode, per_sample):
    logits, target = regions(2, 2, (3,))
    truth = torch.stack([target == c for c in range(2)], 1)
    if mode == "softmax":
        errors = (truth.double() - logits.softmax(1)).abs()
    elif mode == "sigmoid":
        errors = (truth.double() - logits.sigmoid()).abs()
    else:
        errors = (1 - logits * (2.0 * truth - 1)).clamp_min(0)
    groups = [[0], [1]] if per_sample else [[0, 1]]
    values = [
        lovasz_extension(errors[g, c].flatten().tolist(), truth[g, c].flatten().int().tolist())
        for g in groups
        for c in range(2)
    ]
    loss = create_loss("lovasz", mode=mode, classes="all", per_sample=per_sample)
    ours = loss(logits, target if mode == "softmax" else truth)
    assert ours.item() == pytest.approx(sum(values) / len(values), rel=1e-10)


def test_lovasz_of_present_classes_only():
    logits = torch.randn(2, 3, 5, dtype=torch.float64)
    target = torch.tensor([[0, 1, 1, 0, 0], [1, 0, 1, 1, 0]])
    errors = logits.softmax(1)
    present = [
        lovasz_extension(((target == c).double() - errors[:, c]).abs().flatten()[:5].tolist(),
                         (target == c).int().flatten()[:5].tolist())
        for c in range(2)
    ]  # fmt: skip
    assert create_loss("lovasz")(logits[:1], target[:1]).item() == pytest.approx(sum(present) / 2, rel=1e-10)


@pytest.mark.parametrize("name", ["dice", "tversky", "lovasz"])
def test_gradients(name):
    logits, target = regions(2, 3, (3,))
    loss = create_loss(name)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), logits)


@pytest.mark.parametrize("name", ["dice", "tversky", "lovasz"])
def test_a_perfect_prediction_costs_nothing(name):
    _, target = regions()
    logits = 100.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    assert create_loss(name)(logits, target).item() == pytest.approx(0.0, abs=1e-12)
