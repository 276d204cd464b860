"""The door that compares runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scirs_neural import compare
from scirs_neural.core.command import run_command
from scirs_neural.core.importing import load_file

real_runs = load_file(str(Path(__file__).parents[1] / "evaluation" / "real_runs.py"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "digits-softmax"
    return [real_runs.write_run(root / "1"), real_runs.write_run(root / "2", lr=0.00002)]


@pytest.mark.parametrize("width", ["80", "120"])
def test_prints_scores_settings_and_verdict(width, runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    assert run_command(compare.main, [str(run) for run in runs]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= int(width)
    flat = " ".join(text.split())
    assert "digits-softmax/2 against digits-softmax/1: digits-softmax/1 is better" in flat
    assert "optimizer.lr 0.003 2e-05" in flat
    assert "seed" not in flat
    for word in ("accuracy", "log_loss", "test, 360 samples", "points, 95 % interval", "McNemar"):
        assert word in flat


def test_json_holds_everything(runs, capsys):
    assert run_command(compare.main, ["--json", *(str(run) for run in runs)]) == 0
    found = json.loads(capsys.readouterr().out)
    one, two = found["runs"]
    assert found["config"] == {"optimizer.lr": {one: 0.003, two: 0.00002}}
    accuracy = [found["metrics"][name]["accuracy"]["value"] for name in (one, two)]
    assert accuracy == [json.loads((run / "summary.json").read_text())["test"]["accuracy"] for run in runs]
    (pair,) = found["pairs"]
    assert pair["difference"] == pytest.approx(accuracy[1] - accuracy[0])
    assert pair["p_value"] < 0.05
    assert found["samples"] == 360
    assert found["intervals"] == {"level": 0.95, "num_resamples": 2000, "seed": 0, "drawn": 360}
    assert (found["metric"], pair["test"]) == ("accuracy", "McNemar's exact test")


def test_by_another_metric(runs, capsys):
    assert run_command(compare.main, [*map(str, runs), "--metric", "log_loss"]) == 0
    flat = " ".join(capsys.readouterr().out.split())
    assert "digits-softmax/1 is better" in flat
    assert "permutation test" in flat
    assert run_command(compare.main, [*map(str, runs), "--metric", "acuracy"]) == 2
    assert "maybe accuracy" in " ".join(capsys.readouterr().err.split())


def test_three_runs_and_names_that_tell_them_apart(runs, tmp_path, capsys):
    shutil.copytree(runs[0], tmp_path / "digits-softmax" / "1")
    assert run_command(compare.main, [*(str(run) for run in runs), str(tmp_path / "digits-softmax" / "1")]) == 0
    text = capsys.readouterr().out
    assert text.count(" against ") == 3
    assert "corrected for 3 pairs" in text
    assert f"{tmp_path.name}/digits-softmax/1" in text


def test_what_cannot_be_compared_says_why(runs, tmp_path, capsys):
    other = real_runs.write_run(tmp_path / "other" / "1", split_seed=3)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.yaml").write_text("seed: 0\n")
    for folders, message in (
        ([runs[0]], "at least two runs"),
        ([runs[0], runs[0]], "named twice"),
        ([runs[0], tmp_path / "none"], "does not exist"),
        ([runs[0], tmp_path], "is not a run folder"),
        ([runs[0], bare], "left no test predictions"),
        ([runs[0], other], "tested on different samples"),
    ):
        assert run_command(compare.main, [str(folder) for folder in folders]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) <= 6


def test_needs_no_torch(runs):
    code = (
        "import sys; from scirs_neural import compare; compare.main(sys.argv[1:]);"
        "print({'torch', 'matplotlib', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, runs)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
