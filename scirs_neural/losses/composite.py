"""A weighted sum of losses that shows its terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError


class Term(NamedTuple):
    """One summand: the name under which it is logged, the loss, and its weight in the sum."""

    name: str
    loss: nn.Module
    weight: float = 1.0


class CompositeLoss(nn.Module):
    """The sum of several losses, each times its weight.

    After each call ``terms`` holds the summands as they were added, detached and in order: their sum is the returned
    value bit for bit. The task logs them.

    Args:
        terms: the summands. Names must differ.

    Shape:
        each term gives a scalar; so does the sum.

    Raises:
        ConfigError: two terms of one name, or none at all.
        ShapeError: a term that gives no scalar (its ``reduction`` is "none").

    Example:
        >>> import torch
        >>> loss = CompositeLoss([Term("mse", nn.MSELoss(), 0.5), Term("l1", nn.L1Loss())])
        >>> loss(torch.tensor([2.0]), torch.tensor([0.0])).item(), {k: v.item() for k, v in loss.terms.items()}
        (4.0, {'mse': 2.0, 'l1': 2.0})
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        super().__init__()
        terms = list(terms)
        names = [term.name for term in terms]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"a sum of losses needs terms of different names, not {names}", fix="name them with as: …"
            )
        self.losses = nn.ModuleList(term.loss for term in terms)
        self.weights = {term.name: term.weight for term in terms}
        self.terms: dict[str, Tensor] = {}

    def forward(self, input: Any, target: Any) -> Tensor:
        """The weighted sum; the summands are in `terms` afterwards."""
        total: Tensor | None = None
        terms: dict[str, Tensor] = {}
        for loss, (name, weight) in zip(self.losses, self.weights.items(), strict=True):
            value = loss(input, target) * weight
            if value.dim() != 0:
                raise ShapeError(
                    f"the loss term '{name}' has shape {tuple(value.shape)}, expected a scalar",
                    fix="give it reduction: mean or sum",
                )
            terms[name] = value.detach()
            total = value if total is None else total + value
        assert total is not None
        self.terms = terms
        return total

    def extra_repr(self) -> str:
        """The weights."""
        return " + ".join(f"{weight:g}*{name}" for name, weight in self.weights.items())
