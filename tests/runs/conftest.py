"""Tiny runs, as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from scirs_neural.core.importing import load_file
from tests.tiny_runs import finished as finished
from tests.tiny_runs import train as train

real_runs = load_file(str(Path(__file__).parents[1] / "evaluation" / "real_runs.py"))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run, written by hand."""
    return real_runs.write_run(tmp_path_factory.mktemp("runs") / "digits-softmax" / "1")
