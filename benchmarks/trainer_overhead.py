"""What our Trainer costs over plain Lightning, as a share of a ResNet-18 step (32x32, batch 64, CPU).

    python -m benchmarks.trainer_overhead

The extra CPU time of a step does not depend on the network, so it is measured where it shows: on a tiny one, whole fits
of ours and of plain Lightning (same loss, same logged value, a CSV logger) taking turns. The ResNet-18 step is timed by
itself in the same run. Prints the median extra time of a step, its 95 % bootstrap interval, and its share of the
ResNet-18 step. Measured on 2 busy cores of an EPYC on 2026-11-22: 1,596 us (595 to 2,634), 0.19 %, at worst 0.32 %.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from torch import nn

import scirs_neural as sn
from scirs_neural.training.noise import quiet

ROUNDS, STEPS = 12, 200
ALLOWED = 0.01


class Plain(L.LightningModule):
    """The same training, written on Lightning by hand."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, targets = batch
        loss = nn.functional.cross_entropy(self.model(images), targets)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), 1e-3)


class Clock(L.Callback):
    """CPU seconds of each step, from the start of one to the start of the next."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_train_batch_start(self, *args: Any) -> None:
        self.ticks.append(time.process_time())

    def median_sec(self) -> float:
        return statistics.median(np.diff(self.ticks)[5:])


def tiny() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def ours(data: Any) -> float:
    clock = Clock()
    task = sn.create_task("image_classification", model=tiny(), spec=data.spec)
    limits = {"max_epochs": 10, "limit_val_batches": 0, "max_steps": STEPS}
    with tempfile.TemporaryDirectory() as folder:
        trainer = sn.Trainer(folder=folder, console=Console(quiet=True), callbacks=[clock], **limits)
        trainer.fit(task, data)
    return clock.median_sec()


def plain(data: Any) -> float:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = L.Trainer(
            max_epochs=10, limit_val_batches=0, max_steps=STEPS, callbacks=[clock], logger=CSVLogger(folder),
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Plain(tiny()), data.train_dataloader())
    return clock.median_sec()


def resnet_step_sec() -> float:
    model = sn.create_model("resnet18", num_classes=10, in_channels=1, input_size=32)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    images, targets, times = torch.randn(64, 1, 32, 32), torch.randint(10, (64,)), []
    for _ in range(6):
        start = time.process_time()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def main() -> None:
    torch.set_num_threads(1)
    data = sn.create_data("digits", image_size=8, batch_size=64)
    ours(data), plain(data)
    extra = []
    for turn in range(ROUNDS):
        first, second = (ours, plain) if turn % 2 else (plain, ours)
        pair = {first: first(data), second: second(data)}
        extra.append(pair[ours] - pair[plain])
    step = resnet_step_sec()
    draws = np.random.default_rng(0).choice(extra, (2000, ROUNDS))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    middle = statistics.median(extra)
    print(f"extra CPU time of a step   {1e6 * middle:7.0f} us   95 % interval {1e6 * low:.0f} to {1e6 * high:.0f} us")
    print(f"ResNet-18 step             {1e6 * step:7.0f} us")
    share, worst = 100 * middle / step, 100 * high / step
    print(f"share                      {share:7.3f} %    at worst {worst:.3f} %, allowed {100 * ALLOWED:.0f} %")


if __name__ == "__main__":
    main()
