"""Schedule-Free optimizers: trained at one point, evaluated and kept at the average of all."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim import Optimizer

TRAINING_POINT = "schedule_free_training_point"


class AveragedWeights(L.Callback):
    """Moves the network to the optimizer's average for validation, for checkpoints and at the end.

    A checkpoint's ``state_dict`` holds the average, which is what is used later; the point where training goes on is
    kept beside it, so that a resumed run has the bits of one that was never broken off.
    """

    def __init__(self) -> None:
        self.training_point: dict[str, Any] | None = None

    def on_load_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember where training goes on."""
        self.training_point = checkpoint.get(TRAINING_POINT)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Go to where training goes on."""
        if self.training_point is not None:
            by_name = dict(module.named_parameters())
            with torch.no_grad():
                for name, value in self.training_point.items():
                    by_name[name].copy_(value)
            self.training_point = None
        self._switch(trainer, "train")

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Validate the average."""
        self._switch(trainer, "eval")

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Go on training where it was."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._switch(trainer, "train")

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Leave the network at the average."""
        self._switch(trainer, "eval")

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the average in the place of the weights."""
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        point: dict[str, Any] = {}
        for optimizer in trainer.optimizers:
            for name, parameter, average in _averages(optimizer, names):
                point[name], checkpoint["state_dict"][name] = parameter.detach(), average
        if point:
            checkpoint[TRAINING_POINT] = point

    @staticmethod
    def _switch(trainer: L.Trainer, mode: str) -> None:
        for optimizer in trainer.optimizers:
            getattr(optimizer, mode, lambda: None)()


def _averages(optimizer: Optimizer, names: dict[int, str]) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Name, training point and average of every parameter that has moved; none where the average is in place."""
    found = []
    for group in optimizer.param_groups:
        beta = group["betas"][0] if "betas" in group else group["momentum"]
        for parameter in group["params"] if group["train_mode"] else ():
            start = optimizer.state[parameter].get("z")
            if start is not None:
                average = parameter.detach().lerp(start, 1 - 1 / beta)
                found.append((names[id(parameter)], parameter, average))
    return found
