"""The learning rate that each step was made with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L


class LearningRate(L.Callback):
    """Logs the head's learning rate: ``lr_step`` at logging steps, ``lr`` (that of the last step) for each epoch.

    Args:
        every: log every so many steps.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.current = 0.0

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Look at the rate before the schedule moves it on."""
        self.current = float(trainer.optimizers[0].param_groups[-1]["lr"])
        if (trainer.global_step + 1) % self.every == 0:
            module.log("lr_step", self.current, on_step=True, on_epoch=False)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Log the rate of the epoch's last step."""
        module.log("lr", self.current)
