"""One optimizer step of every registered task, cut in different ways: whole, into batches, into parts, over ranks.

    python -m tests.training.steps FOLDER   # the gradient that each of two ranks has, for every task

Ranks are forks, which only a process whose autograd has started no threads can have: one of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from rich.console import Console
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.training.loops.cached import joined
from tests.training.killing import forked

SAMPLES = 13
EVENLY = (4, 4, 4, 1)  # the last batch of a step is a smaller one
ROW = {
    "row": {
        "kind": "table",
        "columns": [{"name": f"c{i}", "type": "number", "mean": 0.0, "std": 1.0} for i in range(5)],
    }
}
PICTURE = {"image": {
    "kind": "image", "channels": 1, "size": [4, 5], "resize": None, "interpolation": "bilinear", "mean": [0.0],
    "std": [1.0],
}}  # fmt: skip
MASK = {"kind": "mask", "classes": ["a", "b", "c"], "values": [0, 1, 2]}
CLASSES = {"kind": "class", "classes": ["a", "b", "c"]}
LABELS = {"kind": "labels", "classes": ["x", "y"]}
NUMBERS = {"kind": "numbers", "names": ["p", "q"], "mean": [5.0, -1.0], "std": [2.0, 3.0]}


@dataclass
class Example:
    """A task with a batch of samples that it is to learn from, some of which lack a target."""

    spec: DataSpec
    network: Callable[[], nn.Module]
    batch: dict[str, Any]


class Heads(nn.Module):
    """Two heads on one body."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.label, self.price = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, row: Tensor) -> dict[str, Tensor]:
        x = self.body(row).tanh()
        return {"label": self.label(x), "price": self.price(x)}


def _mlp(out: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, out))


def examples() -> dict[str, Example]:
    """By name of the task. Every registered task must have one."""
    stream = torch.Generator().manual_seed(0)
    rows = {"id": [f"s{i}" for i in range(SAMPLES)], "row": torch.randn(SAMPLES, 5, generator=stream)}
    label = torch.randint(3, (SAMPLES,), generator=stream)
    label[torch.tensor([1, 4, 5, 6, 7])] = -100  # a whole batch of them, too
    marks = torch.randint(2, (SAMPLES, 2), generator=stream).float()
    marks[2, 0] = marks[5] = torch.nan
    price = torch.randn(SAMPLES, 2, generator=stream, dtype=torch.float64) * 3 + 2
    price[3, 1] = price[12] = torch.nan
    weight = torch.rand(SAMPLES, generator=stream) + 0.1
    mask = torch.randint(3, (SAMPLES, 4, 5), generator=stream).to(torch.uint8)
    mask[:, 0, 0], mask[4:8] = 255, 255
    return {
        "classification": Example(DataSpec("c", ROW, {"label": CLASSES}), _mlp(3), {**rows, "label": label}),
        "multi_label": Example(
            DataSpec("m", ROW, {"marks": LABELS}), _mlp(2), {**rows, "marks": marks, "weight": weight}
        ),
        "regression": Example(DataSpec("r", ROW, {"price": NUMBERS}), _mlp(2), {**rows, "price": price}),
        "segmentation": Example(
            DataSpec("s", PICTURE, {"mask": MASK}, pipeline="image_mask"), lambda: nn.Conv2d(1, 3, 3, padding=1),
            {"id": rows["id"], "image": torch.randn(SAMPLES, 1, 4, 5, generator=stream), "mask": mask},
        ),
        "multi_task": Example(
            DataSpec("t", ROW, {"label": CLASSES, "price": NUMBERS}), Heads, {**rows, "label": label, "price": price}
        ),
    }  # fmt: skip


class Loader:
    """A sized loader; Lightning takes a list for several loaders."""

    def __init__(self, held: list[Any]) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Any:
        return iter(self.held)


class Batches:
    """A step's batches as data of one epoch; of several ranks each has every other one."""

    def __init__(self, whole: dict[str, Any], spec: DataSpec, sizes: tuple[int, ...], ranks: int = 1) -> None:
        self.pipeline, self.held, start = Pipeline(spec), [], 0
        for size in sizes:
            self.held.append({k: v[start : start + size] for k, v in whole.items()})
            start += size
        self.ranks = ranks

    def train_dataloader(self) -> Any:
        rank = int(os.environ.get("LOCAL_RANK", 0)) if self.ranks > 1 else 0
        return Loader(self.held[rank :: self.ranks])

    def val_dataloader(self) -> Any:
        return []


class Gradients(L.Callback):
    """Keeps the gradients of a step."""

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.found = torch.cat([p.grad.flatten() for p in module.model.parameters() if p.grad is not None])


class Hungry(nn.Module):
    """A network that has memory for so many samples at a time."""

    def __init__(self, inner: nn.Module, room: int) -> None:
        super().__init__()
        self.inner, self.room = inner, room

    def forward(self, *inputs: Tensor) -> Any:
        if self.training and inputs[0].device.type != "meta" and len(inputs[0]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory (a test's)")
        return self.inner(*inputs)


def gradient(
    example: Example,
    sizes: tuple[int, ...] = (SAMPLES,),
    *,
    room: int | None = None,
    ranks: int = 1,
    optimizer: str = "sgd",
    **task: Any,
) -> tuple[Tensor, float]:
    """The gradient of one step over all samples, and the loss that is logged for it."""
    torch.manual_seed(0)
    network = example.network()
    network = network if room is None else Hungry(network, room)
    module = sn.Module(sn.create_task(example.spec, **task), network, {"name": optimizer, "lr": 0.1}, "constant")
    look = Gradients()
    settings: dict[str, Any] = {"devices": ranks, "strategy": "ddp", "accelerator": "cpu"} if ranks > 1 else {}
    trainer = sn.Trainer(
        max_epochs=1, limit_val_batches=0, accumulate_grad_batches=-(-len(sizes) // ranks), callbacks=[look],
        console=Console(quiet=True), **settings,
    )  # fmt: skip
    rows = trainer.fit(module, Batches(example.batch, example.spec, sizes, ranks))
    return look.found, rows[0]["train/loss"] if rows else float("nan")


def save_rank_gradient(name: str, folder: Path) -> None:
    """What each of two ranks has as its gradient, in a file."""
    found, loss = gradient(examples()[name], EVENLY, ranks=2)
    torch.save({"gradient": found, "loss": loss}, folder / f"{name}-{os.environ['LOCAL_RANK']}.pt")


def off(found: Tensor, wanted: Tensor) -> float:
    """The relative difference of two gradients."""
    return float((found - wanted).norm() / wanted.norm())


def main(folder: Path) -> None:
    for name in examples():
        said = folder / f"{name}.txt"
        if status := forked(partial(save_rank_gradient, name, folder), said, 2):
            raise SystemExit(f"{name} ended with {status}: {said.read_text()[-2000:]}")


__all__ = ["EVENLY", "SAMPLES", "Batches", "Example", "examples", "gradient", "joined", "off"]

if __name__ == "__main__":
    main(Path(sys.argv[1]))
