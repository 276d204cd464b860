"""What training steps log, taken in by appending to a list, and added up when somebody looks.

Lightning's `log` costs more than a step of a small network: it checks the name, the hook and the options anew, and
makes four tensor operations a value. Nobody looks at most of these sums before the next line of a log. So values are
kept as they come, and added up, in the same order and with the same roundings, at the first look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ctypes import c_float
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection, _ResultMetric
from torch import Tensor

LIMIT = 256  # values that wait at most: a run that logs seldom shall not keep a tensor for each of its steps


class DeferredMetric:
    """A sum whose values may wait.

    Args:
        metric: Lightning's sum: a mean over samples, in float32, of one process.
        options: with which it is logged; other options for its name are Lightning's to judge.
    """

    def __init__(self, metric: _ResultMetric, options: dict[str, Any]) -> None:
        self.metric, self.options, self.device = metric, options, metric.value.device
        self.is_on_cpu, self.is_averaged = self.device.type == "cpu", metric.meta.on_epoch

    def take(self, value: Any, batch_size: int | None) -> float | Tensor | None:
        """A copy of a value that may wait; None for one that Lightning is to judge, or to find the batch size of.

        On the CPU it is a number, which is read without a tensor operation. Elsewhere it stays there: nobody waits.
        """
        if batch_size is None and self.is_averaged:
            return None
        if isinstance(value, Tensor):  # it may be a parameter, or be changed in place later: hence a copy
            if value.ndim or value.dtype != torch.float32 or value.device != self.device:
                return None
            return c_float.from_address(value.data_ptr()).value if self.is_on_cpu else value.detach().clone()
        if not isinstance(value, float):
            return None
        return value if self.is_on_cpu else torch.tensor(value, dtype=torch.float32, device=self.device)

    def add(self, values: list[Any], sizes: list[int]) -> None:
        """Add values, as if each had been logged when it came."""
        metric = self.metric
        newest = torch.from_numpy(np.asarray(values[-1], np.float32)) if self.is_on_cpu else values[-1]
        if metric.meta.on_step:
            metric._forward_cache = newest
        if self.is_averaged:
            add = _add_numbers if self.is_on_cpu else _add_tensors
            metric.value = add(metric.value, values, sizes)
            metric.cumulated_batch_size = metric.cumulated_batch_size + sum(sizes)
        else:
            metric.value = newest
        metric._computed = None
        metric._update_count += len(values)
        metric.has_reset = False


class LoggedValues(_ResultCollection):
    """Lightning's collection of an epoch's sums, with a quick way in. Whoever looks into it sees them all."""

    def __init__(self) -> None:
        super().__init__(training=True)
        self.quick: dict[str, DeferredMetric] = {}
        self.waiting: list[tuple[DeferredMetric, float | Tensor, int]] = []

    def deferred_log(self, module: L.LightningModule) -> Callable[..., None]:
        """In place of a module's `log` in training steps of one process: the same, for the means that it has seen."""
        slow_log = type(module).log.__get__(module)
        held_by_module, waiting, get_quick = vars(module), self.waiting, self.quick.get

        def log(name: str, value: Any, *args: Any, batch_size: int | None = None, **options: Any) -> None:
            key = f"{held_by_module['_current_fx_name']}.{name}"
            quick = get_quick(key)
            if quick is not None and not args and quick.options == options:
                taken = quick.take(value, batch_size)
                if taken is not None:
                    waiting.append((quick, taken, batch_size or 1))
                    return
            slow_log(name, value, *args, batch_size=batch_size, **options)
            if not args:
                self._remember(key, options)

        return log

    def flush(self) -> None:
        """Put every value that waits into its sum."""
        while self.waiting:
            quick = self.waiting[0][0]
            mine = [entry for entry in self.waiting if entry[0] is quick]
            self.waiting[:] = [entry for entry in self.waiting if entry[0] is not quick]
            quick.add([value for _, value, _ in mine], [size for _, _, size in mine])

    def __getitem__(self, key: str) -> _ResultMetric:
        self.flush()
        metric: _ResultMetric = super().__getitem__(key)
        return metric

    def __setitem__(self, key: str, metric: _ResultMetric) -> None:
        self.flush()
        self.quick.pop(key, None)
        super().__setitem__(key, metric)

    def __iter__(self) -> Iterator[str]:
        self.flush()
        return super().__iter__()

    def items(self) -> Any:
        """Names and sums."""
        self.flush()
        return super().items()

    def values(self) -> Any:
        """The sums."""
        self.flush()
        return super().values()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Replace sums, as a move to another device does."""
        self.flush()
        self.quick.clear()
        super().update(*args, **kwargs)

    def _remember(self, key: str, options: dict[str, Any]) -> None:
        """Let a value take the quick way from now on, if it is a plain mean."""
        metric = self.get(key)
        if (
            metric is not None
            and metric.is_tensor
            and metric.meta.is_mean_reduction
            and not metric.meta.enable_graph
            and metric.value.dtype == torch.float32
        ):
            self.quick[key] = DeferredMetric(metric, options)


def _add_numbers(total: Tensor, values: list[float], sizes: list[int]) -> Tensor:
    """What `_add_tensors` gives, to the bit: both are IEEE operations in single precision."""
    held = total.numpy()[()]
    for value, size in zip(values, sizes, strict=True):
        held = held + np.float32(value) * np.float32(size)
    return torch.from_numpy(np.asarray(held))


def _add_tensors(total: Tensor, values: list[Tensor], sizes: list[int]) -> Tensor:
    for value, size in zip(values, sizes, strict=True):
        total = total + value * size
    return total
