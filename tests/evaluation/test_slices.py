"""Scores by a column of the data, of a real run."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console
from sklearn.datasets import load_digits

from scirs_neural.api import Run
from scirs_neural.core.errors import DataError
from scirs_neural.data import from_arrays
from scirs_neural.evaluation import evaluate
from scirs_neural.runs.train import train_run
from tests.training.tiny import tiny_config


@pytest.mark.feature(89)
def test_a_run_is_scored_by_a_column_of_its_data(tmp_path):
    scans = load_digits()
    half = np.where(np.arange(1797) < 900, "first", "second")
    data = from_arrays(scans.images, scans.target, columns={"half": half}, batch_size=256)
    quick = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=none", "task.metrics=[auroc]")
    done = train_run(tiny_config(tmp_path, *quick), data=data, console=Console(quiet=True))
    run = Run(done.folder, data=done.data)
    found = run.evaluate(by=["half"])
    saved = run.predictions()
    assert found.metrics["auroc"].low < found.metrics["auroc"].value < found.metrics["auroc"].high
    assert [part.value for part in found.slices] == ["first", "second"]
    for part in found.slices:
        chosen = np.array([half[int(sample)] == part.value for sample in saved.ids])
        assert part.samples == chosen.sum()
        assert part.metrics["accuracy"].value == saved.right[chosen].mean()
    with pytest.raises(DataError, match="has no column 'halff'") as caught:
        run.evaluate(by=["halff"])
    assert caught.value.suggestions == ("half",)


def test_samples_of_one_group_are_drawn_together(tmp_path):
    scans = load_digits()
    writer = [f"writer {i // 60}" for i in range(1797)]
    options = {"columns": {"writer": writer}, "group_by": "writer", "batch_size": 256}
    data = from_arrays(scans.images, scans.target, **options)
    config = tiny_config(tmp_path, "trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=none")
    done = train_run(config, data=data, console=Console(quiet=True))
    saved = Run(done.folder, data=data).predictions()
    assert list(saved.units) == [writer[int(sample)] for sample in saved.ids]
    found = evaluate(saved)
    assert found.units == len(set(saved.units)) < 10
    alone = evaluate(type(saved)(saved.ids, saved.columns, saved.header))
    assert found.metrics["accuracy"].value == alone.metrics["accuracy"].value
    assert found.metrics["accuracy"].low != alone.metrics["accuracy"].low
