"""Muon for the hidden matrices of a network, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.groups import stages
from scirs_neural.optim.wrapper import Wrapper


class MuonAndAdamW(Wrapper):
    """Torch's Muon over the groups that are marked for it, and torch's AdamW over the others, under one rate.

    With ``adjust_lr_fn="match_rms_adamw"`` a Muon step is as long as one of AdamW, so that one learning rate and one
    schedule fit both.

    Args:
        params: groups; those with ``"by_matrix": True`` hold matrices only and go to Muon.
        lr: learning rate of groups that have none.
        weight_decay: of groups that have none.
        momentum: Muon's.
        nesterov: Muon's.
        ns_steps: Newton-Schulz iterations of the orthogonalisation.
        adjust_lr_fn: "match_rms_adamw", or "original" for a rate in Muon's own units.
        betas: AdamW's.
        eps: AdamW's.

    Raises:
        ConfigError: there is no group for Muon.

    Source: Jordan et al., Muon, 2024; Liu et al., Muon is Scalable for LLM Training, 2025.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "match_rms_adamw",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        groups = list(params)
        matrices = [group for group in groups if group.get("by_matrix")]
        others = [group for group in groups if not group.get("by_matrix")]
        if not matrices:
            raise ConfigError(
                "the optimizer 'muon' is for hidden matrices, and this network has none",
                fix="use optimizer=adamw; muon suits transformers and perceptrons, not kernels of convolutions",
            )
        muon = torch.optim.Muon(
            matrices,
            lr,
            weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )
        rest = [torch.optim.AdamW(others, lr, betas, eps, weight_decay)] if others else []
        super().__init__([muon, *rest])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Give a group to AdamW.

        Raises:
            ConfigError: it is marked for Muon, or this optimizer has no AdamW.
        """
        if hasattr(self, "parts") and (param_group.get("by_matrix") or len(self.parts) == 1):
            raise ConfigError("groups of 'muon' cannot be added later, only those of the AdamW beside it")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step with both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of a network's matrices but for its embeddings and its head.

    Example:
        >>> net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        >>> hidden_matrices(net)
        {'1.weight'}
    """
    head = set(stages(model)[-1])
    tables = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
        for name, _ in module.named_parameters(recurse=False)
    }
    return {name for name, p in model.named_parameters() if p.ndim == 2 and name not in head | tables}
