"""What training costs beside the arithmetic: our Trainer, plain Lightning, Fabric and Accelerate over a loop by hand.

    python -m benchmarks.overhead                # a tiny MLP: goal 1.20; ResNet-18 at 32x32: goal 1.01; batches of 64
    python -m benchmarks.overhead --rounds 40 --only mlp

All take turns, forwards and backwards (A B C C B A), on one thread, and each turn gives the CPU time of a step in the
middle of a run, so that neither start nor end counts. A round gives one ratio to the loop by hand, and the interval is
a bootstrap of their median: a goal is met if its worse end is.

The loop by hand is the least that trains: zero_grad, forward, backward, step, no schedule and nothing logged. Fabric
and Accelerate have that loop with their own backward and step, nothing logged either. Ours trains a plain
LightningModule; "hosted" is this package's `Module` around the task classification, with parameter groups and a
schedule. Ours and Lightning's log the
loss in every step (`self.log(..., on_step=True, on_epoch=True)`); ours also has all that is on by default: seeds a
step, a guard against NaN, checkpoints, ``metrics.csv``. Accelerate is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.data.spec import DataSpec
from scirs_neural.training.warnings_capture import quiet

Batch = tuple[Tensor, Tensor]
GOALS = {"mlp": 1.20, "resnet18": 1.01}


class Batches:
    """Batches that are there already, so that the loader is nobody's cost; and the clock that all are measured by."""

    def __init__(self, name: str, num: int) -> None:
        stream, shape = torch.Generator().manual_seed(0), (64, 20) if name == "mlp" else (64, 3, 32, 32)
        held = [(torch.randn(shape, generator=stream), torch.randint(10, (64,), generator=stream)) for _ in range(8)]
        self.held, self.ticks, self.margin = [held[i % 8] for i in range(num)], [0.0, 0.0], max(2, num // 50)

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Iterator[Batch]:
        for place, batch in enumerate(self.held):
            if place == self.margin:
                self.ticks[0] = time.process_time()
            if place == len(self.held) - self.margin:
                self.ticks[1] = time.process_time()
            yield batch

    @property
    def step_sec(self) -> float:
        return (self.ticks[1] - self.ticks[0]) / (len(self.held) - 2 * self.margin)


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "mlp":
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    return sn.create_model("resnet18", num_classes=10, in_channels=3, input_size=32)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.01)


class Task(L.LightningModule):
    """What a user of Lightning writes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model, self.loss = network(name), nn.CrossEntropyLoss()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, targets = batch
        loss: Tensor = self.loss(self.model(inputs), targets)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(inputs))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return sgd(self.model)


class Data(L.LightningDataModule):
    """The batches, as Lightning wants them."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> Batches:
        return self.batches


def by_hand(name: str, batches: Batches) -> None:
    model, loss_of = network(name), nn.CrossEntropyLoss()
    optimizer = sgd(model)
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss_of(model(inputs), targets).backward()
        optimizer.step()


def ours(name: str, batches: Batches) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trainer = sn.Trainer(max_epochs=1, folder=folder, console=Console(quiet=True), channels_last=False)
        trainer.fit(Task(name), Data(batches))


class Named:
    """The same batches as dicts, as this package's own data gives them, and as data of its own."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        ids = [str(i) for i in range(64)]
        dicts = {id(held): {"id": ids, "x": held[0], "label": held[1]} for held in batches.held}
        batches.held = [dicts[id(held)] for held in batches.held]  # type: ignore[misc]

    def train_dataloader(self) -> Batches:
        return self.batches

    def val_dataloader(self) -> list[Any]:
        return []


def hosted(name: str, batches: Batches) -> None:
    shape = batches.held[0][0].shape[1:]
    picture = {"channels": 3, "size": [32, 32], "mean": [0.0] * 3, "std": [1.0] * 3, "resize": None}
    column = {"type": "number", "mean": 0.0, "std": 1.0}
    row = {"kind": "table", "columns": [{"name": str(i), **column} for i in range(shape[0])]}
    x = row if name == "mlp" else {"kind": "image", "interpolation": "bilinear", **picture}
    spec = DataSpec("random", {"x": x}, {"label": {"kind": "class", "classes": [str(i) for i in range(10)]}})
    module = sn.Module(sn.create_task(spec), network(name), {"name": "sgd", "lr": 0.01}, "constant")
    with tempfile.TemporaryDirectory() as folder:
        trainer = sn.Trainer(max_epochs=1, folder=folder, console=Console(quiet=True), channels_last=False)
        trainer.fit(module, Named(batches))


def plain_lightning(name: str, batches: Batches) -> None:
    with tempfile.TemporaryDirectory() as folder, quiet():
        options = {"enable_progress_bar": False, "enable_model_summary": False, "logger": CSVLogger(folder)}
        L.Trainer(max_epochs=1, accelerator="cpu", **options).fit(Task(name), Data(batches))


def fabric(name: str, batches: Batches) -> None:
    engine, loss_of = Fabric(accelerator="cpu"), nn.CrossEntropyLoss()
    model = network(name)
    model, optimizer = engine.setup(model, sgd(model))
    for inputs, targets in batches:
        optimizer.zero_grad()
        engine.backward(loss_of(model(inputs), targets))
        optimizer.step()


def accelerate(name: str, batches: Batches) -> None:
    from accelerate import Accelerator

    engine, loss_of = Accelerator(cpu=True), nn.CrossEntropyLoss()
    model = network(name)
    model, optimizer = engine.prepare(model, sgd(model))
    for inputs, targets in batches:
        optimizer.zero_grad()
        engine.backward(loss_of(model(inputs), targets))
        optimizer.step()


def contestants() -> dict[str, Callable[[str, Batches], None]]:
    found = {"by hand": by_hand, "ours": ours, "hosted": hosted, "plain Lightning": plain_lightning, "Fabric": fabric}
    return {**found, "Accelerate": accelerate} if importlib.util.find_spec("accelerate") else found


def measure(name: str, rounds: int, steps: int) -> dict[str, list[float]]:
    """CPU seconds of a step, by contestant, one a round."""
    running, found = contestants(), {who: [] for who in contestants()}  # type: dict[str, Any], dict[str, list[float]]
    for turn in range(-1, rounds):  # the first round warms up
        for who in list(running) if turn % 2 else reversed(running):
            batches = Batches(name, steps)
            running[who](name, batches)
            if turn >= 0:
                found[who].append(batches.step_sec)
    return found


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """95 % of the bootstrapped medians."""
    draws = np.random.default_rng(0).choice(ratios, (4000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(low), float(high)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=list(GOALS))
    parser.add_argument("--steps", type=int, help="steps a turn: 500 of the MLP, 8 of ResNet-18")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for name in [chosen.only] if chosen.only else GOALS:
        found = measure(name, chosen.rounds, chosen.steps or {"mlp": 500, "resnet18": 8}[name])
        print(f"{name}: goal {GOALS[name]}, {chosen.rounds} rounds")
        hand = np.array(found["by hand"])
        for who, times in found.items():
            low, high = interval(np.array(times) / hand)
            row = {"network": name, "who": who, "us": 1e6 * float(np.median(times))}
            row |= {"ratio": float(np.median(np.array(times) / hand)), "low": low, "high": high}
            rows.append(row)
            print(f"  {who:16s}{row['us']:12.0f} us a step   {row['ratio']:6.3f}   95 % {low:.3f} to {high:.3f}")
    return rows


if __name__ == "__main__":
    main()
