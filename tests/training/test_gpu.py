"""What only a GPU can show: `make test-gpu`. What can run on a CPU does so in the ordinary tests too."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from rich.console import Console
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import DurableCheckpointIO
from tests.training.tiny import module_of

QUIET = Console(quiet=True)
DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]
GPU = pytest.mark.gpu


class Stop(L.Callback):
    """Breaks a run off."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("broken off")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, 10)
    )


def fit(accelerator: str, model: nn.Module | None = None, *, batch_size: int = 64, **settings: Any) -> sn.Trainer:
    data = sn.create_data("digits", image_size=8, batch_size=batch_size)
    task = module_of(model or network(), data)
    options = {"max_epochs": 2, "deterministic": True, **settings}
    trainer = sn.Trainer(accelerator=accelerator, devices=1, console=QUIET, **options)
    trainer.fit(task, data, resume="auto")
    return trainer


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("accelerator", DEVICES)
def test_a_broken_run_goes_on_to_the_bit(accelerator: str, precision: str, tmp_path: Path) -> None:
    common = {"precision": precision, "checkpoint": {"every_n_steps": 5}}
    fit(accelerator, folder=tmp_path / "whole", **common)
    with pytest.raises(RuntimeError, match="broken off"):
        fit(accelerator, folder=tmp_path / "broken", callbacks=[Stop(29)], **common)
    fit(accelerator, folder=tmp_path / "broken", **common)
    left = [read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "broken")]
    for name, value in left[0]["state_dict"].items():
        assert torch.equal(value, left[1]["state_dict"][name]), name
    csv = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "broken")]
    assert csv[0] == csv[1]


class Scaled(L.Callback):
    """Keeps what each step of half precision leaves behind."""

    def __init__(self) -> None:
        self.scales: list[float] = []
        self.norms: list[Tensor] = []
        self.weights: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, module: Any, *args: Any) -> None:
        self.scales.append(trainer.precision_plugin.scaler.get_scale())
        self.weights.append(module.model[-1].weight.detach().clone())

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.norms.append(torch.nn.utils.get_total_norm([p.grad for p in module.parameters()]))


@pytest.mark.feature(74)
@pytest.mark.feature(85)
@pytest.mark.parametrize("accelerator", DEVICES)
def test_half_precision_skips_what_overflows_and_clips_what_is_unscaled(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no GPU is, Lightning's scaler is put on the CPU by hand: the Trainer itself refuses fp16 there."""
    device, limit = {"cpu": "cpu", "gpu": "cuda"}[accelerator], 0.05
    plugin = MixedPrecision("16-mixed", device, torch.amp.GradScaler(device, init_scale=2.0**40))
    machine = {"accelerator": accelerator, "devices": 1, "plugins": [DurableCheckpointIO("torch"), plugin]}
    monkeypatch.setattr("scirs_neural.training.trainer.machine_arguments", lambda settings: machine)
    seen = Scaled()
    trainer = fit(accelerator, max_epochs=3, gradient_clip_val=limit, callbacks=[seen], log_every_n_steps=1)
    skipped = [i for i, (a, b) in enumerate(pairwise(seen.scales)) if b < a]
    assert skipped[:3] == [0, 1, 2]  # 2^40 is far beyond what fp16 holds: halved until gradients are finite
    for i, (a, b) in enumerate(pairwise(seen.weights)):
        assert torch.equal(a, b) == (i in skipped), i
    made = [norm for i, norm in enumerate(seen.norms) if i not in skipped]
    assert len(made) > 20
    assert max(made) <= limit * (1 + 1e-3)
    assert min(made) > 0.1 * limit  # had they been clipped while scaled, they would be nothing now
    rows = trainer.metrics.rows
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]


@GPU
def test_a_step_never_waits_for_the_device() -> None:
    class Strict(L.Callback):
        """Errors at a synchronisation, from the second step of an epoch to the one before its last."""

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            inner = 1 <= batch_idx < trainer.num_training_batches - 2
            torch.cuda.set_sync_debug_mode("error" if inner else "default")

        def on_exception(self, *args: Any) -> None:
            torch.cuda.set_sync_debug_mode("default")

    fit("gpu", max_epochs=1, log_every_n_steps=1000, callbacks=[Strict()])


class Hungry(nn.Module):
    """Needs 64 MiB a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.sizes = nn.Linear(64, 10), list[int]()

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cuda" and self.training:
            self.sizes.append(len(x))
            room = torch.empty(len(x), 64 << 18, device=x.device)
            del room
        logits: Tensor = self.head(x.flatten(1))
        return logits


@GPU
def test_a_batch_that_does_not_fit_is_halved() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2e9 / total)
    try:
        model = Hungry()
        trainer = fit("gpu", model, max_epochs=1, limit_train_batches=4)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert min(model.sizes) in (16, 8)
    assert [text for text in trainer.warned if "out of memory with 64 samples" in text]


@GPU
def test_half_precision_learns_and_takes_less_memory() -> None:
    peaks, losses = {}, {}
    for precision in ("32-true", "16-mixed"):
        torch.cuda.reset_peak_memory_stats()
        model = sn.create_model("resnet18", num_classes=10, in_channels=1, input_size=32)
        data = sn.create_data("digits", image_size=32, batch_size=256)
        task = module_of(model, data)
        rows = sn.Trainer(accelerator="gpu", devices=1, max_epochs=2, precision=precision, console=QUIET).fit(
            task, data
        )
        peaks[precision], losses[precision] = torch.cuda.max_memory_allocated(), rows[-1]["train/loss"]
    assert peaks["16-mixed"] < 0.8 * peaks["32-true"]
    assert losses["16-mixed"] == pytest.approx(losses["32-true"], abs=0.3)
