"""Every task goes through everything: nothing here, or in the engine, knows which one it is."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from scirs_neural import compare, evaluate, package, predict, train, tune
from scirs_neural.core.command import run_command
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.tasks.registry import TASKS
from scirs_neural.training.module import Module
from tests.training.killing import differences, left_behind

SHORT = ("trainer.max_epochs=2", "data.batch_size=16", "logger=none", "trainer.checkpoint.every_n_steps=1")
OWN = """
from torch import nn

class Own(nn.Sequential):
    def __init__(self, in_channels, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(in_channels, 8), nn.Tanh(), nn.Linear(8, num_classes))
"""


@dataclass
class Case:
    """A task on data of its own.

    Args:
        task: its name.
        make: writes the data into a folder and gives the overrides that train on it.
        panels: titles in its report.
        answer: what an answer holds.
        mixes: whether MixUp is for it.
        own: whether the network is the user's own.
    """

    task: str
    make: Callable[[Path], list[str]]
    panels: tuple[str, ...]
    answer: str
    mixes: bool = False
    own: bool = False


def digits(folder: Path) -> list[str]:
    return ["data=digits", "data.image_size=8", "data.transforms=light", "model=mlp", "model.hidden=[8]",
            "trainer.limit_train_batches=4", "trainer.limit_val_batches=2"]  # fmt: skip


def labels(folder: Path) -> list[str]:
    scans = load_digits()
    rows = [["path", "label"]]
    for index, (scan, digit) in enumerate(zip(scans.images[:80], scans.target, strict=False)):
        Image.fromarray((scan * 15.9).astype(np.uint8)).save(folder / f"{index}.png")
        names = [name for name, holds in (("even", digit % 2 == 0), ("small", digit < 5)) if holds]
        rows.append([f"{index}.png", "|".join(names)])
    _write(folder / "list.csv", rows)
    return ["data=csv", f"data.path={folder / 'list.csv'}", "data.image_size=8", "data.num_workers=0", "model=mlp",
            "model.hidden=[8]"]  # fmt: skip


def rows(folder: Path, *targets: str) -> list[str]:
    stream = np.random.default_rng(0)
    held = [["height", "colour", "kind", "price"]]
    for _ in range(80):
        height, colour = stream.normal(), ["red", "blue"][stream.integers(2)]
        kind = "big" if height + 0.3 * stream.normal() > 0 else "little"
        held.append([f"{height:.4f}", colour, kind, f"{3 * height + (colour == 'red') + 0.1 * stream.normal():.4f}"])
    _write(folder / "rows.csv", held)
    named = targets[0] if len(targets) == 1 else f"[{','.join(targets)}]"
    left = [name for name in ("kind", "price") if name not in targets]
    return ["data=table", f"data.path={folder / 'rows.csv'}", f"data.target={named}",
            f"data.leave_out=[{','.join(left)}]", "model=mlp", "model.hidden=[8]"]  # fmt: skip


def own(folder: Path) -> list[str]:
    (folder / "own.py").write_text(OWN)
    return [*rows(folder, "kind")[:-2], f"model={folder / 'own.py'}:Own"]


def texts(folder: Path) -> list[str]:
    stream = np.random.default_rng(0)
    words = {"good": ["great", "fine", "lovely"], "bad": ["awful", "dull", "poor"]}
    held = [["review", "mood"]]
    for index in range(80):
        mood = ["good", "bad"][index % 2]
        held.append([" ".join([*stream.choice(words[mood], 2), *stream.choice(["film", "plot", "the"], 3)]), mood])
    _write(folder / "reviews.csv", held)
    return ["data=text", f"data.path={folder / 'reviews.csv'}", "data.text=review", "data.target=mood",
            "data.tokenizer=words", "data.vocab_size=50", "data.num_workers=0", "model=text_lstm",
            "model.hidden_size=4", "model.embed_dim=4", "model.dropout=0"]  # fmt: skip


def masks(folder: Path) -> list[str]:
    scans = load_digits().images[:60]
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index, scan in enumerate(scans):
        Image.fromarray((scan * 15.9).astype(np.uint8)).save(folder / "images" / f"{index}.png")
        Image.fromarray((scan > 7).astype(np.uint8)).save(folder / "masks" / f"{index}.png")
    return ["data=mask_folder", f"data.root={folder}", "data.num_workers=0", "model=unet", "model.width=4",
            "model.depth=2"]  # fmt: skip


CASES = {
    "images": Case("classification", digits, ("Confusion", "Reliability"), "class", mixes=True),
    "labels": Case("multi_label", labels, ("Labels", "Reliability"), "labels", mixes=True),
    "rows": Case("classification", own, ("Confusion", "Classes"), "class", own=True),
    "numbers": Case("regression", lambda folder: rows(folder, "price"), ("Predictions", "Worst errors"), "price"),
    "two": Case("multi_task", lambda folder: rows(folder, "kind", "price"), ("Confusion", "Predictions"), "kind"),
    "texts": Case("classification", texts, ("Confusion", "Worst errors"), "class"),
    "masks": Case("segmentation", masks, ("Classes", "Least overlap"), "areas"),
}


def _write(path: Path, held: list[list[str]]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(held)


@dataclass
class Ran:
    """A finished run of a case, and what it was trained with."""

    case: Case
    asked: list[str]
    folder: Path

    @property
    def allow(self) -> list[str]:
        """The words that let a command import the user's own network."""
        named = next(text.partition("=")[2] for text in self.asked if text.startswith("model="))
        return ["--allow", named] if self.case.own else []


