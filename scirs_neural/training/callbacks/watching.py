"""Somebody who watches a run: told of each validation, and asked whether to go on."""

from __future__ import annotations

from collections.abc import Callable

import lightning.pytorch as L


class PruningCallback(L.Callback):
    """Reports a metric after each validation, and ends the run when told to.

    The run ends as by early stopping: at the end of the epoch, with its checkpoints and figures.

    Args:
        metric: as it is logged, such as "val/accuracy".
        should_prune: called with the epoch (from 0) and the metric's value; says whether to end the run. What it says
            of the last epoch has no effect.
    """

    def __init__(self, metric: str, should_prune: Callable[[int, float], bool]) -> None:
        self.metric, self.should_prune = metric, should_prune
        self.ended_early = False

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Report the epoch's figure."""
        value = trainer.callback_metrics.get(self.metric)
        if trainer.sanity_checking or value is None:
            return
        is_last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        if self.should_prune(trainer.current_epoch, float(value)) and not is_last:
            self.ended_early = trainer.should_stop = True
