"""What an epoch has added up so far, as part of a checkpoint; and one sum over all ranks when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torch import Tensor
from torch import distributed as dist
from torchmetrics import Metric

from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.training.metrics_file import MetricsFile
from scirs_neural.training.module import Module

_KEY = "epoch_state"
_META = ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph", "add_dataloader_idx")
_REDUCE: dict[str, Callable[..., Any]] = {"mean": torch.mean, "sum": torch.sum, "max": torch.max, "min": torch.min}


class EpochState(L.Callback):
    """Saves and restores the rows of ``metrics.csv`` and the running sums of the values logged in training steps.

    Lightning forgets both: a resumed run would show the average of the rest of an epoch as if it were the whole. Each
    rank has its own sums; the checkpoint holds all of them, and a run with another number of ranks goes on with their
    total. When an epoch ends, values and weights are added up over the ranks: means are those of all samples, however
    unevenly they are spread. (Lightning's ``sync_dist`` averages the ranks' numbers of samples in whole numbers.)

    Args:
        metrics: whose rows they are.
    """

    def __init__(self, metrics: MetricsFile) -> None:
        self.metrics = metrics
        self.pending: dict[str, dict[str, Any]] = {}
        self.pending_metrics: dict[str, dict[str, Any]] = {}

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the state of all ranks in."""
        mine = {"sums": {**_sums(trainer), **self.pending}, "metrics": _metric_states(trainer, module)}
        ranks: list[Any] = [mine]
        if trainer.world_size > 1:
            ranks = [None] * trainer.world_size
            dist.all_gather_object(ranks, mine)
            ranks = ranks[:: trainer.world_size // rank_and_world_size()[1]]  # those that share batches have one sum
        checkpoint[_KEY] = {"rows": [dict(row) for row in self.metrics.rows], "ranks": ranks}

    def on_load_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the state of this rank out."""
        state = checkpoint.get(_KEY, {"rows": [], "ranks": []})
        self.metrics.rows = [dict(row) for row in state["rows"]]
        ranks, (here, num_here) = state["ranks"], rank_and_world_size()
        if len(ranks) == num_here:
            mine = ranks[here]
            self.pending, self.pending_metrics = mine["sums"], mine["metrics"]
        elif here == 0:
            for rank in ranks:
                for key, held in rank["sums"].items():
                    self.pending[key] = _added(self.pending[key], held) if key in self.pending else held

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Give metrics that are logged as objects their state back, and this epoch's values to who monitors them."""
        for row in self.metrics.rows[-1:]:
            if row["epoch"] == trainer.current_epoch:  # it was validated before the run was broken off
                shown = {name: torch.tensor(value) for name, value in row.items() if name not in ("epoch", "step")}
                trainer._logger_connector._callback_metrics.update(shown)
        for name, held in self.pending_metrics.items():
            metric = module.get_submodule(name)
            assert isinstance(metric, Metric)
            metric._update_count = held["updates"]
            for field, value in held["state"].items():
                setattr(metric, field, value)
            metric.to(module.device)
        self.pending_metrics = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add what was summed before the run was broken off, once the same value is logged again."""
        if self.pending:
            results = trainer.fit_loop.epoch_loop._results
            for key in [key for key in self.pending if key in results]:
                _add_to(results[key], self.pending.pop(key))

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Add what was logged only before the run was broken off; then sum over the ranks."""
        results = trainer.fit_loop.epoch_loop._results
        for key, held in self.pending.items():
            results[key] = _restored(held).to(module.device)
        self.pending = {}
        if not isinstance(module, Module):  # it may log its steps alone, and an epoch have fewer than are logged
            shown = {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}
            self.metrics.fill(trainer.current_epoch, {k: v for k, v in shown.items() if f"{k}_epoch" not in shown})
        if trainer.world_size > 1:
            _sum_over_ranks(trainer, module)


def _kept(trainer: L.Trainer) -> dict[str, _ResultMetric]:
    """The values that an epoch's sums are kept of."""
    results = trainer.fit_loop.epoch_loop._results
    return {key: m for key, m in results.items() if m.is_tensor and m.meta.on_epoch and not m.has_reset}


def _sums(trainer: L.Trainer) -> dict[str, dict[str, Any]]:
    found = {}
    for key, metric in _kept(trainer).items():
        reduce = next((name for name, function in _REDUCE.items() if function is metric.meta.reduce_fx), None)
        if reduce is not None:
            meta = {name: getattr(metric.meta, name) for name in _META}
            count = metric.cumulated_batch_size.cpu() if metric.meta.is_mean_reduction else torch.tensor(0)
            found[key] = {"value": metric.value.cpu(), "count": count, "reduce": reduce, "meta": meta}
    return found


def _metric_states(trainer: L.Trainer, module: L.LightningModule) -> dict[str, dict[str, Any]]:
    found = {}
    for metric in trainer.fit_loop.epoch_loop._results.values():
        name = metric.meta.metric_attribute
        if not metric.is_tensor and not metric.has_reset and name is not None and metric.meta.on_epoch:
            held = module.get_submodule(name)
            assert isinstance(held, Metric)
            found[name] = {"state": dict(held.metric_state), "updates": held._update_count}
    return found


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    value = _reduced(one["reduce"], one["value"], other["value"])
    return {**one, "value": value, "count": one["count"] + other["count"]}


def _reduced(reduce: str, one: Tensor, other: Tensor) -> Tensor:
    return one + other if reduce in ("mean", "sum") else _REDUCE[reduce](one, other)


def _add_to(metric: _ResultMetric, held: dict[str, Any]) -> None:
    metric.value = _reduced(held["reduce"], held["value"].to(metric.value.device), metric.value)
    if metric.meta.is_mean_reduction:
        metric.cumulated_batch_size = metric.cumulated_batch_size + held["count"].to(metric.value.device)
    metric._computed = None


def _restored(held: dict[str, Any]) -> _ResultMetric:
    """A logged value as it was, without the step that logged it."""
    meta = _Metadata(**held["meta"], reduce_fx=_REDUCE[held["reduce"]])
    meta.sync = _Sync(_should=False)
    metric = _ResultMetric(meta, True)
    metric._update_count = 1
    _add_to(metric, held)
    return metric


def _sum_over_ranks(trainer: L.Trainer, module: L.LightningModule) -> None:
    means = [m for _, m in sorted(_kept(trainer).items()) if m.meta.is_mean_reduction and not m.meta.sync.should]
    if means:
        flat = torch.stack([torch.stack([m.value.double(), m.cumulated_batch_size.double()]) for m in means])
        flat = flat.to(module.device)
        dist.all_reduce(flat)
        for metric, (value, count) in zip(means, flat, strict=True):
            metric.value, metric.cumulated_batch_size = value, count
            metric._computed = None
