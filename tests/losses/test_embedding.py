"""Contrastive and triplet losses against pytorch-metric-learning, torch and hand-computed cases."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import nn

from scirs_neural.losses import create_loss
from scirs_neural.losses.triplet import DISTANCES


def batch(n=12, d=5, classes=4):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64, requires_grad=True)
    return x, torch.arange(n) % classes


def assert_same(ours, ref, x):
    assert torch.allclose(ours, ref, rtol=1e-10)
    (grad,) = torch.autograd.grad(ours, x, retain_graph=True)
    (grad_ref,) = torch.autograd.grad(ref, x, retain_graph=True)
    assert torch.allclose(grad, grad_ref, rtol=1e-8, atol=1e-12)


@pytest.mark.feature(46)
def test_margin_contrastive_by_hand():
    pairs = torch.tensor([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.5]]])
    loss = create_loss("contrastive", margin=6.0, reduction="none")
    assert loss(pairs, torch.tensor([1, 0, 0])).tolist() == [25.0, 1.0, 5.5**2]


@pytest.mark.feature(46)
def test_margin_contrastive_equals_pml():
    x, _ = batch(6, 3)
    first, second = torch.randn(2, 6, 3, dtype=torch.float64)
    first.requires_grad_()
    equal = torch.tensor([1, 0, 1, 1, 0, 0])
    ours = create_loss("contrastive", margin=2.0, reduction="sum")(torch.stack([first, second], 1), equal)
    reference = losses.ContrastiveLoss(
        pos_margin=0.0, neg_margin=2.0, distance=distances.LpDistance(normalize_embeddings=False, power=1),
        reducer=reducers.DoNothingReducer(),
    )  # fmt: skip
    anchors, others = torch.arange(6), torch.arange(6)
    pos, neg = equal == 1, equal == 0
    parts = reference(first, indices_tuple=(anchors[pos], others[pos], anchors[neg], others[neg]), ref_emb=second)
    ref = parts["pos_loss"]["losses"].square().sum() + parts["neg_loss"]["losses"].square().sum()
    assert_same(ours, ref, first)
    assert x.shape == (6, 3)


@pytest.mark.feature(46)
@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_nt_xent_equals_pml(temperature):
    x, labels = batch()
    assert_same(
        create_loss("nt_xent", temperature=temperature)(x, labels), losses.NTXentLoss(temperature)(x, labels), x
    )
    views = x.reshape(6, 2, 5)
    own = torch.arange(6).repeat_interleave(2)
    assert_same(create_loss("nt_xent", temperature=temperature)(views), losses.NTXentLoss(temperature)(x, own), x)


@pytest.mark.feature(46)
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_supervised_contrastive_equals_pml(temperature):
    x, labels = batch(11)
    labels[0] = 9  # alone in its class: counts nothing
    ours = create_loss("supervised_contrastive", temperature=temperature)(x, labels)
    reference = losses.SupConLoss(temperature, reducer=reducers.AvgNonZeroReducer())
    assert_same(ours, reference(x, labels), x)


@pytest.mark.feature(46)
def test_info_nce_is_cross_entropy_over_the_batch():
    x, _ = batch()
    query, key = F.normalize(x.reshape(6, 2, 5), dim=-1).unbind(1)
    ours = create_loss("info_nce", temperature=0.2)(x.reshape(6, 2, 5))
    forth, back = (F.cross_entropy(s / 0.2, torch.arange(6)) for s in (query @ key.T, key @ query.T))
    assert_same(ours, (forth + back) / 2, x)
    assert_same(create_loss("info_nce", temperature=0.2, symmetric=False)(x.reshape(6, 2, 5)), forth, x)


@pytest.mark.feature(47)
@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine", "manhattan"])
@pytest.mark.parametrize("mining", ["semi_hard", "all", "hard"])
def test_triplet_mining_equals_pml(mining, distance):
    x, labels = batch(14, 4, 3)
    reference = {
        "euclidean": distances.LpDistance(normalize_embeddings=False),
        "squared": distances.LpDistance(normalize_embeddings=False, power=2),
        "manhattan": distances.LpDistance(normalize_embeddings=False, p=1),
        "cosine": distances.CosineSimilarity(),
    }[distance]
    margin = 0.3
    miner = {
        "semi_hard": miners.TripletMarginMiner(margin, type_of_triplets="semihard", distance=reference),
        "all": miners.TripletMarginMiner(margin, type_of_triplets="all", distance=reference),
        "hard": miners.BatchHardMiner(distance=reference),
    }[mining]
    ref = losses.TripletMarginLoss(margin, distance=reference, reducer=reducers.MeanReducer())
    expected = ref(x, labels, miner(x, labels))
    assert_same(create_loss("triplet", margin=margin, mining=mining, distance=distance)(x, labels), expected, x)


@pytest.mark.feature(47)
def test_torchs_triplet_loss_on_the_same_triplet():
    anchor, positive, negative = torch.randn(3, 1, 4, dtype=torch.float64)
    x = torch.cat([anchor, positive, negative])
    labels = torch.tensor([0, 0, 1])
    ours = create_loss("triplet", margin=5.0, mining="all")(x, labels)
    euclid = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).norm(dim=-1), margin=5.0)
    assert torch.allclose(ours, (euclid(anchor, positive, negative) + euclid(positive, anchor, negative)) / 2)
    assert torch.allclose(create_loss("triplet_margin", margin=5.0)(anchor, positive, negative),
                          euclid(anchor, positive, negative), atol=1e-5)  # fmt: skip


def test_any_distance_of_the_users():
    x, labels = batch()
    doubled = create_loss("triplet", margin=0.4, mining="hard", distance=lambda a, b: 2 * DISTANCES["euclidean"](a, b))
    plain = create_loss("triplet", margin=0.2, mining="hard")
    assert torch.allclose(doubled(x, labels), 2 * plain(x, labels))
    unit = create_loss("triplet", mining="hard", normalize=True)(x, labels)
    assert torch.allclose(unit, create_loss("triplet", mining="hard")(F.normalize(x, dim=-1), labels))


@pytest.mark.parametrize("name", ["nt_xent", "supervised_contrastive", "triplet"])
@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0], [5]])
def test_batches_without_pairs_are_finite(name, labels):
    x = torch.randn(len(labels), 4, requires_grad=True)
    loss = create_loss(name)(x, torch.tensor(labels))
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()


def test_equal_points_have_finite_gradients():
    x = torch.zeros(4, 3, requires_grad=True)
    for mining in ("all", "semi_hard", "hard"):
        create_loss("triplet", mining=mining)(x, torch.tensor([0, 0, 1, 1])).backward()
    create_loss("contrastive")(x.reshape(2, 2, 3), torch.tensor([0, 1])).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["nt_xent", "supervised_contrastive", "info_nce", "triplet", "contrastive"])
def test_gradients(name):
    x, labels = batch(6, 3, 2)
    if name in ("info_nce", "contrastive"):
        x = x.detach().reshape(3, 2, 3).requires_grad_()
        labels = torch.tensor([0, 1, 0])
    loss = create_loss(name, **({"margin": 5.0} if name in ("triplet", "contrastive") else {}))
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), x)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, labels), x)


def test_nt_xent_of_two_perfect_samples_by_hand():
    views = torch.eye(2).repeat_interleave(2, 0).reshape(2, 2, 2)
    assert create_loss("nt_xent", temperature=1.0)(views).item() == pytest.approx(-math.log(math.e / (math.e + 2)))
