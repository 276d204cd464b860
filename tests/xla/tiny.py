"""A small network with BatchNorm and convolutions, trained on real digits on either machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from rich.console import Console
from torch import nn

import scirs_neural as sn
from tests.training.tiny import module_of

STEPS = 20


class Losses(L.Callback):
    """Every step's loss, and what the machine did meanwhile."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.seen: dict[str, Any] = {}

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(outputs["loss"].detach())
        if not self.seen:
            self.seen = {
                "device": module.device.type,
                "dtype": module.seen_dtype,
                "batch": (batch[0] if isinstance(batch, list) else batch)["image"],
                "module": module,
            }
            self.look()

    def look(self) -> None:
        """What can only be seen while training runs."""

    @property
    def values(self) -> list[float]:
        return [loss.item() for loss in self.losses]


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    )


def fit(
    accelerator: str, *, folder: Path | None = None, watch: Losses | None = None, resume: Path | None = None,
    optimizer: str = "sgd", scheduler: str = "cosine", **settings: Any,
) -> Losses:  # fmt: skip
    """Train for 20 steps of 32 digits; gives every step's loss."""
    watch = watch or Losses()
    data = sn.create_data("digits", image_size=8, batch_size=32, num_workers=0)
    task = module_of(small_net(), data,
        optimizer={"name": optimizer, "lr": 0.05 if optimizer == "sgd" else 2e-3}, scheduler=scheduler,
    )  # fmt: skip
    task.seen_dtype = None
    task.model[-1].register_forward_hook(lambda _, inputs, out: setattr(task, "seen_dtype", out.dtype))
    settings = {"max_epochs": 1, "limit_train_batches": STEPS, "limit_val_batches": 2, **settings}
    trainer = sn.Trainer(
        accelerator=accelerator, folder=folder, callbacks=[watch], console=Console(quiet=True), **settings
    )
    trainer.fit(task, data, resume=resume)
    watch.seen["trainer"] = trainer
    return watch
