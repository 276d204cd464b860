"""Lean steps: the same to the bit as Lightning's own, only where they may be, and cheap by count."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers.logger import Logger
from rich.console import Console
from torch import nn

import scirs_neural as sn
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.loops.fast_path import FastPath

QUIET = Console(quiet=True)
STEPS, EPOCHS = 9, 2


class Batches:
    """A sized loader of fixed batches."""

    def __init__(self, num: int = STEPS) -> None:
        stream = torch.Generator().manual_seed(0)
        draw = lambda: (torch.randn(8, 6, generator=stream), torch.randint(3, (8,), generator=stream))  # noqa: E731
        self.held = [draw() for _ in range(num)]

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Any:
        return iter(self.held)


class Data(L.LightningDataModule):
    def __init__(self, num: int = STEPS) -> None:
        super().__init__()
        self.batches = Batches(num)

    def train_dataloader(self) -> Any:
        return self.batches

    def val_dataloader(self) -> Any:
        return Batches(2)


class Task(L.LightningModule):
    """Logs in every way that there is: means, single steps, numbers, a parameter, a maximum, without a batch size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 3))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        loss = nn.functional.cross_entropy(self.model(x) * self.scale, y)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(x))
        self.log("scale", self.scale, on_step=True, on_epoch=False, batch_size=len(x))
        self.log("plain", loss * 2)
        self.log("largest", loss, reduce_fx="max", on_epoch=True)
        self.log_dict({"number": float(batch_idx), "half": loss.half()}, on_epoch=True, batch_size=1 + batch_idx)
        if batch_idx == 5:
            self.log("seldom", loss, batch_size=3)
        return {"loss": loss, "extra": batch_idx} if batch_idx % 2 else loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self.model(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), 0.05)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 2}}


class Watch(L.Callback):
    """Writes down what callbacks see: outputs, gradients, metrics, progress."""

    def __init__(self, every: int = 1, stop_at: int | None = None) -> None:
        self.seen: list[Any] = []
        self.every, self.stop_at = every, stop_at

    def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.seen.append(None if module.scale.grad is None else module.scale.grad.item())

    def on_before_backward(self, trainer: Any, module: Any, loss: Any) -> None:
        module.log("before_backward", loss.detach() * 3, batch_size=2)

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.seen.append(module.scale.grad.item())

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append({name: float(value) for name, value in outputs.items()})
        if batch_idx % self.every == 0:
            self.seen.append({name: value.item() for name, value in trainer.callback_metrics.items()})
        if trainer.global_step == self.stop_at:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.seen.append({name: value.item() for name, value in sorted(trainer.callback_metrics.items())})


class Heard(Logger):
    """Keeps what loggers are given."""

    name, version = "heard", "0"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.lines.append((step, dict(metrics)))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...


def everything(tmp_path: Any, watch: Watch, **settings: Any) -> dict[str, Any]:
    """A fit, and all that it left behind."""
    heard, folder = Heard(), tmp_path / "run"
    options: dict[str, Any] = {"max_epochs": EPOCHS, "log_every_n_steps": 3, **settings}
    task = Task()
    trainer = sn.Trainer(folder=folder, console=QUIET, callbacks=[watch], loggers=[heard], **options)
    trainer.fit(task, Data())
    saved = read_checkpoint(folder / "checkpoints" / "last.ckpt")
    csv = (folder / "metrics.csv").read_text()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    return {"seen": watch.seen, "heard": heard.lines, "saved": saved, "csv": csv}


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.mark.parametrize(
    ("watch", "settings"),
    [
        ({}, {}),
        ({"every": 4}, {"precision": "bf16-mixed", "log_every_n_steps": 1}),
        ({"every": 100}, {"max_steps": 13, "gradient_clip_val": 0.1}),
        ({"stop_at": 5}, {"log_every_n_steps": 100}),
        ({"every": 100}, {"limit_train_batches": 6, "checkpoint": {"every_n_steps": 4}}),
    ],
)
def test_all_that_a_run_leaves_is_what_lightnings_steps_leave(
    watch: dict[str, Any], settings: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    step = FastPath._step
    monkeypatch.setattr(FastPath, "_step", lambda self: (made.append(1), step(self))[1])
    lean = everything(tmp_path, Watch(**watch), **settings)
    assert len(made) >= 3, "no step was lean"
    monkeypatch.setattr(FastPath, "planned", lambda *args: None)
    num_made = len(made)
    full = everything(tmp_path, Watch(**watch), **settings)
    assert len(made) == num_made
    for part in full:
        assert equal(lean[part], full[part]), part


def used(task: L.LightningModule, data: Any = None, **settings: Any) -> int:
    """How many steps of two epochs were lean."""
    made = []
    step = FastPath._step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastPath, "_step", lambda self: (made.append(1), step(self))[1])
        sn.Trainer(max_epochs=EPOCHS, console=QUIET, **settings).fit(task, data or Data())
    return len(made)


class OwnBackward(Task):
    def backward(self, loss: Any) -> None:  # type: ignore[override]
        loss.backward()


class Manual(Task):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(nn.functional.cross_entropy(self.model(batch[0]), batch[1]))
        optimizer.step()


class Moves(Data):
    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch


def test_what_is_unusual_goes_lightnings_way() -> None:
    assert used(Task()) == EPOCHS * (STEPS - 2), "all but an epoch's first and last"
    assert used(OwnBackward()) == used(Manual()) == used(Task(), Moves()) == 0
    assert used(Task(), accumulate_grad_batches=2) == 0


def test_hooks_given_to_a_callback_at_run_time_are_called() -> None:
    seen: list[int] = []
    hook = LambdaCallback(on_train_batch_start=lambda trainer, module, batch, index: seen.append(index))
    sn.Trainer(max_epochs=1, console=QUIET, callbacks=[hook]).fit(Task(), Data())
    assert seen == list(range(STEPS))


class Small(Task):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=8)
        return loss


class Count(L.Callback):
    """Counts the Python calls of a step, and looks at what stays allocated over fifty."""

    def __init__(self) -> None:
        self.calls, self.grown = 0, 0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 4:
            sys.setprofile(lambda frame, event, arg: setattr(self, "calls", self.calls + (event == "call")))
        if batch_idx == 5:
            sys.setprofile(None)
        if batch_idx == 100:
            tracemalloc.start()
        if batch_idx in (150, 200):
            held = tracemalloc.get_traced_memory()[0]
            self.grown = held - self.grown
        if batch_idx == 200:
            tracemalloc.stop()


def calls_by_hand() -> int:
    """Of the same step in a loop of one's own."""
    task = Task()
    optimizer, (x, y) = task.configure_optimizers()["optimizer"], Batches(1).held[0]
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    for _ in range(3):
        calls = 0
        sys.setprofile(count)
        optimizer.zero_grad()
        nn.functional.cross_entropy(task.model(x), y).backward()
        optimizer.step()
        sys.setprofile(None)
    return calls


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_step_costs_few_calls_and_keeps_nothing() -> None:
    count = Count()
    trainer = sn.Trainer(max_epochs=1, console=QUIET, callbacks=[count], log_every_n_steps=25)
    trainer.fit(Small(), Data(210))
    extra = count.calls - calls_by_hand()
    assert extra <= 50, f"{extra} Python calls more than a loop by hand; plain Lightning has about 900"
    assert count.grown < 20_000, "memory that fifty steps have kept"
