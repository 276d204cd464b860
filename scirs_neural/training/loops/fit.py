"""Lightning's two training loops, with the boundaries between steps.

A checkpoint that is to be resumed to the bit is taken there and nowhere else: before a batch is fetched, with no
gradient waiting to be added to, and after all that ends an epoch: validation, schedules, the row of ``metrics.csv``.
Lightning's own hooks come too early for that: `on_train_epoch_end` before plateau schedules and the epoch's log, and
`on_exception` in the middle of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import lightning.pytorch as L
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from scirs_neural.training.callbacks.step_seed import StepSeed
from scirs_neural.training.loops.fast_path import FastPath
from scirs_neural.training.loops.logged_values import LoggedValues
from scirs_neural.training.loops.step import Optimization, Phases, Splitting
from scirs_neural.training.module import Module


def seed_order(trainer: L.Trainer) -> None:
    """Let the loaders of a LightningModule of the user's shuffle as they would have without a resume."""
    callbacks: list[L.Callback] = getattr(trainer, "callbacks", [])
    for held in () if isinstance(trainer.lightning_module, Module) else callbacks:
        if isinstance(held, StepSeed):
            held.seed_order(trainer)


class StepBoundary(Protocol):
    """What is called at step boundaries."""

    def between_steps(self, trainer: L.Trainer) -> None:
        """After an optimizer step that is not an epoch's last."""

    def after_epoch(self, trainer: L.Trainer) -> None:
        """After an epoch, its validation and its log."""


class EpochLoop(_TrainingEpochLoop):
    """The loop over batches.

    Args:
        trainer: whose loop it is.
        listeners: called between steps.
        on_out_of_memory: see `Splitting`.
    """

    def __init__(
        self, trainer: L.Trainer, listeners: Sequence[StepBoundary], on_out_of_memory: str, **limits: Any
    ) -> None:
        super().__init__(trainer, **limits)
        self.listeners = listeners
        splitting = Splitting(on_out_of_memory)
        self.automatic_optimization = Optimization(trainer, splitting)
        self.manual_optimization = Phases(trainer, splitting)
        self._results = LoggedValues()

    def run(self, data_fetcher: Any) -> None:
        """An epoch; steps that need nothing unusual are made without Lightning's calls that would do nothing."""
        self.reset()
        if isinstance(self.trainer.lightning_module, Module):
            self.trainer.lightning_module.note_epoch()
        self.on_run_start(data_fetcher)
        seed_order(self.trainer)
        lean = FastPath.planned(self, data_fetcher, self._between_steps)
        while not self.done:
            try:
                if lean is None or not lean.make():
                    self.advance(data_fetcher)
                    self.on_advance_end(data_fetcher)
            except StopIteration:
                break
            finally:
                self.on_iteration_done()

    def advance(self, data_fetcher: Any) -> None:
        """One batch; before it, if a step has just ended, the listeners."""
        ready = self.batch_progress.current.ready
        if ready and not self.restarting and ready % self.trainer.accumulate_grad_batches == 0:
            self._between_steps(self.trainer)
        super().advance(data_fetcher)

    def _between_steps(self, trainer: L.Trainer) -> None:
        for listener in self.listeners:
            listener.between_steps(trainer)

    def _update_learning_rates(self, interval: str, update_plateau_schedulers: bool) -> None:
        """Move plateaus of several optimizers too, which Lightning leaves to the user; `Phases` moves the others."""
        super()._update_learning_rates(interval, update_plateau_schedulers)
        module = self.trainer.lightning_module
        if interval == "epoch" and update_plateau_schedulers and isinstance(module, Module) and len(module.phases) > 1:
            for held, monitor in zip(self.trainer.lr_scheduler_configs, module.monitors, strict=True):
                if monitor is not None:
                    plateau: Any = held.scheduler
                    plateau.step(self.trainer.callback_metrics[monitor])

    def _broadcast_sigterm_tensor(self) -> None:
        """Nothing: ranks agree on when to stop between steps (`Stopping`), not before every batch."""


class FitLoop(_FitLoop):
    """The loop over epochs.

    Args:
        trainer: whose loop it is; its present loop gives the limits.
        listeners: called between steps and after each epoch.
        on_out_of_memory: see `Splitting`.
    """

    def __init__(self, trainer: L.Trainer, listeners: Sequence[StepBoundary], on_out_of_memory: str = "raise") -> None:
        old = trainer.fit_loop
        super().__init__(trainer, min_epochs=old.min_epochs, max_epochs=old.max_epochs)
        limits = {"min_steps": old.epoch_loop.min_steps, "max_steps": old.epoch_loop.max_steps}
        self.epoch_loop = EpochLoop(trainer, listeners, on_out_of_memory, **limits)
        self.listeners = listeners

    def setup_data(self) -> None:
        """Get the loaders; one with workers begins its first pass here."""
        seed_order(self.trainer)
        super().setup_data()

    @_FitLoop.restarting.setter
    def restarting(self, restarting: bool) -> None:
        """A run that stopped after an epoch begins the next one, with a limit of steps too (Lightning skips it)."""
        now: Any = self.epoch_progress.current
        unfinished = now.ready != now.processed or now.started != now.processed
        _Loop.restarting.fset(self, restarting and unfinished)  # type: ignore[attr-defined]

    def on_advance_end(self) -> None:
        """End an epoch; then the listeners. The first one of a resumed run moves plateau schedules too."""
        self._restarting = False  # Lightning would leave them out: it has no metrics of before (`EpochState` has)
        super().on_advance_end()
        for listener in self.listeners:
            listener.after_epoch(self.trainer)
