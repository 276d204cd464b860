"""What training says while it runs: one bar on a terminal, one line an epoch everywhere."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scirs_neural.core import terminal
from scirs_neural.core.paths import from_here
from scirs_neural.training.metrics_file import Row


class EpochLines(L.Callback):
    """Prints one line an epoch, with the values of ``metrics.csv``.

    The line is printed when `MetricsFile` has the epoch's row.

    Args:
        console: where to print.
        monitor: the metric that ranks epochs, and "min" or "max".
        bar: show a progress bar that goes away when the epoch ends.
    """

    def __init__(self, console: Console, monitor: tuple[str, str], max_epochs: int, *, bar: bool) -> None:
        self.console, self.monitor, self.max_epochs, self.with_bar = console, monitor, max_epochs, bar
        self.bar: Progress | None = None
        self.best: float | None = None
        self.started = 0.0
        self.has_head = False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Say where a run goes on, and start the clock: an epoch that goes on has no other start."""
        self.started = time.perf_counter()
        if trainer.ckpt_path is not None:
            place = from_here(Path(trainer.ckpt_path).absolute())
            said = f"goes on from {place}, epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
            self.console.print(said, soft_wrap=True, highlight=False, markup=False)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock and the bar."""
        self.started = time.perf_counter()
        if self.with_bar and trainer.is_global_zero:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=5)
            total = trainer.num_training_batches
            self.task = self.bar.add_task(
                f"epoch {trainer.current_epoch + 1}", total=total if total != float("inf") else None
            )
            self.bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=batch_idx + 1)

    def finish_epoch(self, row: Row) -> None:
        """Take the bar away and print the line of an epoch."""
        self._stop_bar()
        name, mode = self.monitor
        value = row.get(name)
        is_best = (
            value is not None
            and math.isfinite(value)
            and (self.best is None or (value > self.best if mode == "max" else value < self.best))
        )
        self.best = value if is_best else self.best
        names = [key for key in dict.fromkeys(["train/loss", "val/loss", name, *row]) if key not in ("epoch", "step")]
        terminal.epoch_line(
            self.console, int(row["epoch"]) + 1, self.max_epochs, {key: row.get(key) for key in names},
            seconds=time.perf_counter() - self.started, best=is_best, head=not self.has_head,
        )  # fmt: skip
        self.has_head = True

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Leave a clean terminal behind."""
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
