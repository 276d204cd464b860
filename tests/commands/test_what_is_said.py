"""What a run says: where it goes on, what weights its figures, and which number an epoch has."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import recall_score

from scirs_neural import evaluate, train
from scirs_neural.core.command import run_command
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.train import train_run
from tests.training.tiny import tiny_config


class BrokenOffError(Exception):
    """As if the process were gone."""


class BreakAt(L.Callback):
    """Breaks a run off within an epoch."""

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 14:
            raise BrokenOffError


@pytest.mark.parametrize(("every", "epoch", "step"), [(4, 2, 12), (100, 2, 11)])
def test_a_run_that_goes_on_says_from_where_and_counts_its_own_time(
    every: int, epoch: int, step: int, tmp_path: Path
) -> None:
    settings = (
        "trainer.max_epochs=2", "data.batch_size=128", f"trainer.checkpoint.every_n_steps={every}", "logger=none",
    )  # fmt: skip
    quiet = Console(quiet=True)
    with pytest.raises(BrokenOffError):
        train_run(tiny_config(tmp_path, *settings), console=quiet, callbacks=[BreakAt()])
    folder = tmp_path / "digits-cnn" / "1"
    console = Console(record=True, width=120, file=io.StringIO())
    train_run(tiny_config(tmp_path, *settings, f"trainer.resume={folder}"), console=console)
    said = console.export_text()
    assert f"goes on from {folder}/checkpoints/last.ckpt, epoch {epoch}, step {step}" in said
    (row,) = [line for line in said.splitlines() if line.strip().startswith("2/2")]
    assert re.search(r"\d(\.\d)? m?s( |$)", row), row  # not hours since the machine was started
    assert "h " not in row


@pytest.fixture(scope="module")
def weighted_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on rows that weigh differently."""
    folder = tmp_path_factory.mktemp("weighted")
    lines = [f"{i % 7},{i % 5},{'low' if i % 3 else 'high'},{1 + 9 * (i % 2)}" for i in range(80)]
    (folder / "w.csv").write_text("a,b,y,heavy\n" + "\n".join(lines) + "\n")
    argv = ["data=table", f"data.path={folder}/w.csv", "data.target=y", "data.weight=heavy", "model=mlp",
            "model.hidden=[4]", f"paths.runs={folder}/runs", "trainer.max_epochs=1"]  # fmt: skip
    assert run_command(train.main, argv) == 0
    return folder / "runs" / "table-mlp" / "1"


def test_weighted_figures_say_by_what_and_counts_say_that_they_are(
    weighted_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (weighted_run / "report.html").read_text()
    assert page.count("weighted by the column &#x27;heavy&#x27;") == 2  # the large score, and the table of scores
    assert "Counts of samples, whatever they weigh." in page
    assert "Precision, recall and F1 are weighted by the samples" in page
    assert run_command(evaluate.main, [str(weighted_run)]) == 0
    said = capsys.readouterr().out
    assert "test split, weighted by the column 'heavy': 16 samples" in said
    assert "scores are weighted by the samples' weights; the confusion and the numbers of samples are counts" in said
    found = load_predictions(weighted_run / "predictions" / "test")
    wanted = recall_score(
        found.columns["target"], found.columns["probabilities"].argmax(1), average=None, sample_weight=found.weight,
        zero_division=0,
    )  # fmt: skip
    details = found.describe()
    assert [row.recall for row in details["per_class"]] == pytest.approx(list(wanted))
    assert int(np.sum(details["confusion"]["count"])) == len(found)


def test_without_weights_nothing_is_said_of_them(table_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "weighted" not in (table_run / "report.html").read_text().replace("weighted_", "")
    assert run_command(evaluate.main, [str(table_run)]) == 0
    assert "weighted" not in capsys.readouterr().out


def test_the_report_counts_epochs_as_the_terminal_does(tiny_run: Path) -> None:
    page = (tiny_run / "report.html").read_text()
    table = page[page.index("metrics.csv counts them from 0") :]
    assert re.findall(r'<tr><th scope="row">(\d+)</th>', table[: table.index("</table>")]) == ["1", "2", "3"]
    assert (tiny_run / "metrics.csv").read_text().splitlines()[1].startswith("0,")
