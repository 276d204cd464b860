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


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny network of two columns that tells two classes apart."""
    folder = tmp_path_factory.mktemp("table-runs")
    lines = [f"{i / 7},{-i / 3},{'low' if i < 30 else 'high'}" for i in range(60)]
    (folder / "two.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
    argv = ["data=table", f"data.path={folder}/two.csv", "data.target=y", "model=mlp", "model.hidden=[4]"]
    assert run_command(train.main, [*argv, f"paths.runs={folder}/runs", "trainer.max_epochs=1"]) == 0
    return folder / "runs" / "table-mlp" / "1"
