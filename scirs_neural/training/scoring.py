"""How a pass over a split is judged: its loss, and the metrics of all its predictions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.context import Batch
from scirs_neural.data.pipeline import WEIGHT
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.metrics.named import direction_of, metric_key, named_metric
from scirs_neural.tasks.task import Task, count_of


class EpochScores:
    """The columns and losses of a pass, batch by batch, on the CPU; then its scores, over all ranks.

    Args:
        task: whose they are.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.ids: list[str] = []
        self.parts: dict[str, list[Any]] = {}
        self.losses: dict[str, tuple[Tensor, float]] = {}

    def add_columns(self, batch: Batch, outputs: Any) -> None:
        """Take in the predictions and targets of a batch."""
        columns = {**self.task.to_arrays(outputs, batch), **self.task.target_arrays(outputs, batch)}
        if WEIGHT in batch:
            columns.setdefault(WEIGHT, batch[WEIGHT].double().cpu().numpy())
        self.ids += [str(name) for name in batch["id"]]
        for name, column in columns.items():
            self.parts.setdefault(name, []).append(column)

    def add_losses(self, terms: Mapping[str, Tensor], counts: Mapping[str, float | None]) -> None:
        """Take in the loss of a batch: each term with the number of items that it is a mean of."""
        for name, value in terms.items():
            count = count_of(counts, name)
            if count == 0:
                continue
            size = 1.0 if count is None else count
            total, sizes = self.losses.get(name, (torch.zeros((), device=value.device), 0))
            self.losses[name] = (total + value.detach().float() * size, sizes + size)

    def scores(self, world_size: int = 1, sharing: int = 1) -> dict[str, float]:
        """Loss and metrics by name, in single precision: "loss" first, then metrics by name.

        Args:
            world_size: processes that have parts of the split.
            sharing: so many of them in a row have the same part.
        """
        ids, parts = self.ids, self.parts
        losses = {name: (total.cpu(), size) for name, (total, size) in self.losses.items()}
        if world_size > 1:
            ranks: list[Any] = [None] * world_size
            dist.all_gather_object(ranks, (ids, {k: joined(v) for k, v in parts.items()}, losses))
            ranks = ranks[::sharing]
            ids = [name for held, _, _ in ranks for name in held]
            parts = {name: [held[name] for _, held, _ in ranks if name in held] for _, own, _ in ranks for name in own}
            sums: dict[str, tuple[Tensor, float]] = {}
            for name, (total, size) in ((n, pair) for _, _, held in ranks for n, pair in held.items()):
                before = sums.get(name, (torch.zeros(()), 0))
                sums[name] = (before[0] + total, before[1] + size)
            losses = sums
        found = {}
        if losses:
            found["loss"] = float(sum(total / size for total, size in losses.values()))
        if ids:
            found |= dict(sorted(self._metrics(ids, {name: joined(held) for name, held in parts.items()}).items()))
        return {name: float(np.float32(value)) for name, value in found.items()}

    def _metrics(self, ids: Sequence[str], columns: Mapping[str, Any]) -> dict[str, float]:
        task, named = self.task, self.task.options.get("metrics", ())
        wanted = list(dict.fromkeys([task.main_metric, *task.epoch_metrics, *named]))
        if not all(_is_finite(columns[name]) for name in columns if name not in task.predictions.truth):
            return dict.fromkeys(map(metric_key, wanted), float("nan"))  # such an epoch is never the best
        predictions = task.predictions(ids, columns, task.header())
        values = predictions.score()
        return {metric_key(name): values[name] if name in values else _further(predictions, name) for name in wanted}


def _is_finite(column: Any) -> bool:
    arrays = [column] if isinstance(column, np.ndarray) else column
    return all(np.isfinite(a).all() for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def _further(predictions: Predictions, name: str) -> float:
    """A metric that is named beside the usual ones."""
    scorer = predictions.further(name)
    if scorer is not None:
        return float(scorer(np.ones((1, len(predictions))))[name][0])
    arrays, facts = predictions.arguments(name)
    try:
        return named_metric(name, arrays, **facts)
    except ConfigError as error:  # the run goes on without its value
        warnings.warn(error.what, stacklevel=2)
        return float("nan")


def joined(parts: Sequence[Any]) -> Any:
    """The parts of a column as one: an array, or a list of arrays or texts."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
    return [item for part in parts for item in part]


def direction(task: Task, monitor: str, where: str = "trainer.checkpoint.monitor") -> str:
    """Whether a logged value is to be "max" or "min".

    Args:
        task: whose predictions know the directions of their metrics.
        monitor: such as "val/loss" or "val/accuracy".
        where: the setting that names it, for errors.

    Raises:
        UnknownNameError: no such value will be logged; the error holds near ones.
    """
    known = logged_names(task)
    if monitor not in known:
        near = did_you_mean(monitor, list(known)) or [f"val/{task.main_metric}"]
        fix = f"one of {', '.join(known)}; further metrics are named in task.metrics"
        raise UnknownNameError(f"nothing called '{monitor}' is logged", where=where, suggestions=near, fix=fix)
    name = known[monitor]
    if name is None:
        return "min"
    metrics = task.predictions.metrics_of(task.header())
    return metrics[name] if name in metrics else direction_of(name)


def logged_names(task: Task) -> dict[str, str | None]:
    """What is logged for each epoch: its name, and the metric that it is of; None for losses."""
    names = dict.fromkeys([task.main_metric, *task.epoch_metrics, *task.options.get("metrics", ())])
    losses = ["train/loss", *(["val/loss"] if task.has_eval_loss else [])]
    return {**dict.fromkeys(losses), **{f"val/{metric_key(name)}": name for name in names}}
