"""A batch that does not fit into memory is computed in parts, with the gradient of the whole."""

from __future__ import annotations

import gc
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from scirs_neural.core.errors import OutOfMemoryError
from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.data.loader import ResumableLoader
from scirs_neural.training.step_weights import step_weights

_FIX = "a smaller data.batch_size with trainer.accumulate_grad_batches, or trainer.activation_checkpointing"


class SplittingClosure(Closure):
    """Forward and backward of one batch, whole or in parts.

    Each part's loss is weighted by its share of the samples, so a loss that is a mean over samples has the same
    gradient. BatchNorm sees the parts, not the whole: its statistics, and so the gradient, are of smaller batches.

    Args:
        loop: whose closure it is; remembers into how many parts batches are split.
        kwargs: those of the training step.
        whole: Lightning's closure for the whole batch.
    """

    def __init__(self, loop: Optimization, kwargs: OrderedDict[str, Any], whole: Closure) -> None:
        super().__init__(whole._step_fn, self._note_backward if whole._backward_fn else None, whole._zero_grad_fn)
        self.loop, self.kwargs, self.whole = loop, kwargs, whole
        self.has_gradients = False

    def closure(self, *args: Any, **kwargs: Any) -> ClosureResult:
        """The batch as a whole, or in as many parts as fit."""
        logged = self._logged()
        while True:
            try:
                return super().closure(*args, **kwargs) if self.loop.parts == 1 else self._in_parts()
            except torch.OutOfMemoryError as error:
                reason = str(error).splitlines()[0] if str(error) else "out of memory"
            self._halve(reason)  # not in the handler: the error holds on to the tensors that did not fit
            self._forget(logged)

    @torch.enable_grad()
    def _in_parts(self) -> ClosureResult:
        batch = self.kwargs["batch"]
        size = _num_samples(batch)
        if self._zero_grad_fn is not None:
            self._zero_grad_fn()
        total: Tensor | None = None
        for part in _split(batch, self.loop.parts):
            result = self.loop.part_step(self.kwargs, part)
            if result.closure_loss is not None and self.whole._backward_fn is not None:
                loss = result.closure_loss * (_num_samples(part) / size)
                self._note_backward(loss)
                total = loss.detach() if total is None else total + loss.detach()
        return ClosureResult(total)

    def _halve(self, reason: str) -> None:
        trainer, size = self.loop.trainer, _num_samples(self.kwargs["batch"])
        if self.loop.parts >= size:
            raise OutOfMemoryError(f"one sample alone does not fit into memory: {reason}", fix=_FIX)
        if trainer.world_size > 1:
            raise OutOfMemoryError(f"rank {trainer.global_rank} is out of memory: {reason}", fix=_FIX)
        if self._zero_grad_fn is None and self.has_gradients:
            fix = f"{_FIX}; within a group of accumulated batches none can be computed again"
            raise OutOfMemoryError(f"out of memory: {reason}", fix=fix)
        self.loop.parts *= 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        has_norm = any(isinstance(part, _BatchNorm) for part in trainer.lightning_module.modules())
        gradient = "; BatchNorm sees smaller batches" if has_norm else ", with the same gradient"
        warnings.warn(
            f"out of memory with {size} samples: batches are computed in {self.loop.parts} parts{gradient}. "
            "To have it so from the start: a smaller data.batch_size with trainer.accumulate_grad_batches",
            stacklevel=2,
        )

    def _note_backward(self, loss: Tensor) -> None:
        self.has_gradients = True
        assert self.whole._backward_fn is not None
        self.whole._backward_fn(loss)

    def _logged(self) -> dict[str, tuple[Any, ...]]:
        results = self.loop.trainer.fit_loop.epoch_loop._results
        return {k: (m.value, getattr(m, "cumulated_batch_size", None)) for k, m in results.items() if m.is_tensor}

    def _forget(self, logged: dict[str, tuple[Any, ...]]) -> None:
        """Take back what the attempt that failed has added to the epoch's sums."""
        results = self.loop.trainer.fit_loop.epoch_loop._results
        for key, metric in results.items():
            if metric.is_tensor:
                value, count = logged.get(key, (None, None))
                if value is None:
                    metric.reset()
                else:
                    metric.value = value
                    if count is not None:
                        metric.cumulated_batch_size = count


class Optimization(_AutomaticOptimization):
    """Lightning's forward, backward and step, with weights for unequal batches and a way out of too little memory.

    Args:
        trainer: whose loop it is.
        on_out_of_memory: "split": halve the batch until its parts fit, and split later ones as the last; or "raise".
    """

    def __init__(self, trainer: L.Trainer, on_out_of_memory: str) -> None:
        super().__init__(trainer)
        self.on_out_of_memory, self.parts = on_out_of_memory, 1
        self.weights: Sequence[float] | None = None

    def _make_closure(self, kwargs: OrderedDict[str, Any], optimizer: Optimizer, batch_idx: int) -> Closure:
        whole = super()._make_closure(kwargs, optimizer, batch_idx)
        return SplittingClosure(self, kwargs, whole) if self.on_out_of_memory == "split" else whole

    def part_step(self, kwargs: OrderedDict[str, Any], part: Any) -> ClosureResult:
        """The loss of a part of a batch."""
        return self._training_step(OrderedDict({**kwargs, "batch": part}))

    def _training_step(self, kwargs: OrderedDict[str, Any]) -> ClosureResult:
        result = super()._training_step(kwargs)
        weight = self._weight()
        if weight != 1.0 and result.closure_loss is not None:
            result.closure_loss = result.closure_loss * weight
        return result

    def _weight(self) -> float:
        trainer = self.trainer
        if trainer.accumulate_grad_batches == 1 and trainer.world_size == 1:
            return 1.0
        if self.weights is None:
            loader = trainer.train_dataloader
            sizes = loader.batch_sizes() if isinstance(loader, ResumableLoader) else None
            self.weights = step_weights(
                sizes, trainer.num_training_batches, trainer.accumulate_grad_batches, rank_and_world_size()[0]
            )
        place = trainer.fit_loop.epoch_loop.batch_idx
        return self.weights[place] if place < len(self.weights) else 1.0


def _num_samples(batch: Any) -> int:
    sizes: list[int] = []
    apply_to_collection(batch, Tensor, lambda t: sizes.append(len(t)) if t.ndim else None)
    return max(sizes, default=1)


def _split(batch: Any, parts: int) -> list[Any]:
    size = _num_samples(batch)
    step = -(-size // min(parts, size))

    def piece(start: int) -> Any:
        return apply_to_collection(batch, Tensor, lambda t: t[start : start + step] if t.ndim and len(t) == size else t)

    return [piece(start) for start in range(0, size, step)]
