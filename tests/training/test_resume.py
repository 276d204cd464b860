"""Row 72: a run that is broken off and resumed ends with the weights of the run that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scirs_neural.training.checkpoint_io import read_checkpoint
from scirs_neural.training.run import Finished
from tests.training.tiny import TINY

KILLER = """
import os, signal
import lightning.pytorch as L

class KillAt(L.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)
"""
LONG = ("trainer.max_epochs=2", "data.batch_size=128", "trainer.checkpoint.every_n_steps=4", "data.transforms=light")


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(checkpoint)["state_dict"]


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.fixture
def unbroken(train: Any) -> Finished:
    return train(*LONG)


@pytest.mark.parametrize("step", [6, 11, 15])
def test_resumed_run_has_the_bits_of_the_unbroken_one(
    train: Any, unbroken: Finished, step: int, tmp_path: Path
) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER.replace("os.kill(os.getpid(), signal.SIGKILL)", "raise RuntimeError('broken off')"))
    with pytest.raises(RuntimeError, match="broken off"):
        train(*LONG, f"callbacks=[{killer}:KillAt]", f"callbacks.KillAt.step={step}")
    broken = unbroken.folder.path.parent / "2"
    resumed = train(*LONG, f"trainer.resume={broken}")
    assert resumed.folder.path == broken
    assert_same_bits(weights(unbroken.folder.last), weights(resumed.folder.last))


@pytest.mark.feature(72)
def test_kill_9_in_the_middle_of_an_epoch_loses_nothing(train: Any, unbroken: Finished, tmp_path: Path) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER)
    runs = unbroken.folder.path.parent.parent
    command = [sys.executable, "-m", "scirs_neural.train", *TINY, *LONG, f"paths.runs={runs}"]
    killed = subprocess.run(
        [*command, f"callbacks=[{killer}:KillAt]", "callbacks.KillAt.step=14"],
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    broken = unbroken.folder.path.parent / "2"
    assert not (broken / "summary.json").exists()
    resumed = train(*LONG, f"trainer.resume={broken}")
    assert_same_bits(weights(unbroken.folder.last), weights(resumed.folder.last))
    assert [row["epoch"] for row in resumed_rows(resumed)] == [0, 1]


def resumed_rows(done: Finished) -> list[dict[str, float]]:
    from scirs_neural.training.metrics_file import read_metrics

    return read_metrics(done.folder.metrics)
