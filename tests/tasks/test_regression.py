"""Regression through the main job: numbers in their units, scikit-learn's figures, a report, and clear refusals."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn import metrics as sk

from scirs_neural import train
from scirs_neural.api import load_run
from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.data import create_data
from scirs_neural.data.context import Context
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.models import create_model
from scirs_neural.runs.comparison import compare_runs
from scirs_neural.runs.cross_validation import cross_validate
from scirs_neural.runs.groups import config_groups
from scirs_neural.tasks import create_task

JOB = ("data=diabetes", "task=regression", "model=mlp", "model.hidden=[]", "optimizer.lr=0.05", "trainer.max_epochs=4")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    assert run_command(train.main, [*JOB, f"paths.runs={runs}"]) == 0
    return runs / "diabetes-mlp" / "1"


def test_the_figures_are_scikit_learns_of_the_saved_predictions(run):
    pred = load_predictions(run / "predictions" / "test")
    assert pred.kind == "numbers"
    summary = json.loads((run / "summary.json").read_text())
    report = json.loads((run / "evaluation-test.json").read_text())
    r2 = sk.r2_score(pred.target, pred.numbers)
    assert r2 > 0.2
    for found in (summary["test"]["r2"], report["metrics"]["r2"]["value"]):
        assert found == pytest.approx(r2, abs=1e-5)
    rmse = sk.root_mean_squared_error(pred.target, pred.numbers)
    assert summary["test"]["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert summary["test"]["mae"] == pytest.approx(sk.mean_absolute_error(pred.target, pred.numbers), rel=1e-5)
    assert report["metrics"]["mae"]["low"] < report["metrics"]["mae"]["value"] < report["metrics"]["mae"]["high"]
    data = create_data("diabetes")
    assert np.array_equal(
        pred.target, np.asarray(data.dataset("test").samples.known("target"))
    )  # in the units of the data
    page = (run / "report.html").read_text()
    assert "mean absolute error" in page
    assert "Predicted against true numbers" in page
    assert "Confusion" not in page


def test_a_run_is_judged_again_and_refuses_what_is_for_images(run, tmp_path):
    again = load_run(run)
    saved = load_predictions(run / "predictions" / "test")
    assert again.evaluate().metrics["r2"].value == pytest.approx(sk.r2_score(saved.target, saved.numbers), abs=1e-6)
    with pytest.raises(DataError):
        again.predict("scan.png")
    (pair,) = compare_runs([str(run), str(shutil.copytree(run, tmp_path / "2"))])["pairs"]
    assert (pair["metric"], pair["difference"], pair["p_value"]) == ("r2", 0, 1)


def test_cross_validation_of_numbers(tmp_path):
    quick = ("trainer.max_epochs=2", "logger=none")
    config = load_config(Request([*JOB, *quick, "cv=3", f"paths.runs={tmp_path}"]), config_groups())
    found = cross_validate(config, Console(quiet=True))
    assert next(iter(found.statistics)) == "r2"
    parts = [load_predictions(found.folder.path / f"fold-{n}" / "predictions" / "test") for n in (1, 2, 3)]
    each = [sk.r2_score(part.target, part.numbers) for part in parts]
    assert found.statistics["r2"].values == pytest.approx(each)
    whole = load_predictions(found.folder.predictions("out_of_fold"))
    assert len(whole) == sum(map(len, parts))
    assert found.out_of_fold.metrics["r2"].value == pytest.approx(sk.r2_score(whole.target, whole.numbers))
    together = load_predictions(found.folder.predictions("test"))
    outer = [
        load_predictions(found.folder.path / f"fold-{n}" / "predictions" / "outer_test").numbers for n in (1, 2, 3)
    ]
    assert together.numbers == pytest.approx(np.mean(outer, axis=0), rel=1e-6)


def test_the_task_must_be_the_datas(capsys):
    assert run_command(train.main, ["--check", "data=diabetes", "model=mlp", "task=classification"]) == 2
    assert "fix    task=regression" in capsys.readouterr().err


def test_a_network_for_images_is_refused(capsys):
    assert run_command(train.main, ["--check", "data=diabetes", "task=regression", "model=resnet18"]) == 2
    assert "error" in capsys.readouterr().err


def test_the_loss_is_of_scaled_numbers():
    data = create_data("diabetes")
    target = data.spec.target
    task, model = create_task(data.spec), create_model("mlp", num_classes=1, in_channels=10, input_size=1, hidden=[])
    batch = next(iter(data.train_dataloader()))
    (y,) = (batch[name] for name in data.spec.targets)
    scaled = ((y - target["mean"][0]) / target["std"][0]).float()
    outputs = task.forward(model, batch, Context("train"))
    (loss,) = task.losses(outputs, batch, Context("train")).values()
    assert loss.item() == pytest.approx(torch.nn.functional.mse_loss(outputs, scaled).item())
    assert torch.allclose(task.to_tensors(scaled, batch)["numbers"].double(), y.double(), rtol=1e-5)
    with pytest.raises(ConfigError):
        create_task(data.spec, label_smoothing=0.1)


def test_classes_of_rows(tmp_path):
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).frame
    path = tmp_path / "wine.csv"
    frame.to_csv(path, index=False)
    asked = ["data=table", f"data.path={path}", "data.target=target", "model=mlp"]
    fast = [
        "model.hidden=[16]",
        "trainer.max_epochs=8",
        "data.batch_size=16",
        "optimizer.lr=0.02",
        "logger=none",
    ]
    assert run_command(train.main, [*asked, *fast, f"paths.runs={tmp_path / 'runs'}"]) == 0
    summary = json.loads((tmp_path / "runs" / "table-mlp" / "1" / "summary.json").read_text())
    assert summary["test"]["accuracy"] > 0.9
    assert len(summary["data"]["inputs"]["row"]["columns"]) == 13
