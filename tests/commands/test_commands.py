"""The doors on a real run: what they print and write, and that the printed next commands work."""

from __future__ import annotations

import csv
import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from scirs_neural import __main__, doctor, evaluate, predict, train
from scirs_neural.core.command import run_command
from scirs_neural.evaluation.registry import load_predictions
from tests.training.tiny import TINY, read_metrics


@pytest.mark.feature(89)
def test_evaluate_has_the_figures_of_scikit_learn(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(evaluate.main, [str(tiny_run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    saved = load_predictions(tiny_run / "predictions" / "test").columns
    predicted = saved["probabilities"].argmax(axis=1)
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(
        sklearn.metrics.accuracy_score(saved["target"], predicted)
    )
    matrix = np.zeros((10, 10), dtype=int)
    matrix[found["confusion"]["true"], found["confusion"]["predicted"]] = found["confusion"]["count"]
    assert np.array_equal(matrix, sklearn.metrics.confusion_matrix(saved["target"], predicted))
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert json.loads((tiny_run / "evaluation-test.json").read_text())["metrics"] == found["metrics"]


def test_predict_names_the_digits_and_writes_both_formats(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tiny_run / "samples"
    for name in ("out.csv", "out.json"):
        assert run_command(predict.main, [str(tiny_run), str(samples), "--output", str(tmp_path / name)]) == 0
    assert "written" in capsys.readouterr().out
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    plain = json.loads((tmp_path / "out.json").read_text())
    assert [row["top_1"] for row in rows] == [item["answer"]["top"][0][0] for item in plain]
    assert len(rows) == 8
    saved = load_predictions(tiny_run / "predictions" / "test").columns
    places = [int(Path(row["source"]).stem.partition("-")[0]) for row in rows]
    assert [int(row["class"]) for row in rows] == saved["probabilities"][places].argmax(axis=1).tolist()
    found = [float(row["probability"]) for row in rows]
    assert found == pytest.approx(saved["probabilities"][places].max(axis=1).tolist(), abs=1e-5)


def test_predict_takes_globs(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(predict.main, [str(tiny_run), f"{tiny_run}/samples/*.png", "--top-k", "1"]) == 0
    assert capsys.readouterr().out.count(".png") == 8


def test_train_prints_header_epochs_summary_and_commands_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(train.main, [*TINY, "trainer.max_epochs=2"]) == 0
    said = capsys.readouterr().out
    for part in (
        "scirs-neural",
        "model",
        "digits",
        "adamw",
        "run folder",
        "1/2",
        "2/2",
        "test accuracy",
        "report.html",
    ):
        assert part in said
    assert "\x1b" not in said
    commands = re.findall(r"^  python -m (scirs_neural\.\w+) (.+)$", said, flags=re.M)
    assert [module for module, _ in commands] == ["scirs_neural.evaluate", "scirs_neural.predict", "scirs_neural.train"]
    for module, arguments in commands:
        quick = ["trainer.max_epochs=1"] if module.endswith("train") else []
        assert run_command(import_module(module).main, [*shlex.split(arguments), *quick]) == 0
    assert (tmp_path / "runs" / "digits-cnn" / "2" / "report.html").stat().st_size > 10_000


@pytest.mark.feature(4)
def test_a_small_network_reads_98_percent_of_the_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["model=cnn", "data=digits", "data.image_size=8", f"paths.runs={tmp_path}", "trainer.max_epochs=6"]
    assert run_command(train.main, overrides) == 0
    run = tmp_path / "digits-cnn" / "1"
    summary = json.loads((run / "summary.json").read_text())
    saved = load_predictions(run / "predictions" / "test").columns
    accuracy = sklearn.metrics.accuracy_score(saved["target"], saved["probabilities"].argmax(axis=1))
    assert summary["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert accuracy >= 0.98
    assert f"test accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out


@pytest.mark.feature(69)
def test_sweep_leaves_one_folder_a_job(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["-m", *TINY, "trainer=smoke", "seed=0,1", f"paths.runs={tmp_path}"]) == 0
    jobs = sorted((tmp_path / "sweep" / "1").iterdir())
    assert [job.name for job in jobs] == ["0", "1"]
    assert [json.loads((job / "summary.json").read_text())["seed"] for job in jobs] == [0, 1]
    assert len(read_metrics(jobs[0] / "metrics.csv")) == 1
    assert "seed=1" in capfd.readouterr().out


def test_sweep_with_a_fault_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["-m", "model=cnn,resnet51", f"paths.runs={tmp_path}"]) == 2
    assert "unknown model 'resnet51'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_check_builds_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["--check", "model=vit_h_14", "data.image_size=32", f"paths.runs={tmp_path}"]) == 0
    assert "ok: this configuration can be run" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.feature(97)
def test_doctor_finds_this_installation_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(doctor.main, ["--json"]) == 0
    found = {row["subject"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["torch"]["is_well"]
    assert found["torch + torchvision"]["is_well"]
    assert run_command(doctor.main, []) == 0


def test_doctor_names_a_broken_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: "1.0.0" if name == "torch" else real(name))
    pair = next(iter(doctor.check_pair()))
    assert not pair.is_well
    assert "torch" in pair.fix


def test_every_verb_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in __main__.COMMANDS:
        monkeypatch.setattr("sys.argv", ["scirs-neural", verb, "--help"])
        if verb == "train":  # its help is its own; the others' is argparse's, which ends the process
            assert __main__.main() == 0
        else:
            with pytest.raises(SystemExit, match="0"):
                __main__.main()
        assert "usage" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["scirs-neural", "trian"])
    assert __main__.main() == 2
    assert "train" in capsys.readouterr().err


LOSSES = """import torch

def margin(input, target, scale=1.0):
    return scale * (1 - input.softmax(1).gather(1, target[:, None])).mean()
"""


@pytest.mark.feature(51)
def test_a_users_loss_in_a_weighted_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line: each term is logged, and the logged terms sum to the logged loss."""
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(LOSSES)
    terms = "[{name: cross_entropy},{name: ./my.py:margin,weight: 0.5,scale: 2.0},{name: dice,weight: 0.1,as: overlap}]"
    assert run_command(train.main, ["model=mlp", "trainer=smoke", "data.image_size=8", f"task.loss={terms}"]) == 0
    with next(Path("runs").rglob("metrics.csv")).open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("train/loss")]
    assert rows
    for row in rows:
        parts = [float(row[f"train/loss_{name}"]) for name in ("cross_entropy", "margin", "overlap")]
        assert all(parts)
        assert sum(parts) == pytest.approx(float(row["train/loss"]), rel=1e-5)


def test_network_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(
        "layers:\n  - conv2d: {out_channels: 8, kernel_size: 3}\n  - relu\n  - flatten\n"
        "  - linear: {out_features: num_classes}\n"
    )
    Path("net.py").write_text(
        "from torch import nn\n\n"
        "def Net(num_classes, in_channels):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, num_classes))\n"
    )
    quick: tuple[Any, ...] = ("trainer=smoke", "data.image_size=8")
    for name in ("./net.yaml", "./net.py:Net"):
        assert run_command(train.main, [f"model={name}", *quick]) == 0
    assert run_command(evaluate.main, ["runs/digits-net", "--allow", "./net.py:Net"]) == 0
    assert run_command(evaluate.main, ["runs/digits-net/1"]) == 2
    assert run_command(evaluate.main, ["runs/digits-net/1", "--allow", "./net.yaml"]) == 0
