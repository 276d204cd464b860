"""Averages of the weights: EMA over steps, SWA over epochs. They are validated, ranked and kept, not the network.

Source: torch.optim.swa_utils.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_avg_fn, update_bn

from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Batch, Context
from scirs_neural.plugins.plugin import AVERAGES, Plugin
from scirs_neural.tasks.task import Task


class Average(Plugin):
    """An average of a network's weights, which is shown in its place once there is one."""

    stage = AVERAGES

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.average: AveragedModel | None = None
        self._saved: Mapping[str, Any] | None = None

    def average_functions(self) -> dict[str, Callable[..., Any]]:
        """How the present weights are added: arguments of `AveragedModel`."""
        raise NotImplementedError

    def add(self, model: nn.Module) -> None:
        """Take the present weights in; where another plugin has changed shapes, the average begins anew."""
        average = self._of(model)
        if average is None or not _is_alike(average.module, model):
            average = self.average = self._made(model)
        average.update_parameters(model)

    def shown(self, model: nn.Module) -> nn.Module:
        """The average; before there is one, and after its shapes were changed, the network itself."""
        average = self._of(model)
        if average is None or not int(average.n_averaged) or not _is_alike(average.module, model):
            return model
        shown: nn.Module = average.module
        return shown

    def state_dict(self) -> dict[str, Any]:
        """The average, and of how many it is."""
        if self.average is not None:
            return {name: value.detach().clone() for name, value in self.average.state_dict().items()}
        return dict(self._saved or {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keep it until the network is at hand."""
        self.average, self._saved = None, state

    def _of(self, model: nn.Module) -> AveragedModel | None:
        if self.average is None and self._saved:
            average, saved, self._saved = self._made(model), self._saved, None
            if all(saved[name].shape == value.shape for name, value in average.state_dict().items()):
                average.load_state_dict(saved)
                self.average = average
        return self.average

    def _made(self, model: nn.Module) -> AveragedModel:
        functions: dict[str, Any] = self.average_functions()
        average = AveragedModel(model, use_buffers=True, **functions)
        for parameter in average.parameters():
            parameter.grad = None
        return average


class EMA(Average):
    """Validate and keep an exponential moving average of the weights.

    Args:
        decay: what is left of the average in each addition, in [0, 1).
        every_n_steps: between two additions.
        warmup: decay by (1 + n) / (10 + n) after n additions, until that is more than `decay`. Without it, the weights
            that the network began with are most of the average for the first 1 / (1 - decay) additions.

    Source: TensorFlow's ``ExponentialMovingAverage``, of which ``num_updates`` is the warm-up.
    """

    def __init__(self, decay: float = 0.999, every_n_steps: int = 1, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"plugins.ema.decay={decay} is not in [0, 1)", where="plugins.ema")
        super().__init__(decay=decay, every_n_steps=every_n_steps, warmup=warmup)
        self.decay, self.every_n_steps, self.warmup = decay, every_n_steps, warmup

    def average_functions(self) -> dict[str, Callable[..., Any]]:
        """Old times decay, and the rest of the new."""

        def add(averaged: Any, present: Any, num_averaged: Any) -> None:
            assert self.average is not None
            n = int(self.average.n_averaged) if self.warmup else 0  # on the CPU, which ``num_averaged`` is not
            decay = min(self.decay, (1 + n) / (10 + n)) if self.warmup else self.decay
            get_ema_multi_avg_fn(decay)(averaged, present, num_averaged)

        return {"multi_avg_fn": add}

    @torch.no_grad()
    def after_step(self, model: nn.Module, ctx: Context) -> None:
        """Take the weights in."""
        if ctx.step % self.every_n_steps == 0:
            self.add(model)


class SWA(Average):
    """Keep the mean of the weights at the ends of the epochs from `start` on, with BatchNorm measured anew at the end.

    The learning rate is the schedule's: ``scheduler=constant`` is the usual choice.

    Args:
        start: the first epoch, counted from 0, whose weights are in the mean; only epochs from it on may rank.

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018.
    """

    tolerance = float("inf")  # other statistics of BatchNorm are other answers, which is the purpose
    conflicts = ("ema",)

    def __init__(self, start: int = 1) -> None:
        super().__init__(start=start)
        self.start = start

    def average_functions(self) -> dict[str, Callable[..., Any]]:
        """The mean; torch's function for many tensors at once cannot divide BatchNorm's counters."""
        return {"avg_fn": get_swa_avg_fn()}

    @torch.no_grad()
    def after_epoch(self, model: nn.Module, ctx: Context) -> None:
        """Take the weights in."""
        if ctx.epoch >= self.start:
            self.add(model)

    def may_rank(self, ctx: Context) -> bool:
        """From the first epoch on that is in the mean."""
        return ctx.epoch >= self.start

    def finalize(self, model: nn.Module, batches: Callable[[], Iterable[Batch]], task: Task) -> nn.Module:
        """Measure BatchNorm's statistics with the mean weights."""
        was = model.training
        update_bn(batches(), _Called(model, task))
        return model.train(was)


class _Called(nn.Module):
    """A network that is called with a batch, as its task does."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, batch: Batch) -> Any:
        return self.task.forward(self.model, batch, Context("train"))


def _is_alike(one: nn.Module, other: nn.Module) -> bool:
    return [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]
