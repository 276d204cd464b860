"""What a run says: where it goes on, what weights its figures, and which number an epoch has."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import yaml
from rich.console import Console
from sklearn.metrics import recall_score

from scirs_neural import evaluate, package, predict, train
from scirs_neural.core.command import run_command
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.next_steps import next_steps
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
    said = " ".join(capsys.readouterr().out.split())
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
    assert "Epochs from 1" in page
    assert re.findall(r'<tr><th scope="row">(\d+)</th>', table[: table.index("</table>")]) == ["1", "2", "3"]
    assert (tiny_run / "metrics.csv").read_text().splitlines()[1].startswith("0,")


OWN = """
import lightning as L
import torch
from torch import nn
from scirs_neural.plugins import Plugin

class Net(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.head = nn.Linear(in_channels, num_classes)

    def forward(self, x):
        return self.head(x)

class Loss(nn.Module):
    def forward(self, outputs, target):
        return nn.functional.cross_entropy(outputs, target)

def hits(answers, truth):
    return (answers.argmax(1) == truth).mean()

class Beep(L.Callback):
    pass

class Opt(torch.optim.SGD):
    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, lr=lr)

class Idle(Plugin):
    name = "idle"
    stage = 50
"""


def test_every_command_that_is_printed_runs_and_asks_for_what_it_imports_at_once(
    table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(OWN)
    table = yaml.safe_load((table_run / "config.yaml").read_text())["data"]["path"]
    argv = ["data=table", f"data.path={table}", "data.target=y", "model=./my.py:Net", "task.loss=./my.py:Loss",
            "task.metrics=[./my.py:hits]", "optimizer=./my.py:Opt", "callbacks=[./my.py:Beep]",
            "plugins=[./my.py:Idle]", "trainer.max_epochs=1"]  # fmt: skip
    assert run_command(train.main, argv) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  python -m")]
    (board,) = [line for line in next_steps_of(tmp_path).values() if line.startswith("tensorboard")]
    assert "--allow" not in board
    mains = {"evaluate": evaluate.main, "predict": predict.main, "train": train.main}
    assert {line.split()[2].partition(".")[2] for line in printed} == set(mains)
    for line in printed:
        _, _, program, *words = shlex.split(line)
        name = program.partition(".")[2]
        assert ("./my.py:Beep" in words) == ("./my.py:Opt" in words) == (name == "train")
        assert run_command(mains[name], words) == 0, line
    capsys.readouterr()
    for main in (predict.main, package.main, evaluate.main):
        run = "runs/table-Net/1" if Path("runs/table-Net/1").is_dir() else "runs/table-my/1"
        words = [run, f"{run}/samples"] if main is predict.main else [run]
        assert run_command(main, words) == 2
        (fix,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  fix")]
        allowed = re.findall(r"--allow (\S+)", fix)
        assert sorted(allowed) == [f"./my.py:{name}" for name in ("Idle", "Loss", "Net", "hits")]
        assert run_command(main, [*words, *(word for text in allowed for word in ("--allow", text))]) in (0, None), main


def next_steps_of(folder: Path) -> dict[str, str]:
    """What is printed at the end of the first run below a folder."""
    (summary,) = folder.glob("runs/*/1/summary.json")
    return next_steps(summary.parent, json.loads(summary.read_text()))
