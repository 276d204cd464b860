"""A request to stop (SIGTERM, SIGUSR1, Ctrl-C) is noted, and obeyed at a step boundary."""

from __future__ import annotations

import signal
import threading
from typing import Any

import lightning.pytorch as L
from rich.console import Console

from scirs_neural.core.errors import PreemptedError

SIGNALS = tuple(s for name in ("SIGINT", "SIGTERM", "SIGUSR1") if (s := getattr(signal, name, None)) is not None)


class Stopping(L.Callback):
    """Turns signals into a wish to stop that all ranks share.

    The step that runs is ended first, then a checkpoint is kept (`LastCheckpoint`) and the run ends. A second Ctrl-C
    ends it at once, without one.

    Args:
        console: where it is said that the wish was heard.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Listen. Lightning's own handlers, which act in the middle of a step, are taken out for the time."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Listen no more."""
        self._restore()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Listen no more."""
        self._restore()

    def is_wanted(self, trainer: L.Trainer) -> bool:
        """Whether any rank was asked to stop. All ranks must ask together."""
        wanted = self.received is not None
        return bool(trainer.strategy.reduce_boolean_decision(wanted, all=False)) if trainer.world_size > 1 else wanted

    def stop(self, checkpoint: str) -> None:
        """End the run.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            PreemptedError: it was anything else.
        """
        if self.received is signal.SIGINT:
            raise KeyboardInterrupt
        name = self.received.name if self.received is not None else "another rank"
        raise PreemptedError(
            f"stopped by {name}; everything up to here is kept",
            where=checkpoint,
            fix="the same command with trainer.resume=auto goes on",
        )

    def _hear(self, number: int, frame: Any) -> None:
        if self.received is signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if number == signal.SIGINT:
            self.console.print("stopping after this step; press Ctrl-C again to stop at once, without a checkpoint")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