def begin(asked: list[str], runs: Path, *more: str) -> Path:
    """Train, and give the newest run folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning about tiny runs
        assert run_command(train.main, [*asked, *SHORT, f"paths.runs={runs}", *more]) == 0
    return max(runs.glob("*/*"), key=lambda folder: folder.stat().st_mtime_ns)


@pytest.fixture(scope="module", params=CASES)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    case, place = CASES[request.param], tmp_path_factory.mktemp(request.param)
    (place / "data").mkdir()
    asked = case.make(place / "data")
    return Ran(case, asked, begin(asked, place / "runs"))


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_every_task_is_here() -> None:
    assert {case.task for case in CASES.values()} == set(TASKS.names()) - {"auto"}


def test_what_check_passes_runs(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["--check", *ran.asked, *SHORT]) == 0
    assert run_command(train.main, ["--check", *ran.asked, *SHORT, "task.loss=triplet_margin"]) == 2
    assert len(capsys.readouterr().err.splitlines()) <= 7


OTHERS = {"images": "text_lstm", "labels": "tabular_mlp", "two": "resnet18", "numbers": "bag_of_embeddings",
          "texts": "resnet18", "masks": "tabular_mlp"}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_network_for_another_kind_of_input_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = CASES[name].make(tmp_path)
    fitting = next(text for text in asked if text.startswith("model=")).partition("=")[2]
    asked = [text for text in asked if not text.startswith("model")]
    assert run_command(train.main, [*asked, f"model={OTHERS[name]}", "--check"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"the model '{OTHERS[name]}'" in said
    assert "networks for it" in said
    assert name in ("images", "labels", "masks") or fitting in said  # of many the first are named


def test_it_is_judged_with_intervals_and_reported_with_its_panels(ran: Ran) -> None:
    held = json.loads((ran.folder / "evaluation-test.json").read_text())
    main = next(iter(held["metrics"]))
    score = held["metrics"][main]
    warned = json.loads((ran.folder / "summary.json").read_text())["warnings"]
    assert not [text for text in warned if "Lightning" in text]
    assert score["low"] <= score["value"] <= score["high"]
    page = (ran.folder / "report.html").read_text()
    for title in ran.case.panels:
        assert title in page, title
    assert run_command(evaluate.main, [str(ran.folder), *ran.allow]) == 0
    again = json.loads((ran.folder / "evaluation-test.json").read_text())
    for name, score in held["metrics"].items():
        assert again["metrics"][name]["value"] == pytest.approx(score["value"], nan_ok=True)


def test_a_run_that_breaks_off_ends_with_the_bits_of_the_unbroken_one(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, made = Module.training_step, []

    def break_off(self: Module, *args: Any) -> Any:
        made.append(self.current_epoch)
        if self.current_epoch == 1 and made.count(1) == 3:
            raise RuntimeError("broken off")
        return step(self, *args)

    monkeypatch.setattr(Module, "training_step", break_off)
    with pytest.raises(RuntimeError, match="broken off"):
        begin(ran.asked, tmp_path)
    (broken,) = tmp_path.glob("*/*")
    assert not (broken / "summary.json").exists()
    monkeypatch.undo()
    assert begin(ran.asked, tmp_path, f"trainer.resume={broken}") == broken
    assert list(differences(left_behind(ran.folder), left_behind(broken))) == []


def test_out_of_memory_it_goes_on_in_parts(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, sizes = Module.training_step, []

    def hungry(self: Module, batch: Any, batch_idx: int) -> Any:
        if len(batch["id"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory (a test's)")
        sizes.append(len(batch["id"]))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Module, "training_step", hungry)
    begin(ran.asked, tmp_path, "trainer.max_epochs=1")
    assert max(sizes) <= 5
    assert sum(sizes) > 16


def test_folds_are_judged_together(ran: Ran, tmp_path: Path) -> None:
    begin(ran.asked, tmp_path, "cv=3", "trainer.max_epochs=1")
    parent = min((path.parent for path in tmp_path.rglob("summary.json")), key=lambda path: len(path.parts))
    assert len([path for path in parent.rglob("summary.json") if path.parent != parent]) == 3
    assert '"low"' in (parent / "summary.json").read_text()
    assert (parent / "report.html").is_file()


def test_it_is_tuned(ran: Ran, tmp_path: Path) -> None:
    asked = [*ran.asked, *SHORT, "trainer.max_epochs=1", "optimizer.lr=1e-3..1e-1:log", "tune.trials=2"]
    assert run_command(tune.main, [*asked, f"paths.runs={tmp_path}"]) == 0
    (study,) = (path.parent for path in tmp_path.rglob("trials.csv"))
    assert len(summary(study)["trials"]) == 2


def test_two_runs_are_compared(ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = begin(ran.asked, tmp_path, "seed=1", "trainer.max_epochs=1")
    capsys.readouterr()
    assert run_command(compare.main, [str(ran.folder), str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == len(load_predictions(ran.folder / "predictions" / "test"))


def test_a_package_answers_as_its_run_does(ran: Ran, tmp_path: Path) -> None:
    assert run_command(package.main, [str(ran.folder), "--out", str(tmp_path / "p.zip"), *ran.allow]) == 0
    samples = str(ran.folder / "samples")  # which the run leaves to try it on
    if ran.case.own:  # a package of a user's own class is opened in Python, which hands the class over
        return
    answers = []
    for source in (ran.folder, tmp_path / "p.zip"):
        out = tmp_path / f"{source.name}.json"
        assert run_command(predict.main, [str(source), samples, "--output", str(out), *ran.allow]) == 0
        answers.append(json.loads(out.read_text()))
    assert answers[0] == answers[1]
    assert len(answers[0]) > 3
    assert ran.case.answer in json.dumps(answers[0][0]["answer"])


def test_mixup_is_right_or_refused(ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if ran.case.mixes:
        begin(ran.asked, tmp_path, "data.mixup=0.4", "trainer.max_epochs=1")
    else:
        assert run_command(train.main, ["--check", *ran.asked, *SHORT, "data.mixup=0.4"]) == 2
        assert "data.mixup" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_are_one(ran: Ran, tmp_path: Path) -> None:
    two_of = ["trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=8"]
    command = [sys.executable, "-m", "scirs_neural.train", *ran.asked, *SHORT, f"paths.runs={tmp_path}", *two_of]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (together,) = tmp_path.glob("*/*")
    one, other = (load_predictions(folder / "predictions" / "test") for folder in (ran.folder, together))
    assert one.ids == other.ids
    scores, others = one.score(), other.score()
    for name in scores:
        assert scores[name] == pytest.approx(others[name], rel=1e-5, abs=1e-6, nan_ok=True), name
