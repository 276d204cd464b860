"""``metrics.csv``: one row an epoch, every column that any epoch had."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from scirs_neural.core.errors import NonFiniteError
from scirs_neural.core.paths import atomic_write
from scirs_neural.training.callbacks.step_guard import FIX

Row = dict[str, float]


class MetricsFile(Logger):
    """Collects what is logged for whole epochs, and writes the file when an epoch is complete.

    Lightning logs an epoch's validation first and its training last, so training values complete a row.

    Only what is logged while `is_open` is kept: the trainer opens it for a fit, not for a later test.

    Args:
        path: of the CSV file; None keeps the rows in memory only.

    Attributes:
        on_row: called with each complete row.
    """

    name, version = "metrics", ""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.path = path
        self.on_row: Callable[[Row], None] | None = None
        self.is_open, self.is_complete = False, True
        self.rows: list[Row] = []  # a resumed run gets them back from its checkpoint (`EpochState`)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder holds the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Take in one set of values; only those of whole epochs of a fit are kept."""
        values = epoch_values(metrics)
        if not self.is_open or "epoch" not in metrics or not values:
            return
        epoch = int(metrics["epoch"])
        if not self.rows or self.rows[-1]["epoch"] != epoch:
            self.complete()
            self.rows.append({"epoch": epoch, "step": step or 0})
        self.is_complete = False
        self.rows[-1] |= {"step": max(step or 0, self.rows[-1]["step"]), **values}  # validations within an epoch, too
        if any(name.startswith("train/") for name in values):
            self.complete()

    def fill(self, epoch: int, values: Mapping[str, float]) -> None:
        """Values of the last step of an epoch, for those that no logging step was due for."""
        if self.rows and self.rows[-1]["epoch"] == epoch:
            self.rows[-1] |= {name: value for name, value in epoch_values(values).items() if name not in self.rows[-1]}

    def complete(self) -> None:
        """Write and show the last row, unless that was done; one of a module that logs no training values ends here."""
        if not self.is_complete:
            self.is_complete = True
            if self.path is not None:
                atomic_write(self.path, format_metrics(self.rows))
            if self.on_row is not None:
                self.on_row(self.rows[-1])


class FiniteGuard(Logger):
    """Stops a run of which a logged loss, such as that of a validation, is not finite; `StepGuard` looks at each step.

    Loggers are given values that are on the host already, so looking at them costs the training step nothing.
    """

    name, version = "finite", ""

    def __init__(self) -> None:
        super().__init__()
        self.last_finite: dict[str, float] = {}

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Look at the losses among the values.

        Raises:
            NonFiniteError: one of them is NaN or infinite.
        """
        for name, value in metrics.items():
            if "loss" not in name:
                continue
            if not math.isfinite(value):
                before = self.last_finite.get(name)
                seen = f"; it was {before:.4g} when last logged" if before is not None else ""
                plain = name.removesuffix("_step").removesuffix("_epoch")
                raise NonFiniteError(f"{plain} became {value} at step {step}{seen}", fix=FIX)
            self.last_finite[name] = value


def epoch_values(metrics: Mapping[str, float]) -> Row:
    """The values of a whole epoch among what Lightning logs, under their plain names.

    Example:
        >>> epoch_values({"epoch": 0, "train/loss_step": 1.0, "train/loss_epoch": 2.0, "val/accuracy": 0.5})
        {'train/loss': 2.0, 'val/accuracy': 0.5}
    """
    kept = {name: value for name, value in metrics.items() if name != "epoch" and not name.endswith("_step")}
    return {name.removesuffix("_epoch"): float(value) for name, value in kept.items()}


def format_metrics(rows: list[Row]) -> str:
    """Rows as CSV; a value that a row lacks is an empty cell."""
    columns = list(dict.fromkeys(["epoch", "step", *(key for row in rows for key in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: int(v) if key in ("epoch", "step") else repr(v) for key, v in row.items()} for row in rows)
    return text.getvalue()
