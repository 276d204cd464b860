"""One optimizer step: its batches, whole or in parts, with the gradient of one batch of them all.

Before the first backward pass it is known of how many items each term of the loss is a mean, in every part and over all
ranks. Each part's terms are weighed by its fraction of those, so the gradient does not depend on how the step is cut.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.optimization.manual import _ManualOptimization
from lightning.pytorch.loops.utilities import _block_parallel_sync_behavior
from lightning.pytorch.trainer import call
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from scirs_neural.core.errors import OutOfMemoryError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.data.context import Batch
from scirs_neural.tasks.task import ALL_OTHERS, count_of
from scirs_neural.training.callbacks.step_seed import seed_streams
from scirs_neural.training.loops.cached import backward_through_cache, check_cacheable
from scirs_neural.training.module import Counts, Module

_FIX = "a smaller data.batch_size with trainer.accumulate_grad_batches, or trainer.activation_checkpointing"
Part = tuple[Batch, Counts]


class Splitting:
    """Into how many parts batches are cut, because they do not fit into memory whole.

    Args:
        on_out_of_memory: "split": halve until the parts fit, and cut later batches as the last one; or "raise".
    """

    def __init__(self, on_out_of_memory: str) -> None:
        self.on_out_of_memory, self.num_parts = on_out_of_memory, 1

    def parts(self, module: Module, group: Sequence[Batch]) -> list[Part]:
        """The parts of a step, with their counts.

        Args:
            module: has the same batches as they were on the CPU, and their counts.
            group: the batches of the step, where the network is.
        """
        if self.num_parts == 1:
            return list(zip(group, module.now.counts, strict=True))
        cut = module.pipeline.split
        pairs = zip(group, module.now.group, strict=True)
        halves = [
            pair
            for here, cpu in pairs
            for pair in zip(cut(here, self.num_parts), cut(cpu, self.num_parts), strict=True)
        ]
        return [(here, module.count(cpu)) for here, cpu in halves]

    def halve(self, trainer: L.Trainer, group: Sequence[Batch], reason: str) -> None:
        """Cut into twice as many parts.

        Raises:
            OutOfMemoryError: one sample alone does not fit, or the ranks cannot agree.
        """
        size = max(len(batch["id"]) for batch in group)
        if self.num_parts >= size:
            raise OutOfMemoryError(f"one sample alone does not fit into memory: {reason}", fix=_FIX)
        if trainer.world_size > 1:
            raise OutOfMemoryError(f"rank {trainer.global_rank} is out of memory: {reason}", fix=_FIX)
        self.num_parts *= 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        has_norm = any(isinstance(part, _BatchNorm) for part in trainer.lightning_module.modules())
        gradient = "; BatchNorm sees smaller batches" if has_norm else ", with the same gradient"
        warnings.warn(
            f"out of memory with {size} samples: batches are computed in {self.num_parts} parts{gradient}. "
            "To have it so from the start: a smaller data.batch_size with trainer.accumulate_grad_batches",
            stacklevel=2,
        )


class StepClosure(Closure):
    """Gradients of one step; an optimizer may ask for them several times.

    Every pass after the first (SAM, L-BFGS) sees the same function of the weights: it draws the same random numbers,
    moves no statistics of BatchNorm, and logs nothing.

    Args:
        trainer: whose step it is.
        splitting: cuts its batches.
        group: its batches, where the network is.
        batch_idx: its place in the epoch.
        optimizer: whose turn it is.
        zero_grad: called once a pass, before gradients are added up.
        phase: which optimizer of several, from 0; None: there is one.
    """

    def __init__(
        self,
        trainer: L.Trainer,
        splitting: Splitting,
        group: Sequence[Batch],
        batch_idx: int,
        optimizer: Optimizer,
        zero_grad: Callable[[], None],
        phase: int | None = None,
    ) -> None:
        super().__init__(step_fn=lambda: ClosureResult(None))
        self.trainer, self.splitting, self.group, self.batch_idx = trainer, splitting, group, batch_idx
        self.optimizer, self.zero_grad, self.phase = optimizer, zero_grad, phase
        self.num_passes = 0

    @property
    def module(self) -> Module:
        """Whose loss it is."""
        module = self.trainer.lightning_module
        assert isinstance(module, Module)
        return module

    @torch.enable_grad()
    def closure(self, *args: Any, **kwargs: Any) -> ClosureResult:
        """Forward and backward of the whole step, in as many parts as fit."""
        self.num_passes += 1
        if self.num_passes == 1:
            return self._attempts()
        with without_trace(self.module):
            return self._attempts()

    def _attempts(self) -> ClosureResult:
        while True:
            try:
                return self._forward_and_backward()
            except torch.OutOfMemoryError as error:
                if self.splitting.on_out_of_memory == "raise":
                    raise
                reason = str(error).splitlines()[0] if str(error) else "out of memory"
            self.splitting.halve(self.trainer, self.group, reason)  # the error held on to what did not fit

    def _forward_and_backward(self) -> ClosureResult:
        module, trainer = self.module, self.trainer
        parts = self.splitting.parts(module, self.group)
        world_size = trainer.world_size
        shares = shares_of([counts for _, counts in parts], module.device, world_size)
        module.now.shares = None
        if module.task.mixes_samples and (len(parts) > 1 or world_size > 1):
            check_cacheable(module, world_size)
            terms = backward_through_cache(
                trainer, module, parts, shares, self.batch_idx, self._seed_anew, self.zero_grad
            )
        else:
            terms = self._add_up(parts, shares)
        module.now.shares = None
        if self.phase is not None and world_size > 1:
            _average_gradients(self.optimizer, world_size)
        counts = [counts for _, counts in parts]
        loss = _sum(terms if world_size == 1 else _as_of_all_ranks(terms, counts, shares, world_size))
        with logging_as(module, "training_step"):
            self._log(loss, terms, counts)
        return ClosureResult(loss)

    def _add_up(self, parts: Sequence[Part], shares: Sequence[Mapping[str, Any] | None]) -> dict[str, Tensor]:
        """Forward and backward of each part; the terms as means over this rank's items."""
        module, trainer, last = self.module, self.trainer, len(parts) - 1
        found: list[dict[str, Tensor]] = []
        for place, ((batch, _), share) in enumerate(zip(parts, shares, strict=True)):
            self._seed(place)
            module.now.shares = share
            with _block_parallel_sync_behavior(trainer.strategy, block=place < last or self.phase is not None):
                if self.phase is None:
                    loss = call._call_strategy_hook(trainer, "training_step", batch, self.batch_idx)
                else:  # not through DDP's wrapper, which wants all parameters to take part
                    with trainer.precision_plugin.train_step_context():
                        loss = call._call_lightning_module_hook(trainer, "training_step", batch, self.batch_idx)
                if place == 0:
                    self.zero_grad()
                call._call_strategy_hook(trainer, "backward", loss, self.optimizer)
            found.append({name: value.detach() for name, value in module.now.terms.items()})
            module.now.terms = {}
        return _means(found, [counts for _, counts in parts])

    def _seed(self, place: int) -> None:
        """Seed a part; the first of a step's first pass is seeded already (`StepSeed`)."""
        if place or self.num_passes > 1 or self.phase:
            self._seed_anew(place)

    def _seed_anew(self, place: int) -> None:
        key = (self.module.seed, self.trainer.current_epoch, self.batch_idx, rank_and_world_size()[0])
        more = [place, self.phase or 0] if place or self.phase else []
        seed_streams(stream_seed("step", *key, *more), self.module.device)

    def _log(self, loss: Tensor, terms: Mapping[str, Tensor], parts: Sequence[Counts]) -> None:
        module = self.module
        names = {name for counts in parts for name in counts}
        counts = {name: _total([count_of(part, name) for part in parts]) for name in names}
        if self.phase is None:
            module.log_step(loss, terms, counts)
        else:
            size: Any = counts[ALL_OTHERS] or 1
            module.log(f"train/loss_{module.now.phase}", loss, on_step=False, on_epoch=True, batch_size=size)


