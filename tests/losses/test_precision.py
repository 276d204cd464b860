"""Losses written here in float32: value and gradient within 1e-6 of float64, which other tests hold to references."""

import pytest
import torch

from scirs_neural.losses import LOSSES, create_loss

# name: options, what the second argument is, shapes of the first
LABELS = [(1, 3), (5, 3), (2, 3, 7), (1, 3, 2, 5)]
GRID = {
    "rmse": ({}, "real", [(1,), (5, 3), (2, 3, 5)]),
    "weighted": ({"loss": "mse"}, "real", [(1,), (5, 3), (2, 3, 5)]),
    "focal": ({"alpha": [0.2, 0.3, 0.5]}, "labels", LABELS),
    "focal_binary": ({}, "binary", [(1,), (5, 3)]),
    "kl_temperature": ({"temperature": 3.0}, "real", [(1, 3), (5, 7)]),
    "triplet": ({"margin": 1.0}, "classes", [(1, 4), (2, 4), (9, 4)]),
    "contrastive": ({"margin": 2.0}, "pairs", [(1, 2, 4), (5, 2, 4)]),
    "nt_xent": ({}, "classes", [(2, 4), (9, 4)]),
    "info_nce": ({}, "none", [(1, 2, 4), (5, 2, 4)]),
    "supervised_contrastive": ({}, "classes", [(1, 4), (9, 4)]),
    "ctc_sequence": ({}, "texts", [(1, 7, 4), (3, 9, 4)]),
    "dice": ({}, "labels", LABELS),
    "tversky": ({"alpha": 0.3, "beta": 0.7, "gamma": 0.75}, "labels", LABELS),
    "lovasz": ({}, "labels", LABELS),
}


def target_of(kind, shape, generator):
    if kind == "real":
        return torch.randn(shape, generator=generator)
    if kind == "binary":
        return torch.randint(0, 2, shape, generator=generator).float()
    if kind == "labels":
        return torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    if kind == "texts":
        return torch.tensor([[1, 3, -1], [2, 2, 1], [3, -1, -1]])[: shape[0]]
    every = {"classes": 3, "pairs": 2}.get(kind)
    return None if every is None else torch.arange(shape[0]) % every


def test_every_loss_written_here_is_tried():
    assert set(GRID) == {name for name in LOSSES if LOSSES.get(name).__module__.startswith("scirs_neural")}


@pytest.mark.parametrize("name", GRID)
def test_float32_is_near_float64(name):
    options, kind, shapes = GRID[name]
    for shape in shapes:
        generator = torch.Generator().manual_seed(len(shape))
        x, target = torch.randn(shape, generator=generator), target_of(kind, shape, generator)
        found = []
        for dtype in (torch.float32, torch.float64):
            leaf = x.to(dtype).requires_grad_()
            same = target.to(dtype) if target is not None and target.is_floating_point() else target
            value = create_loss(name, **options).to(dtype)(leaf, same)
            found.append((value.detach(), *torch.autograd.grad(value, leaf, materialize_grads=True)))
        for single, double in zip(*found, strict=True):
            assert single.dtype == torch.float32
            error, scale = (single - double).abs().max().item(), max(1.0, double.abs().max().item())
            assert error <= 1e-6 * scale, (shape, error)
