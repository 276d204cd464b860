"""Gradient clipping by norm, by value, or adaptively; the norm before and after is logged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from scirs_neural.training.distributed.tensor_parallel import by_mesh, is_split


class GradientClipping(L.Callback):
    """Clips gradients before each optimizer step. With mixed precision they are unscaled by then.

    Args:
        limit: the largest norm, the largest value, or the largest ratio of gradient to weight (AGC).
        algorithm: "norm" (of all gradients together), "value" (each entry), or "agc" (each output unit's gradient
            against its weights).
        every: log the norms every so many steps.
    """

    def __init__(self, limit: float, algorithm: str, every: int) -> None:
        self.limit, self.algorithm, self.every = limit, algorithm, every

    def on_before_optimizer_step(self, trainer: L.Trainer, module: L.LightningModule, optimizer: Optimizer) -> None:
        """Clip, and log the norm before and after."""
        if getattr(optimizer, "is_climbing", False):
            return  # SAM's first gradient says where to look, not where to go
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        is_logged = (trainer.global_step + 1) % self.every == 0
        if self.algorithm == "norm":
            before = _norm(parameters)
            for alike in by_mesh(parameters):
                clip_grads_with_norm_(alike, self.limit, before)
        else:
            before = _norm(parameters) if is_logged else torch.tensor(0.0)
            clip_grad_value_(parameters, self.limit) if self.algorithm == "value" else adaptive_clip_(
                parameters, self.limit
            )
        if is_logged:
            module.log("train/grad_norm_step", before)
            module.log("train/grad_norm_clipped_step", _norm(parameters))


def adaptive_clip_(parameters: Iterable[Tensor], ratio: float, eps: float = 1e-3) -> None:
    """Scale each output unit's gradient down to at most ``ratio`` of its weights' norm, in place.

    Source: Brock et al., High-Performance Large-Scale Image Recognition Without Normalization, 2021, eq. 3.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        >>> weight.grad = torch.tensor([[30.0, 40.0], [1.0, 0.0]])
        >>> adaptive_clip_([weight], ratio=0.1)
        >>> weight.grad.norm(dim=1)
        tensor([5.0000e-01, 1.0000e-04])
    """
    for p in parameters:
        if p.grad is None:
            continue
        limit = _unit_norm(p.detach()).clamp_min(eps) * ratio
        p.grad.mul_((limit / _unit_norm(p.grad).clamp_min(1e-12)).clamp_max(1.0))


def _unit_norm(tensor: Tensor) -> Tensor:
    """The norm of each output unit's entries; of a vector, each entry's size."""
    dims = tuple(range(1, tensor.ndim))
    return torch.linalg.vector_norm(tensor, dim=dims, keepdim=True) if dims else tensor.abs()


def _norm(parameters: list[Tensor]) -> Tensor:
    """The norm of all gradients together, wherever their parts lie."""
    groups = by_mesh([p.grad for p in parameters if p.grad is not None])
    norms: list[Any] = [get_total_norm(alike) for alike in groups]
    whole = [norm.full_tensor() if is_split(norm) else norm for norm in norms]
    return whole[0] if len(whole) == 1 else torch.linalg.vector_norm(torch.stack(whole))