class Optimization(_AutomaticOptimization):
    """Lightning's step with one optimizer; of a `Module`, with the gradient of the whole step.

    Args:
        trainer: whose loop it is.
        splitting: cuts its batches.
    """

    def __init__(self, trainer: L.Trainer, splitting: Splitting) -> None:
        super().__init__(trainer)
        self.splitting = splitting

    def _make_closure(self, kwargs: OrderedDict[str, Any], optimizer: Optimizer, batch_idx: int) -> Closure:
        whole = super()._make_closure(kwargs, optimizer, batch_idx)
        if not isinstance(self.trainer.lightning_module, Module):
            return whole
        assert whole._zero_grad_fn is not None
        group = as_group(kwargs["batch"])
        return StepClosure(self.trainer, self.splitting, group, batch_idx, optimizer, whole._zero_grad_fn)


class Phases(_ManualOptimization):
    """The turns of several optimizers, in one step; the step counts once.

    A plain LightningModule that optimizes by hand is Lightning's affair.

    Args:
        trainer: whose loop it is.
        splitting: cuts its batches.
    """

    def __init__(self, trainer: L.Trainer, splitting: Splitting) -> None:
        super().__init__(trainer)
        self.splitting = splitting

    def run(self, kwargs: OrderedDict[str, Any]) -> dict[str, Any]:
        """Give every optimizer whose turn it is its turn."""
        trainer, module = self.trainer, self.trainer.lightning_module
        if not isinstance(module, Module):
            return super().run(kwargs)
        group, batch_idx, step = as_group(kwargs["batch"]), kwargs["batch_idx"], trainer.global_step
        self.optim_step_progress.increment_ready()
        losses: list[Tensor] = []
        for number, (phase, optimizer) in enumerate(zip(module.phases, trainer.optimizers, strict=True)):
            if step % phase.every:
                continue
            module.now.phase = phase.name
            closure = StepClosure(
                trainer, self.splitting, group, batch_idx, optimizer, optimizer.zero_grad, phase=number
            )
            with only_learning(module, optimizer):
                trainer.strategy.optimizer_step(optimizer, closure, module)
            result = closure.consume_result()
            assert result.loss is not None
            losses.append(result.loss)
            schedule = trainer.lr_scheduler_configs[number].scheduler
            if not hasattr(schedule, "is_better"):  # a plateau's moves with the epoch
                schedule.step()
        self.optim_step_progress.increment_completed()
        if not losses:
            return {}
        loss = torch.stack(losses).sum()
        with logging_as(module, "training_step"):
            size = sum(len(batch["id"]) for batch in group)
            module.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=size)
        return {"loss": loss}


