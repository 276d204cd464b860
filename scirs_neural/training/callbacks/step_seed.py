"""Random numbers of a training step as a function of (seed, epoch, step, rank)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import lightning.pytorch as L
import torch

from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.batching import rank_and_world_size

_BLOCK = 64


class StepSeed(L.Callback):
    """Seeds torch before every training step, so that dropout and the like repeat after a resume.

    Saved random state is not enough: Lightning draws the next epoch's numbers before a callback may restore them.

    Args:
        seed: the run's.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.rank = seed, 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Note which rank's numbers are drawn."""
        self.rank = rank_and_world_size()[0]

    def seed_order(self, trainer: L.Trainer) -> None:
        """Seed what a loader that knows no epochs shuffles by, before its pass over the samples begins."""
        torch.default_generator.manual_seed(stream_seed("order", self.seed, trainer.current_epoch))

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed this step."""
        block, place = divmod(batch_idx, _BLOCK)
        seeds = _step_seeds(self.seed, trainer.current_epoch, block, self.rank)
        seed_streams(seeds[place], module.device)


@lru_cache(maxsize=4)
def _step_seeds(seed: int, epoch: int, block: int, rank: int) -> list[int]:
    """The seeds of some steps in a row: one at a time, they would cost a small network two percent of its time."""
    steps = range(block * _BLOCK, (block + 1) * _BLOCK)
    return [stream_seed("step", seed, epoch, step, rank) for step in steps]


def seed_streams(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on a device draws from.

    That is what `torch.manual_seed` does, without the stack trace that it keeps, for ever, for every device library
    which is not in use yet: a millisecond and some memory each time.

    Args:
        seed: 63 bits.
        device: on which the network is.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type == "xla":  # whose stream of its own torch does not seed
        import torch_xla

        torch_xla.manual_seed(seed % 2**63)
    elif device.type != "cpu":
        torch.manual_seed(seed)
