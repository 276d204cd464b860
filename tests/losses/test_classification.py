"""Cross-entropy, focal and KL losses against torch, torchvision, SciPy and closed forms."""

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from scipy.special import softmax
from torchvision.ops import sigmoid_focal_loss

from scirs_neural.losses import create_loss

SHAPES = [(1, 2), (5, 3), (2, 4, 7), (3, 3, 5, 1)]


def batch(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    logits = torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits, target


@pytest.mark.feature(44)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_family_against_log_softmax_by_hand(shape):
    logits, target = batch(shape)
    log_p = logits.log_softmax(1)
    one_hot = F.one_hot(target, shape[1]).movedim(-1, 1).to(logits.dtype)
    weight = torch.arange(1.0, shape[1] + 1, dtype=torch.float64)
    of_class = weight.reshape(1, -1, *[1] * (len(shape) - 2))
    plain = -(one_hot * log_p).sum(1).mean()
    weighted = -(one_hot * of_class * log_p).sum() / (one_hot * of_class).sum()
    smooth = 0.8 * one_hot + 0.2 / shape[1]
    assert torch.allclose(create_loss("cross_entropy")(logits, target), plain, rtol=1e-12)
    assert torch.allclose(create_loss("cross_entropy", weight=weight)(logits, target), weighted, rtol=1e-12)
    assert torch.allclose(create_loss("cross_entropy")(logits, smooth), -(smooth * log_p).sum(1).mean(), rtol=1e-12)
    smoothed = create_loss("cross_entropy", label_smoothing=0.2)(logits, target)
    assert torch.allclose(smoothed, -(smooth * log_p).sum(1).mean(), rtol=1e-12)


@pytest.mark.feature(44)
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "nll"])
def test_an_ignored_label_has_gradient_zero(name):
    logits, target = batch((6, 4))
    target[2] = -100
    create_loss(name)(logits.log_softmax(1) if name == "nll" else logits, target).backward()
    assert (logits.grad[2] == 0).all()
    assert (logits.grad[[0, 1, 3, 4, 5]] != 0).any(1).all()


@pytest.mark.feature(44)
def test_bce_with_logits_by_hand():
    logits, _ = batch((5, 3))
    target = (torch.arange(15).reshape(5, 3) % 2).double()
    p = logits.sigmoid()
    by_hand = -(3.0 * target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert torch.allclose(
        create_loss("bce_with_logits", pos_weight=[3.0, 3.0, 3.0])(logits, target), by_hand, rtol=1e-10
    )


@pytest.mark.feature(45)
@pytest.mark.parametrize("shape", SHAPES)
def test_focal_with_gamma_0_is_cross_entropy(shape):
    logits, target = batch(shape)
    target.view(-1)[0] = -100 if target.numel() > 1 else target.view(-1)[0]
    ours, ref = create_loss("focal", gamma=0.0)(logits, target), F.cross_entropy(logits, target)
    assert torch.allclose(ours, ref, rtol=1e-12)
    (grad,) = torch.autograd.grad(ours, logits)
    (grad_ref,) = torch.autograd.grad(ref, logits)
    assert torch.allclose(grad, grad_ref, rtol=1e-10, atol=1e-14)


@pytest.mark.feature(45)
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_by_its_formula(gamma):
    logits, target = batch((4, 3, 5))
    p = logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
    alpha = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    by_hand = -alpha[target] * (1 - p) ** gamma * p.log()
    ours = create_loss("focal", gamma=gamma, alpha=[0.25, 0.5, 0.75], reduction="none").double()(logits, target)
    assert torch.allclose(ours, by_hand, rtol=1e-10)
    one = create_loss("focal", gamma=gamma, alpha=0.25)(logits, target)
    assert torch.allclose(one, 0.25 * (by_hand / alpha[target]).mean(), rtol=1e-10)


@pytest.mark.feature(45)
def test_binary_focal_equals_torchvisions_and_two_class_focal():
    logits = torch.randn(7, 2, dtype=torch.float64)
    target = torch.randint(0, 2, (7, 2)).double()
    for reduction in ("mean", "sum", "none"):
        ref = sigmoid_focal_loss(logits, target, 0.3, 1.5, reduction)
        assert torch.equal(create_loss("focal_binary", alpha=0.3, gamma=1.5, reduction=reduction)(logits, target), ref)
    two = torch.stack([torch.zeros(7, dtype=torch.float64), logits[:, 0]], 1)
    multi = create_loss("focal", gamma=2.0)(two, target[:, 0].long())
    assert torch.allclose(create_loss("focal_binary", alpha=-1.0)(logits[:, 0], target[:, 0]), multi, rtol=1e-10)


def test_focal_of_a_sure_sample_is_finite():
    for gamma in (0.5, 2.0):
        logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
        create_loss("focal", gamma=gamma)(logits, torch.tensor([0, 0])).backward()
        assert logits.grad.isfinite().all()


@pytest.mark.feature(49)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_kl_equals_scipys_entropy(temperature):
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    kl = scipy.stats.entropy(softmax(teacher / temperature, 1), softmax(student / temperature, 1), axis=1).mean()
    loss = create_loss("kl_temperature", temperature=temperature)
    ours = loss(torch.tensor(student), torch.tensor(teacher)).item()
    assert ours == pytest.approx(temperature**2 * kl, rel=1e-10)
    assert loss(torch.tensor(teacher), torch.tensor(teacher)).item() == 0


@pytest.mark.parametrize("name", ["focal", "focal_binary", "kl_temperature"])
def test_gradients(name):
    logits, target = batch((4, 3))
    if name != "focal":
        target = torch.rand(4, 3, dtype=torch.float64).round() if name == "focal_binary" else logits.detach().flip(0)
    loss = create_loss(name)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), logits)
