"""Optimizers that evaluate the loss several times a step: every pass after the first leaves no other trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as L
from torch.nn.modules.batchnorm import _BatchNorm

from scirs_neural.training.callbacks.step_seed import StepSeed


class RepeatedPasses(L.Callback):
    """Lets a step's further passes (SAM, L-BFGS) draw the same random numbers, log nothing and count nothing.

    So all passes of a step see one function of the weights: the same dropout masks; BatchNorm's statistics move once,
    and the loss that is logged is that at the weights.

    Args:
        seeding: of the run.
    """

    def __init__(self, seeding: StepSeed) -> None:
        self.seeding = seeding
        self.num_passes = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Put a counter around the training step."""
        step = module.training_step

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.num_passes += 1
            if self.num_passes == 1:
                return step(*args, **kwargs)
            self.seeding.on_train_batch_start(trainer, module, None, trainer.fit_loop.batch_idx)
            with _without_trace(module):
                return step(*args, **kwargs)

        module.training_step = counted  # type: ignore[method-assign]

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Count anew."""
        self.num_passes = 0

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Take the counter away."""
        module.__dict__.pop("training_step", None)

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Take the counter away."""
        module.__dict__.pop("training_step", None)


@contextlib.contextmanager
def _without_trace(module: L.LightningModule) -> Iterator[None]:
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
