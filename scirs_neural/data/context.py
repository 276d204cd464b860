"""Where a call happens, and all the randomness that it may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scirs_neural.core.seeding import stream_seed

if TYPE_CHECKING:
    from torch import Tensor

Batch = dict[str, Any]
"""A batch: a plain dict of its samples' fields, with "id", a list of N unique names. N is ``len(batch["id"])``."""


@dataclass(frozen=True)
class Context:
    """Stage, seed and position of a call.

    Nothing random is ever saved: every stream of random numbers is a function of what is here and of a sample's id, so
    batch size, order, splitting into parts, ranks and restarts make no difference.

    Args:
        stage: "train", "val", "test" or "predict".
        seed: of the run.
        epoch: counted from 0.
        step: optimizer step within the epoch, counted from 0.
        rank: of this process among those that see different batches.
        phase: which optimizer's turn it is.
        settings: of answering: number of steps, temperature, prompts, threshold.
    """

    stage: str = "predict"
    seed: int = 0
    epoch: int = 0
    step: int = 0
    rank: int = 0
    phase: str = "main"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def seed_of(self, *purpose: object) -> int:
        """A seed for one purpose: a function of the run's seed and the key."""
        return stream_seed(*purpose, self.seed)

    def randn(self, purpose: str, ids: Sequence[str], *shape: int) -> Tensor:
        """Standard normal numbers, a row a sample: a function of (seed, purpose, epoch and step in training, id).

        Shape: (len(ids), *shape).

        Example:
            >>> import torch
            >>> whole = Context(seed=1).randn("noise", ["a", "b"], 3)
            >>> torch.equal(Context(seed=1).randn("noise", ["b"], 3)[0], whole[1])
            True
        """
        return self._rows("randn", purpose, ids, shape)

    def rand(self, purpose: str, ids: Sequence[str], *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), a row a sample; see `randn`.

        Shape: (len(ids), *shape).
        """
        return self._rows("rand", purpose, ids, shape)

    def _rows(self, kind: str, purpose: str, ids: Sequence[str], shape: tuple[int, ...]) -> Tensor:
        import torch

        when = (self.epoch, self.step) if self.stage == "train" else ()
        draw = getattr(torch, kind)
        seeds = (self.seed_of(purpose, *when, name) for name in ids)
        return torch.stack([draw(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
