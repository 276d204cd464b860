"""What a stranger's distribution brings goes through everything that this package does, without an edit of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from statsmodels.datasets import sunspots as source

from scirs_neural import compare, evaluate, info, package, predict, train, tune
from scirs_neural import list as listing
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import CheckpointError
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.serialization import load_package
from tests.training.killing import differences, left_behind

pytestmark = pytest.mark.feature(6)
BROUGHT = {
    "tasks": "counting", "data": "sunspots", "fields": "series", "models": "series_net", "losses": "squared_log",
    "optimizers": "sign_sgd", "callbacks": "counted_steps", "plugins": "pull_to_start", "metrics": "within",
}  # fmt: skip
TYPED = (
    "data=sunspots", "model=series_net", "optimizer=sign_sgd", "callbacks=[counted_steps]", "plugins=[pull_to_start]",
    "task.loss=squared_log", "task.metrics=[within]", "optimizer.lr=0.02", "data.batch_size=64", "logger=none",
    "trainer.max_epochs=3", "trainer.log_every_n_steps=1",
)  # fmt: skip


def ok(main: Callable[[list[str]], Any], *argv: Any) -> None:
    assert run_command(main, [str(text) for text in argv]) in (None, 0)


def trained(runs: Path, *more: str) -> Path:
    ok(train.main, *TYPED, *more, f"paths.runs={runs}")
    return runs / "sunspots-series_net" / "1"


@pytest.fixture(scope="module")
def run(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs."""
    return trained(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def packed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "sunspots.zip"
    ok(package.main, run, "--out", path)
    return path


def test_lists_and_descriptions_name_the_distribution(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in BROUGHT.items():
        ok(listing.main, kind, name)
        assert "from scirs-neural-sunspots" in capsys.readouterr().out, kind
    ok(info.main, "model:series_net")
    said = capsys.readouterr().out
    assert [text for text in ("scirs-neural-sunspots", "width", "16") if text not in said] == []


def test_check_trains_nothing_and_finds_what_is_wrong(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ok(train.main, *TYPED, "--check", f"paths.runs={tmp_path}")
    said = capsys.readouterr().out
    assert "counting: the target 'count' is of the kind count" in said
    assert not list(tmp_path.iterdir())
    assert run_command(train.main, [*TYPED, "optimizer.betta=0.5", "--check"]) == 2
    assert "optimizer.beta" in capsys.readouterr().err


def test_a_run_has_what_was_asked_for(run: Path) -> None:
    counts = source.load_pandas().data["SUNACTIVITY"].to_numpy()
    found = load_predictions(run / "predictions" / "test")
    true, expected = (np.asarray(found.columns[name], dtype=float) for name in ("target", "expected"))
    assert np.array_equal(true, counts[11:][[int(name) for name in found.ids]].astype(np.float32))
    summary = json.loads((run / "summary.json").read_text())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(true > 0, true * np.log(true / expected), 0)
    by_hand = {
        "deviance": 2 * np.mean(ratio - true + expected), "mae": np.abs(true - expected).mean(),
        "within": np.mean(np.abs(true - expected) < 20),
    }  # fmt: skip
    assert {name: summary["test"][name] for name in ("deviance", "within")} == pytest.approx(
        {name: by_hand[name] for name in ("deviance", "within")}, rel=1e-5
    )
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    steps = 3 * 4  # of 214 windows, 64 at a time
    assert [state for state in kept["callbacks"].values() if state == {"count": steps}]
    ok(evaluate.main, run, "--by", "decade")
    judged = json.loads((run / "evaluation-test.json").read_text())
    for name, value in by_hand.items():
        score = judged["metrics"][name]
        assert score["value"] == pytest.approx(value, rel=1e-5)
        assert score["low"] < value < score["high"]
    assert {f"{1700 + 11 + int(name)}"[:3] for name in found.ids} == {each["value"] for each in judged["slices"]}
    page = (run / "report.html").read_text()
    shown = ("deviance", "within", f"{by_hand['within']:.4f}", "sunspots of each year, 1700 to 2008")
    assert [text for text in shown if text not in page] == []


def test_the_plugin_is_heard(run: Path, tmp_path: Path) -> None:
    firm = trained(tmp_path, "plugins.pull_to_start.strength=1000")
    assert "train/loss_pull_to_start/distance" in (firm / "metrics.csv").read_text()
    states = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for f in (run, firm)]
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_that_was_broken_off_goes_on_to_the_same_bits(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sunspots.parts import SignSGD

    step, taken = SignSGD.step, []

    def fails(self: Any, closure: Any = None) -> Any:
        taken.append(1)
        if len(taken) == 7:
            raise OSError("the power is gone")
        return step(self, closure)

    with monkeypatch.context() as patch:
        patch.setattr(SignSGD, "step", fails)
        asked = [*TYPED, "trainer.checkpoint.every_n_steps=3", f"paths.runs={tmp_path}"]
        with pytest.raises(OSError, match="the power is gone"):
            run_command(train.main, asked)
    broken = tmp_path / "sunspots-series_net" / "1"
    assert not (broken / "summary.json").exists()
    ok(train.main, *asked, f"trainer.resume={broken}")
    assert list(differences(left_behind(run), left_behind(broken))) == []
    runs = [load_predictions(folder / "predictions" / "test").columns["expected"] for folder in (run, broken)]
    assert np.array_equal(*runs)


def test_folds_and_searches(installed: Path, tmp_path: Path) -> None:
    short = ("trainer.max_epochs=1", f"paths.runs={tmp_path}")
    ok(train.main, *TYPED, *short, "cv=3")
    pooled = load_predictions(tmp_path / "sunspots-series_net-cv" / "1" / "predictions" / "out_of_fold")
    assert len(pooled) == 298 - 60
    assert pooled.kind == "counts"
    ok(tune.main, *TYPED, *short, "model.width=4,8", "tune.trials=2", "tune.startup=2")
    study = json.loads((tmp_path / "sunspots-series_net-tune" / "1" / "summary.json").read_text())
    assert {tuple(trial["values"]) for trial in study["trials"]} == {("val/deviance",)}


def test_runs_are_compared(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = trained(tmp_path, "task.loss=auto", "optimizer=adamw")
    capsys.readouterr()
    ok(compare.main, run, other, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["metric"], found["samples"], len(found["pairs"])) == ("deviance", 60, 1)
    assert found["pairs"][0]["low"] <= found["pairs"][0]["difference"] <= found["pairs"][0]["high"]


def test_a_package_answers_in_a_fresh_process(installed: Path, run: Path, packed: Path, python: Any) -> None:
    ok(predict.main, run, run / "samples" / "series.csv", "--output", packed.parent / "here.json")
    there, path = packed.parent / "there.json", f"{installed}"
    asked = ["-m", "scirs_neural.predict", packed, run / "samples" / "series.csv", "--output", there]
    done = python(*map(str, asked), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(there.read_text())
    assert answers == json.loads((packed.parent / "here.json").read_text())
    assert len(answers) > 3
    assert all(answer["answer"]["expected"] > 0 for answer in answers)


def test_a_package_without_its_distribution_is_refused(
    installed: Path, packed: Path, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in tables:
        names = {k: e for k, e in table._entries.items() if e.distribution != "scirs-neural-sunspots"}
        monkeypatch.setattr(table, "_entries", names)
    with pytest.raises(CheckpointError, match="not installed") as refused:
        load_package(packed)
    assert "scirs-neural-sunspots 1.2.0" in str(refused.value)


def test_the_gradient_does_not_depend_on_how_a_step_is_cut(installed: Path) -> None:
    from scirs_neural.data import create_data
    from scirs_neural.models import create_model
    from tests.training.steps import EVENLY, SAMPLES, Example, gradient, off

    data = create_data("sunspots", batch_size=SAMPLES)
    batch = next(iter(data.eval_dataloader("val")))
    example = Example(data.spec, lambda: create_model("series_net", length=11), dict(batch))
    whole, loss = gradient(example)
    for sizes, room in ((EVENLY, None), ((SAMPLES,), 3)):
        found, logged = gradient(example, sizes, room=room)
        assert off(found, whole) < 1e-6
        assert logged == pytest.approx(loss, rel=1e-5)
