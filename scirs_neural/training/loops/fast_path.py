"""A training step without the calls that would do nothing.

Lightning asks some sixty hooks, opens thirty profiler contexts and inspects signatures in every step: about a
millisecond, which a large network never notices and a small one pays several times over. What a run needs of all that
does not change between steps. So it is looked up once an epoch, and if it is one of the common cases, steps that are
neither the first nor the last of their epoch make these calls and no others, in Lightning's order. The numbers are the
same to the bit, and so are checkpoints, callbacks and logs.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.core.hooks import DataHooks
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.loops.optimization.automatic import ClosureResult
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from scirs_neural.optim.build import traits
from scirs_neural.training.feeding import Groups
from scirs_neural.training.loops.logged_values import LIMIT, LoggedValues
from scirs_neural.training.loops.step import Optimization, shares_of
from scirs_neural.training.module import Module

_CALLBACK_HOOKS = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_train_batch_end",
)  # fmt: skip
_MODULE_HOOKS = (
    *_CALLBACK_HOOKS, "optimizer_step", "optimizer_zero_grad", "backward", "configure_gradient_clipping",
    "lr_scheduler_step", "log", "log_dict",
)  # fmt: skip
_TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class FastPath:
    """The steps of an epoch that need nothing unusual.

    Args:
        loop: whose steps they are; its sums are `LoggedValues`.
        fetcher: where batches come from.
        between_steps: called before each step but the first.

    Use `planned`, which says whether a run is one of the common cases.
    """

    def __init__(
        self, loop: _TrainingEpochLoop, fetcher: _PrefetchDataFetcher, between_steps: Callable[[L.Trainer], None]
    ) -> None:
        trainer: Any = loop.trainer  # its attributes are set by functions that type checkers do not see
        module, precision = trainer.lightning_module, trainer.precision_plugin
        iterator, results, optimization = fetcher.combined_loader._iterator, loop._results, loop.automatic_optimization
        assert iterator is not None
        assert isinstance(results, LoggedValues)
        assert isinstance(optimization, Optimization)
        self.loop, self.trainer, self.module, self.between_steps = loop, trainer, module, between_steps
        self.results, self.log = results, results.deferred_log(module)
        self.fetcher, self.iterator, self.source = fetcher, iterator, iterator.iterators[0]
        self.is_on_cpu = trainer.strategy.root_device.type == "cpu"
        self.hooks = {name: _overridden(trainer.callbacks, name) for name in _CALLBACK_HOOKS}
        self.takes_index = len(loop._build_kwargs(OrderedDict(), None, 0)) > 1
        self.host = module if isinstance(module, Module) else None  # whose losses are weighed and logged here
        self.training_step = module.training_step
        if type(precision) is not Precision:
            self.training_step = _within(precision.forward_context, module.training_step)
        self.optimization, self.optimizer = optimization, trainer.optimizers[0]
        is_torchs = type(self.optimizer).zero_grad is torch.optim.Optimizer.zero_grad
        self.zero_grad = self._drop_gradients if is_torchs else self.optimizer.zero_grad
        self.schedules: list[Any] = [held for held in trainer.lr_scheduler_configs if held.interval == "step"]
        self.log_every = trainer.log_every_n_steps or sys.maxsize
        self.is_limited = loop.max_steps != -1
        self.arguments: tuple[Any, ...] = ()
        self.output: dict[str, Any] = {}

    @classmethod
    def planned(
        cls, loop: _TrainingEpochLoop, fetcher: Any, between_steps: Callable[[L.Trainer], None]
    ) -> FastPath | None:
        """Lean steps, if this run is one of the common cases: one process, one optimizer, one batch a step."""
        trainer: Any = loop.trainer
        module, precision = trainer.lightning_module, trainer.precision_plugin
        base: Any = DataHooks
        if isinstance(module, Module):
            base = Module
            if traits(module.optimizer_settings.name).get("needs_closure"):
                return None  # its passes are `StepClosure`'s
        plain_precision = type(precision) is Precision or (
            type(precision) is MixedPrecision and precision.scaler is None
        )
        is_common = (
            type(trainer.strategy) is SingleDeviceStrategy
            and plain_precision
            and trainer.accumulate_grad_batches == 1
            and trainer.gradient_clip_val is None
            and isinstance(trainer.profiler, PassThroughProfiler)
            and type(fetcher) is _PrefetchDataFetcher
            and fetcher.length is not None
            and not isinstance(fetcher.combined_loader.iterables, list | tuple | dict)  # one loader
            and module.automatic_optimization
            and len(trainer.optimizers) == 1
            and not any(held.reduce_on_plateau and held.interval == "step" for held in trainer.lr_scheduler_configs)
            and trainer.val_check_batch in (trainer.num_training_batches, float("inf"))
            and trainer._val_check_time_interval is None
            and not trainer.fast_dev_run
            and not any(_differs(module, L.LightningModule, name) for name in _MODULE_HOOKS)
            and not isinstance(fetcher.combined_loader.iterables, Groups)
            and not any(_differs(module, base, name) for name in _TRANSFER_HOOKS)
            and not any(_differs(trainer.datamodule, DataHooks, name) for name in _TRANSFER_HOOKS if trainer.datamodule)
        )
        return cls(loop, fetcher, between_steps) if is_common else None

    def make(self) -> bool:
        """Make steps until one comes up that is not for here; say whether any was made."""
        loop, trainer, held_by_module = self.loop, self.trainer, vars(self.module)
        num_steps = self._num_ahead()
        if num_steps < 1:
            return False
        fx_before = held_by_module["_current_fx_name"]
        held_by_module["log"] = self.log
        try:
            for _ in range(num_steps):
                is_last = self._step()
                if is_last or self.optimization.splitting.num_parts > 1:
                    break
        finally:
            del held_by_module["log"]
            held_by_module["_current_fx_name"] = fx_before
        if trainer.should_stop:
            loop.on_advance_end(self.fetcher)  # which may validate
        return True

    def _num_ahead(self) -> int:
        """How many steps come up that are neither the first nor the last of their epoch."""
        loop, fetcher = self.loop, self.fetcher
        is_first = self.trainer._logger_connector._first_loop_iter is None
        if is_first or loop._restarting or self.optimization.splitting.num_parts > 1:
            return 0
        assert fetcher.length is not None
        in_epoch = self.trainer.num_training_batches - loop.batch_progress.current.ready
        return int(min(fetcher.length - fetcher.fetched, in_epoch)) - 1

    def _step(self) -> bool:
        """Make one; say whether the run is to end with it."""
        loop, trainer, results = self.loop, self.trainer, self.results
        connector, progress = trainer._logger_connector, loop.batch_progress
        self.between_steps(trainer)
        batch = self._next_batch()
        progress.is_last_batch = False
        batch_idx = progress.current.ready
        self.arguments = (batch, batch_idx) if self.takes_index else (batch,)
        progress.increment_ready()
        connector._first_loop_iter = False
        results.batch, results.batch_size = batch, None
        self._call("on_train_batch_start", batch, batch_idx)
        progress.increment_started()
        output = self._optimize()
        progress.increment_processed()
        if self.schedules:
            self._move_schedules(batch_idx)
        self._call("on_train_batch_end", output, batch, batch_idx)
        is_last = trainer.should_stop or (self.is_limited and loop._is_training_done)
        is_logged = (loop._batches_that_stepped + 1) % self.log_every == 0 or trainer.should_stop
        if is_logged or is_last:
            connector.on_batch_end()
        elif len(results.waiting) >= LIMIT:
            results.flush()
        results.batch = None
        self.arguments = ()
        progress.increment_completed()
        if is_logged:
            connector.update_train_step_metrics()
        if not trainer.should_stop:
            loop._batches_that_stepped += 1
        return is_last

    def _next_batch(self) -> Any:
        try:
            batch = next(self.source)
        except StopIteration:
            self.fetcher.done = True
            raise
        self.fetcher.fetched += 1
        self.iterator._idx += 1
        if self.host is not None:
            if self.host.has_rows:
                batch = self.host.with_rows(batch)
            self._count(batch)
        return batch if self.is_on_cpu else self.trainer.strategy.batch_to_device(batch, dataloader_idx=0)

    def _count(self, batch: Any) -> None:
        """What `Module.on_before_batch_transfer` does, of one batch; a term without items is left out."""
        host = self.host
        assert host is not None
        counts = host.count(batch)
        now = host.now
        now.group, now.counts = [batch], [counts]
        now.shares = shares_of(now.counts, host.device)[0] if 0 in counts.values() else None

    def _move_schedules(self, batch_idx: int) -> None:
        progress = self.loop.scheduler_progress
        for held in self.schedules:
            if (batch_idx + 1) % held.frequency == 0:
                progress.increment_ready()
                held.scheduler.step()
                progress.increment_completed()

    def _optimize(self) -> dict[str, Any]:
        """Forward, backward and the optimizer's step; what the training step gave, its loss without its graph."""
        progress = self.optimization.optim_progress.optimizer.step
        progress.increment_ready()
        self.optimizer.step(self._closure)
        progress.increment_completed()
        output, self.output = self.output, {}
        return output

    def _closure(self) -> Tensor | None:
        num_waiting = len(self.results.waiting)
        try:
            self._forward_and_backward()
            is_split = False
        except torch.OutOfMemoryError:
            if self.host is None or self.optimization.splitting.on_out_of_memory == "raise":
                raise
            is_split = True
        if is_split:  # not in the handler: the error holds on to the tensors that did not fit
            del self.results.waiting[num_waiting:]
            batch, batch_idx = self.results.batch, self.loop.batch_idx
            kwargs = self.loop._build_kwargs(OrderedDict(), batch, batch_idx)
            whole = self.optimization._make_closure(kwargs, self.optimizer, batch_idx)
            self.output = whole.closure().asdict()
        self._call("on_before_optimizer_step", self.optimizer)
        return self.output.get("loss")

    def _forward_and_backward(self) -> None:
        optimizer, gradients = self.optimizer, self.optimization.optim_progress.optimizer.zero_grad
        vars(self.module)["_current_fx_name"] = "training_step"
        given = self.training_step(*self.arguments)
        loss: Tensor | None
        if isinstance(given, Tensor):
            loss, self.output = given, {"loss": given.detach()}
        else:
            result = ClosureResult.from_training_step_output(given)
            loss, self.output = result.closure_loss, {} if result.loss is None else result.asdict()
        gradients.increment_ready()
        self._call("on_before_zero_grad", optimizer)
        gradients.increment_started()
        self.zero_grad()
        gradients.increment_completed()
        if loss is not None:
            self._call("on_before_backward", loss)
            loss.backward()
            self._call("on_after_backward")
        if self.host is not None:
            vars(self.module)["_current_fx_name"] = "training_step"
            now = self.host.now
            self.host.log_step(self.output["loss"], now.terms, now.counts[0])
            now.terms = {}

    def _drop_gradients(self) -> None:
        """What torch's `zero_grad` does, without its entry for the profiler: a twentieth of a small step."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _call(self, name: str, *args: Any) -> None:
        """Call the callbacks that have something to do there."""
        if hooks := self.hooks[name]:
            vars(self.module)["_current_fx_name"] = name
            for hook in hooks:
                hook(self.trainer, self.module, *args)


def _within(context: Callable[[], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def inside(*args: Any) -> Any:
        with context():
            return function(*args)

    return inside


def _overridden(callbacks: Sequence[L.Callback], name: str) -> list[Callable[..., Any]]:
    return [getattr(held, name) for held in callbacks if _differs(held, L.Callback, name)]


def _differs(held: Any, base: type, name: str) -> bool:
    """Whether an object has something else of that name than its base class."""
    return name in vars(held) or getattr(type(held), name, None) is not getattr(base, name)
