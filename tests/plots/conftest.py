"""Run folders with real content."""

from __future__ import annotations

from pathlib import Path

import pytest

from scirs_neural.core.importing import load_file
from scirs_neural.evaluation import evaluate
from scirs_neural.runs.record import RunRecord

real_runs = load_file(str(Path(__file__).parents[1] / "evaluation" / "real_runs.py"))


@pytest.fixture(scope="session")
def image():
    """From a sample's id to its scan."""
    return real_runs.image


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Two runs that learnt at different speeds."""
    root = tmp_path_factory.mktemp("runs") / "digits-softmax"
    return [RunRecord(real_runs.write_run(root / "1")), RunRecord(real_runs.write_run(root / "2", lr=0.0002))]


@pytest.fixture(scope="session")
def evaluation(runs):
    """Of the first run's test predictions."""
    return evaluate(runs[0].predictions(), num_resamples=50)
