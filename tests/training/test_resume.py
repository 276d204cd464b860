"""Row 72 from the command line: kill -9, then the same command with trainer.resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.killing import differences, left_behind
from tests.training.tiny import TINY

KILLER = """
import os, signal
import lightning.pytorch as L

class KillAt(L.Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == 14:
            os.kill(os.getpid(), signal.SIGKILL)
"""
LONG = ("trainer.max_epochs=2", "data.batch_size=128", "trainer.checkpoint.every_n_steps=4", "data.transforms=light")


@pytest.mark.slow
@pytest.mark.feature(72)
def test_kill_9_in_the_middle_of_an_epoch_loses_nothing(train: Any, tmp_path: Path) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER)
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "scirs_neural.train", *TINY, *LONG, f"paths.runs={runs}"]
    killed = subprocess.run(
        [*command, f"callbacks=[{killer}:KillAt]"], capture_output=True, text=True, env={**os.environ}
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    broken = runs / "digits-cnn" / "1"
    assert not (broken / "summary.json").exists()
    resumed = train(*LONG, f"trainer.resume={broken}")
    unbroken = train(*LONG)
    assert resumed.folder.path == broken != unbroken.folder.path
    assert list(differences(left_behind(unbroken.folder.path), left_behind(broken))) == []