def as_group(batch: Any) -> list[Batch]:
    """The batches of a step: the loader gives a list of them, or the only one."""
    return batch if isinstance(batch, list) else [batch]


def shares_of(parts: Sequence[Counts], device: torch.device, world_size: int = 1) -> list[Mapping[str, Any] | None]:
    """The factor of each term in each part of a step, so that the terms' weighted sum is the mean over all its items.

    Args:
        parts: the counts of this rank's parts.
        device: where ranks add up.
        world_size: ranks; gradients are averaged over them.

    Example:
        >>> shares_of([{"*": 3}, {"*": 1}], torch.device("cpu"))
        [{'*': 0.75}, {'*': 0.25}]
        >>> shares_of([{"*": 3}], torch.device("cpu"))
        [None]
    """
    if len(parts) == 1 and world_size == 1:
        counts = parts[0]
        return [{name: float(count != 0) for name, count in counts.items()} if 0 in counts.values() else None]
    names = sorted({name for counts in parts for name in counts})
    totals: dict[str, Any] = {name: _total([count_of(counts, name) for counts in parts]) for name in names}
    if world_size > 1:
        summed = [name for name in names if totals[name] is not None]
        kind = torch.float32 if device.type == "mps" else torch.float64
        everyones = torch.tensor([totals[name] for name in summed], dtype=kind, device=device)
        dist.all_reduce(everyones)
        totals |= dict(zip(summed, everyones, strict=True))

    def share(counts: Counts, name: str) -> Any:
        count = count_of(counts, name)
        if count is None:
            return float(world_size)
        return 0.0 if count == 0 else count * world_size / totals[name]

    return [{name: share(counts, name) for name in names} for counts in parts]


@contextlib.contextmanager
def only_learning(module: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Let no parameters but those of an optimizer have gradients."""
    mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
    others = [p for p in module.parameters() if p.requires_grad and id(p) not in mine]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def logging_as(module: L.LightningModule, hook: str) -> Iterator[None]:
    """Let `log` work as in one of Lightning's hooks."""
    before, module._current_fx_name = module._current_fx_name, hook
    try:
        yield
    finally:
        module._current_fx_name = before


@contextlib.contextmanager
def without_trace(module: L.LightningModule) -> Iterator[None]:
    """No logging, and no statistics of BatchNorm."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    for part in norms:
        part.track_running_stats = False  # in training mode: normalise by the batch, keep nothing of it
    held = vars(module)
    before: dict[str, Any] = {name: held[name] for name in ("log", "log_dict") if name in held}
    held.update(log=_ignore, log_dict=_ignore)
    try:
        yield
    finally:
        for part in norms:
            part.track_running_stats = True
        del held["log"], held["log_dict"]
        held.update(before)


def _ignore(*args: Any, **kwargs: Any) -> None:
    """In place of a module's `log`."""


def _total(counts: Sequence[float | None]) -> float | None:
    return None if any(count is None for count in counts) else sum(count for count in counts if count is not None)


def _means(found: Sequence[Mapping[str, Tensor]], parts: Sequence[Counts]) -> dict[str, Tensor]:
    """The terms of several parts as means over all their items (sums as sums)."""
    if len(found) == 1:
        counts = parts[0]
        return {k: v for k, v in found[0].items() if count_of(counts, k) != 0} or {
            k: v * 0.0 for k, v in found[0].items()
        }
    names = list(dict.fromkeys(name for terms in found for name in terms))
    means: dict[str, Tensor] = {}
    for name in names:
        counts_of_term = [count_of(counts, name) for counts in parts]
        total = _total(counts_of_term)
        weighed = [
            terms[name].float() * (1.0 if total is None or count is None else count / total)
            for terms, count in zip(found, counts_of_term, strict=True) if name in terms and count != 0
        ]  # fmt: skip
        means[name] = torch.stack(weighed).sum() if weighed else torch.zeros(())
    return means


def _as_of_all_ranks(
    terms: Mapping[str, Tensor], parts: Sequence[Counts], shares: Sequence[Mapping[str, Any] | None], world_size: int
) -> dict[str, Tensor]:
    """A rank's terms scaled so that their mean over ranks, weighed by samples as logged values are, is the step's."""

    def factor(name: str) -> Any:
        if _total([count_of(counts, name) for counts in parts]) is None:
            return world_size
        return sum(count_of(share, name) for share in shares if share is not None)

    return {name: (value * (factor(name) / factor(ALL_OTHERS))).to(value.dtype) for name, value in terms.items()}


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms.values()) if terms else torch.zeros(())


def _average_gradients(optimizer: Optimizer, world_size: int) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world_size
