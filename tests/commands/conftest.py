"""One finished run, made through the door itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from scirs_neural import train
from scirs_neural.core.command import run_command
from tests.training.tiny import TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny run of two epochs."""
    runs = tmp_path_factory.mktemp("door-runs")
    assert run_command(train.main, [*TINY, f"paths.runs={runs}", "trainer.max_epochs=3"]) == 0
    return runs / "digits-cnn" / "1"
