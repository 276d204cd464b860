"""Eight tiny recipes on real digits: what must resume to the bit, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from rich.console import Console
from sklearn.datasets import load_digits
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.data import from_arrays
from scirs_neural.layers import LAYERS
from scirs_neural.plugins import create_plugins
from scirs_neural.training import CALLBACKS
from tests.training.tiny import module_of

EPOCHS, BATCHES, BATCH_SIZE = 3, 6, 16


class Rows(nn.Module):
    """A picture (N, 1, 8, 8) as a sequence of its rows, through a body, to logits of its last token."""

    def __init__(self, *body: nn.Module, out: int) -> None:
        super().__init__()
        self.body, self.head = nn.ModuleList(body), nn.Linear(out, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1, 2)
        for part in self.body:
            x = part(x)
            x = x[0] if isinstance(x, tuple) else x
        logits: Tensor = self.head(x[:, -1])
        return logits


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10),
    )  # fmt: skip


def vit() -> nn.Module:
    block = LAYERS.get("transformer_encoder_block")
    patches = LAYERS.get("patch_embedding")(2, in_channels=1, embed_dim=16)
    positions = LAYERS.get("learned_positions")(16, 16, dropout=0.1)
    return nn.Sequential(patches, positions, block(16, 2, dropout=0.1, drop_path=0.1), nn.Flatten(), nn.Linear(256, 10))


def lstm() -> nn.Module:
    return Rows(LAYERS.get("lstm")(8, 12, num_layers=2, batch_first=True, dropout=0.2), out=12)


def gpt() -> nn.Module:
    block = LAYERS.get("transformer_encoder_block")
    positions = LAYERS.get("learned_positions")(16, 8, dropout=0.1)
    return Rows(nn.Linear(8, 16), positions, block(16, 2, dropout=0.1, causal=True), block(16, 2, causal=True), out=16)


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained."""

    network: Callable[[], nn.Module]
    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adamw", "lr": 3e-3, "weight_decay": 0.01})
    scheduler: str = "one_cycle"
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    plugins: dict[str, dict[str, Any]] = field(default_factory=dict)
    ranks: int = 1


RECIPES = {
    "cnn": Recipe(cnn, callbacks={"early_stopping": {"patience": 100}}),
    "vit": Recipe(vit, scheduler="cosine", trainer={"gradient_clip_val": 0.5, "max_steps": EPOCHS * BATCHES}),
    "lstm": Recipe(
        lstm, optimizer={"name": "rmsprop", "lr": 1e-3}, scheduler="plateau", trainer={"fp32_modules": ["LSTM"]}
    ),
    "gpt": Recipe(gpt, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}, scheduler="step"),
    "mixup_ema": Recipe(cnn, data={"mixup": 0.4, "cutmix": 0.4}, plugins={"ema": {"decay": 0.7}}),
    "accumulate": Recipe(cnn, trainer={"accumulate_grad_batches": 3}),
    "sam": Recipe(cnn, optimizer={"name": "sam", "lr": 0.05}),
    "ddp": Recipe(vit, trainer={"strategy": "ddp", "devices": 2, "accelerator": "cpu"}, ranks=2),
}


def digits(recipe: Recipe, workers: int) -> Any:
    """92 training samples, which make five batches and a shorter one, and 24 for validation."""
    pictures = load_digits()
    images, labels = (pictures.images * 15.9).astype(np.uint8), pictures.target
    train, val = slice(0, BATCHES * BATCH_SIZE - 4), slice(200, 224)
    return from_arrays(
        images[train], labels[train], val=(images[val], labels[val]), test=(images[val], labels[val]),
        classes=[str(i) for i in range(10)], image_size=8, batch_size=BATCH_SIZE // recipe.ranks, transforms="light",
        num_workers=workers, seed=1, **recipe.data,
    )  # fmt: skip


def fit(
    name: str,
    folder: Path,
    *,
    workers: int,
    precision: str,
    resume: Path | None = None,
    also: tuple[L.Callback, ...] = (),
) -> Any:
    """Train a recipe in a folder; the trainer."""
    recipe = RECIPES[name]
    data = digits(recipe, workers)
    torch.manual_seed(5 if resume is None else 6)  # of a resumed run nothing may depend on how it starts
    network = recipe.network()
    options = {"optimizer": recipe.optimizer, "scheduler": {"name": recipe.scheduler}}
    task = module_of(network, data, **options, plugins=create_plugins(recipe.plugins))
    named = [CALLBACKS.get(key)(**{"monitor": "val/loss", **held} if "patience" in held else held)
             for key, held in recipe.callbacks.items()]  # fmt: skip
    every = 1 if recipe.trainer.get("accumulate_grad_batches") else 4
    settings = {"max_epochs": EPOCHS, "precision": precision, "log_every_n_steps": 2, **recipe.trainer}
    trainer = sn.Trainer(
        folder=folder, seed=1, callbacks=[*named, *also], console=Console(quiet=True),
        checkpoint={"every_n_steps": every}, **settings,
    )  # fmt: skip
    trainer.fit(task, data, resume=resume)
    return trainer
