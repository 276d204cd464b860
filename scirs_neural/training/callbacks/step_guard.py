"""A loss that is no number is noticed in the step that made it, without the device being waited for."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from scirs_neural.core.errors import NonFiniteError

FIX = (
    "lower optimizer.lr, set trainer.gradient_clip_val=1, or raise the precision; "
    "trainer.stop_on_nonfinite=false goes on regardless"
)
_C_TYPES = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class StepGuard(L.Callback):
    """Looks at the loss after each step.

    On the CPU that is reading four bytes. On a GPU the loss is copied to the host behind the computation, and looked at
    when it has arrived, a step or so later: nothing waits.
    """

    def __init__(self) -> None:
        self._host: Tensor | None = None
        self._arrived: Any = None
        self._copied_at = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at this step's loss, or at the newest one that has arrived.

        Raises:
            NonFiniteError: it is NaN or infinite.
        """
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if not isinstance(loss, Tensor):
            return
        if loss.is_cpu:
            kind = _C_TYPES.get(loss.dtype)
            if kind is not None and not math.isfinite(value := kind.from_address(loss.data_ptr()).value):
                raise _error(value, trainer.fit_loop.epoch_loop.total_batch_idx)  # no tensor operation, unlike item()
        elif loss.is_cuda:
            self._check_behind(loss, trainer.fit_loop.epoch_loop.total_batch_idx)

    def _check_behind(self, loss: Tensor, step: int) -> None:
        if self._host is None:
            self._host = torch.empty((), pin_memory=True)
            self._arrived = torch.cuda.Event()
        elif not self._arrived.query():
            return  # NaN does not go away: the next look will find it
        else:
            value = float(self._host.numpy())
            if not math.isfinite(value):
                raise _error(value, self._copied_at)
        self._host.copy_(loss, non_blocking=True)
        self._arrived.record()
        self._copied_at = step


def _error(value: float, step: int) -> NonFiniteError:
    return NonFiniteError(f"train/loss became {value} in batch {step} of the run", fix=FIX)
