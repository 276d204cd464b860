"""Lookahead, which wraps another optimizer, through the package `pytorch_optimizer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytorch_optimizer import Lookahead
from torch.optim import Optimizer

from scirs_neural.optim.wrapper import make_base


def lookahead(
    params: Iterable[Any],
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    base: str = "adamw",
    base_options: Mapping[str, Any] | None = None,
    k: int = 5,
    alpha: float = 0.5,
    pullback_momentum: str = "none",
) -> Optimizer:
    """Slow weights that go a fraction of the way to the fast ones every few steps.

    Args:
        params: parameters or groups of them.
        lr: learning rate of the base.
        weight_decay: of the base.
        base: registry name of the optimizer of the fast weights.
        base_options: its options.
        k: steps between two moves of the slow weights.
        alpha: how far they go towards the fast ones.
        pullback_momentum: what becomes of the base's momentum then: "none", "reset" or "pullback".

    Source: Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, 2019.
    """
    inside = make_base(base, params, base_options, lr=lr, weight_decay=weight_decay)
    return Lookahead(inside, k=k, alpha=alpha, pullback_momentum=pullback_momentum)
