"""Real predictions: two linear models on digits, and one with several labels a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scirs_neural.core.importing import load_file
from scirs_neural.evaluation import load_predictions

real_runs = load_file(str(Path(__file__).with_name("real_runs.py")))
GROUPS = {"even": (0, 2, 4, 6, 8), "small": (0, 1, 2, 3, 4), "round": (0, 6, 8, 9)}


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of one run."""
    return real_runs.write_run(tmp_path_factory.mktemp("runs") / "digits-softmax" / "1")


@pytest.fixture(scope="session")
def weaker_run(tmp_path_factory):
    """The folder of a run that learnt far too slowly, tested on the same samples."""
    return real_runs.write_run(tmp_path_factory.mktemp("runs") / "digits-softmax" / "2", lr=0.00002)


@pytest.fixture(scope="session")
def pred(run):
    """One label a sample."""
    return load_predictions(run / "predictions" / "test")


@pytest.fixture(scope="session")
def weaker(weaker_run):
    """The same samples, worse."""
    return load_predictions(weaker_run / "predictions" / "test")


@pytest.fixture(scope="session")
def many():
    """Several labels a sample."""
    parts = real_runs.splits()
    (x, y, _), (x_test, y_test, positions) = parts["train"], parts["test"]
    columns = [
        LogisticRegression(C=0.05).fit(x, np.isin(y, group)).predict_proba(x_test)[:, 1] for group in GROUPS.values()
    ]
    targets = np.stack([np.isin(y_test, group) for group in GROUPS.values()], axis=1).astype(int)
    return real_runs.predictions([f"digits[{i}]" for i in positions], targets, np.stack(columns, axis=1), list(GROUPS))
