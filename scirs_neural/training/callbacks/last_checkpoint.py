"""``last.ckpt``: what a run goes on from."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn

from scirs_neural.training.callbacks.best_checkpoint import BestCheckpoint
from scirs_neural.training.callbacks.stopping import Stopping


class LastCheckpoint(Checkpoint):
    """Keeps the state after each epoch, every so many steps, and when the run is asked to stop.

    It is only taken at step boundaries (`scirs_neural.training.loops`), so that a run that goes on from it has the bits
    of one that was never broken off.

    Args:
        path: of the file.
        every_n_steps: save within epochs too; None: only after them.
        stopping: says when to stop.
    """

    def __init__(self, path: Path, every_n_steps: int | None, stopping: Stopping) -> None:
        self.path, self.every_n_steps, self.stopping = path, every_n_steps, stopping

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keep the start too, so that there is always something to go on from, or to go back to."""
        is_lazy = any(isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters())
        # Asked for the state of a sharded optimizer that has none yet, torch makes it take a step: that is no start.
        is_sharded = isinstance(trainer.strategy, ModelParallelStrategy)
        if trainer.global_step == 0 and not is_lazy and not is_sharded:
            self._save(trainer)

    def between_steps(self, trainer: L.Trainer) -> None:
        """Save, if it is time; stop, if that is wanted."""
        is_due = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        is_wanted = self.stopping.is_wanted(trainer)
        if is_due or is_wanted:
            self._save(trainer)
        if is_wanted:
            self.stopping.stop(str(self.path))

    def after_epoch(self, trainer: L.Trainer) -> None:
        """Save; stop, if that is wanted and anything is left to do."""
        self._save(trainer)
        if self.stopping.is_wanted(trainer) and not trainer.fit_loop.done:
            self.stopping.stop(str(self.path))

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)


class OnlyCheckpoint(Checkpoint):
    """Keeps the state at the end of a run that has kept none of an epoch: no run ends without its weights.

    Args:
        path: of the file.
        best: what keeps the best epochs, if anything does.
    """

    def __init__(self, path: Path, best: BestCheckpoint | None) -> None:
        self.path, self.best = path, best

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save, if there is nothing."""
        if self.best is None or not self.best.best_model_path:
            trainer.save_checkpoint(self.path, weights_only=False)
