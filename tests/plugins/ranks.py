"""A network that a plugin changes, trained by some ranks: ``python -m tests.plugins.ranks 2 FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

import scirs_neural as sn
from scirs_neural.plugins import create_plugins
from tests.plugins import toys
from tests.training.recipes import RECIPES, digits


class FixedNorm(nn.BatchNorm2d):
    """One whose statistics do not depend on how a batch is shared."""

    def train(self, mode: bool = True) -> Any:
        return super().train(False)


def fit(num_ranks: int, folder: Path) -> None:
    data = digits(RECIPES["gpt"], 0)
    data.batch_size //= num_ranks
    task = sn.create_task(data.spec)
    torch.manual_seed(1)
    network = sn.create_model("cnn", width=8, depth=2, **task.model_arguments())
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.__class__ = FixedNorm
            part.eval()
    plugins = create_plugins({toys.PLUGINS.entry("toy_drop").name: {}, "ema": {"decay": 0.8}})
    module = sn.Module(task, network, optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9}, plugins=plugins)
    ranks: dict[str, Any] = {"strategy": "ddp", "devices": num_ranks} if num_ranks > 1 else {"devices": 1}
    trainer = sn.Trainer(
        folder=folder,
        seed=1,
        console=Console(quiet=True),
        max_epochs=3,
        accelerator="cpu",
        log_every_n_steps=2,
        **ranks,
    )
    trainer.fit(module, data)


if __name__ == "__main__":
    fit(int(sys.argv[1]), Path(sys.argv[2]))
