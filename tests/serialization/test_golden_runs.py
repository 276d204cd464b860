"""Run folders of an earlier day are loaded, judged and used as on that day."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import scirs_neural as sn
from scirs_neural import compare, evaluate, package
from scirs_neural.core.command import run_command
from scirs_neural.data.context import Context
from scirs_neural.data.pipeline import Pipeline

GOLDEN = Path(__file__).parent / "golden_runs"
RUNS = ("images", "labels", "classes", "numbers")
DATA = {"labels": "shapes/labels.csv", "classes": "trees.csv", "numbers": "masses.csv"}
PICTURES = {"images": "images/samples", "labels": "shapes"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runs and their data, which they name by relative paths."""
    shutil.copytree(GOLDEN, tmp_path / "golden")
    monkeypatch.chdir(tmp_path / "golden")
    return tmp_path / "golden"


def saved(run: str, split: str = "test") -> dict[str, np.ndarray]:
    with np.load(GOLDEN / run / "predictions" / f"{split}.npz") as held:
        return {name: held[name] for name in held.files}


def answers_of_the_day(run: str) -> list[dict[str, float]]:
    plain = json.loads((GOLDEN / run / "answers.json").read_text())
    return [{top["class"]: top["probability"] for top in one["top"]} for one in plain]


@pytest.mark.parametrize("run", RUNS)
def test_it_is_judged_as_on_its_day(here: Path, run: str) -> None:
    """Data, network, task and weights are made again, and give the metrics of that day."""
    then = json.loads((GOLDEN / run / "evaluation-test.json").read_text())
    (here / run / "evaluation-test.json").unlink()
    assert run_command(evaluate.main, [run]) == 0
    now = json.loads((here / run / "evaluation-test.json").read_text())
    assert now["samples"] == then["samples"]
    for name, one in then["metrics"].items():
        assert now["metrics"][name]["value"] == pytest.approx(one["value"], rel=1e-5), name


@pytest.mark.parametrize(
    "run",
    RUNS,
)
def test_its_predictions_are_read(here: Path, run: str) -> None:
    """What it saved is still compared with other runs: here, with itself."""
    held = sn.load_run(run).predictions("test")
    assert [str(one) for one in held.ids] == [str(one) for one in saved(run)["ids"]]
    shutil.copytree(run, "again")
    assert run_command(compare.main, [run, "again"]) == 0


@pytest.mark.parametrize("run", PICTURES)
def test_it_answers_as_on_its_day(here: Path, run: str) -> None:
    assert answers(Path(run), run) == [pytest.approx(one, abs=1e-5) for one in answers_of_the_day(run)]


@pytest.mark.parametrize("run", PICTURES)
def test_its_package_answers_as_on_its_day(here: Path, run: str) -> None:
    assert run_command(package.main, [run, "--out", "it.zip"]) == 0
    assert answers(Path("it.zip"), run) == [pytest.approx(one, abs=1e-5) for one in answers_of_the_day(run)]


def answers(source: Path, run: str) -> list[dict[str, float]]:
    """By picture: class to probability."""
    asked = sorted(str(path) for path in Path(PICTURES[run]).glob("*.png"))
    found = sn.load_predictor(source, {"top_k": 10} if run == "images" else None).predict(asked)
    return [one.answer.get("probabilities") or dict(one.answer["top"]) for one in found]


@pytest.mark.parametrize("run", ["classes", "numbers"])
def test_packages_of_tables_give_the_runs_own_answers(here: Path, run: str) -> None:
    """From raw rows, through the package's own pipeline, network and task: classes, and numbers in the data's units."""
    assert run_command(package.main, [run, "--out", "it.zip"]) == 0
    loaded, then = sn.load_package("it.zip"), saved(run)
    assert loaded.spec is not None
    task, pipeline = loaded.make_task(), Pipeline(loaded.spec)
    with open(DATA[run], newline="") as text:
        rows = {str(line): list(map(float, row[:-1])) for line, row in enumerate(csv.reader(text), 1) if line > 1}
    batch = pipeline.collate([{"id": str(one), "row": rows[str(one)]} for one in then["ids"]])
    with torch.no_grad():
        columns = task.to_arrays(task.answer(loaded.model, batch, Context(settings=loaded.answer)), batch)
    (answers,) = columns.values()
    expected = then["probabilities" if run == "classes" else "values"]
    np.testing.assert_allclose(answers, expected.reshape(answers.shape), rtol=1e-5, atol=1e-6)
    assert len(task.decode(columns)) == len(then["ids"])


def test_the_golden_runs_are_as_they_were_written() -> None:
    size = sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file())
    assert size < 300_000
    for run, file in DATA.items():
        with open(GOLDEN / file, newline="") as text:
            assert len(list(csv.DictReader(text))) == sum(
                json.loads((GOLDEN / run / "summary.json").read_text())["data"]["sizes"].values()
            )
