"""Tiny runs, as fixtures of the tests of training and of runs: their conftests import them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from scirs_neural.runs.train import RunResult, train_run
from tests.training.tiny import tiny_config

Train = Callable[..., RunResult]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train a tiny run: ``train("trainer.max_epochs=2", model=…)``."""

    def run(*overrides: str, **parts: object) -> RunResult:
        config = tiny_config(tmp_path / "runs", *overrides)
        return train_run(config, console=Console(quiet=True), **parts)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """One run of three epochs, shared by tests that only look at what it left behind."""
    config = tiny_config(tmp_path_factory.mktemp("runs"), "trainer.max_epochs=3", "logger.tensorboard.histograms=true")
    return train_run(config, console=Console(quiet=True))
