"""Random numbers of a training step as a function of (seed, epoch, step, rank)."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch

from scirs_neural.core.seeding import stream_seed


class StepSeed(L.Callback):
    """Seeds torch before every training step, so that dropout and the like repeat after a resume.

    Saved random state is not enough: Lightning draws the next epoch's numbers before a callback may restore them.

    Args:
        seed: the run's.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed this step."""
        seed = stream_seed("step", self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(seed)
        if module.device.type == "xla":  # whose stream of its own torch does not seed
            import torch_xla

            torch_xla.manual_seed(seed % 2**63)
