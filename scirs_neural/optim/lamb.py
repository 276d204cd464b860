"""LAMB as its paper has it, through the package `pytorch_optimizer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytorch_optimizer import Lamb
from torch.optim import Optimizer


def lamb(
    params: Iterable[Any],
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    pre_norm: bool = False,
    max_grad_norm: float = 1.0,
    foreach: bool | None = None,
) -> Optimizer:
    """Adam's direction, scaled for each tensor by the ratio of the weights' norm to its own.

    The package's own defaults correct the bias of one moment out of two, and let weights decay outside of the ratio;
    here neither moment is corrected and decay is part of the direction, as in the paper.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        weight_decay: within the trust ratio.
        betas: of the moments.
        eps: in denominators.
        pre_norm: divide gradients by their common norm first, where that is above ``max_grad_norm``.
        max_grad_norm: see there.
        foreach: all tensors of a group at once; None: where that can be done.

    Source: You et al., Large Batch Optimization for Deep Learning, ICLR 2020, algorithm 2 (v3 of the preprint).
    """
    return Lamb(
        params, lr=lr, betas=betas, weight_decay=weight_decay, weight_decouple=False, adam_debias=True,
        eps=eps, pre_norm=pre_norm, max_grad_norm=max_grad_norm, foreach=foreach,
    )  # fmt: skip
