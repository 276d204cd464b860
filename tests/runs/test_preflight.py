"""What ``--check`` passes can be run, and what it refuses leaves no folder behind."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from rich.console import Console

from scirs_neural import evaluate, train
from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ScirsError
from scirs_neural.runs.check import check_run
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.train import train_run

QUIET = Console(quiet=True)
PROCESSES = ("devices", "num_nodes", "tensor_parallel")  # more than one starts others: tests/training/test_ranks.py


def numeric(section: type[BaseModel] = TrainerConfig, prefix: str = "") -> Iterator[str]:
    """Every setting of the trainer that takes numbers."""
    for name, field in section.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from numeric(kind, f"{prefix}{name}.")
        elif {int, float} & set(_leaves(kind)):
            yield prefix + name


def _leaves(kind: Any) -> Iterator[Any]:
    held = typing.get_args(kind)
    if not held or typing.get_origin(kind) is typing.Literal:
        yield kind
    for part in held:
        yield from _leaves(part)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A tiny job on a table."""
    path = tmp_path_factory.mktemp("table") / "two.csv"
    lines = [f"{i / 7},{-i / 3},{'low' if i < 30 else 'high'}" for i in range(60)]
    path.write_text("a,b,y\n" + "\n".join(lines) + "\n")
    return ["data=table", f"data.path={path}", "data.target=y", "data.batch_size=16", "model=mlp", "model.hidden=[4]",
            "logger=none", "trainer.max_epochs=1", "trainer.max_steps=2"]  # fmt: skip


def said(call: Callable[[], object]) -> str:
    """Of a call: what it refuses, or nothing."""
    try:
        call()
    except ScirsError as error:
        return error.render()
    return ""


CASES = [
    f"trainer.{name}={value}"
    for name in numeric()
    for value in ("0", "-1", "1.5", "1000000000")
    if not (name in PROCESSES and value == "1000000000")
]
MORE = [
    "trainer.limit_val_batches=0.01", "trainer.limit_train_batches=0.01", "trainer.limit_test_batches=0.01",
    "trainer.overfit_batches=0.01", "trainer.limit_predict_batches=0.01", "trainer.val_check_interval=3",
    "trainer.val_check_interval=0.01", "trainer.resume=nowhere", "task.metrics=[f2]", "task.metrics=[auroc]",
    "trainer.max_time=00:00:00:00", "trainer.max_time={hours:-1}", "trainer.devices=[]", "trainer.devices=some",
    "trainer.devices=[0]",
    "trainer.checkpoint.monitor=val/nothing", "trainer.profiler=simple", "callbacks=[early_stopping]",
]  # fmt: skip


@pytest.mark.parametrize("setting", [*CASES, *MORE])
def test_check_and_a_real_start_agree(setting: str, table: list[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"

    def config() -> Any:
        return load_config(Request([*table, f"paths.runs={runs}", setting]), config_groups())

    refused = said(lambda: check_run(config(), QUIET))
    assert not runs.exists()
    assert said(lambda: train_run(config(), console=QUIET)) == refused
    assert len(list(runs.rglob("summary.json"))) == (not refused)
    assert runs.exists() != bool(refused)


def test_the_enumeration_finds_settings_of_every_kind() -> None:
    found = set(numeric())
    assert {"max_epochs", "limit_train_batches", "gradient_clip_val", "checkpoint.save_top_k", "num_threads"} <= found
    assert "deterministic" not in found


def test_check_with_several_values_builds_each_and_runs_none(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*table, f"paths.runs={tmp_path}/runs", "-m", "--check"]
    assert run_command(train.main, [*argv, "optimizer.lr=0.1,0.2"]) == 0
    assert capsys.readouterr().out.count("ok: this configuration can be run") == 2
    assert run_command(train.main, [*argv, "trainer.resume=null,nowhere"]) == 2
    assert run_command(train.main, [*argv[:-2], "--check", "cv=3", "trainer.resume=nowhere"]) == 2
    assert "no run in 'nowhere'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


OWN = """
from sklearn.metrics import cohen_kappa_score

def wrong(answers, truth):
    return cohen_kappa_score(truth, answers)

def at_the_end(answers, truth):
    if len(truth) == 12:
        raise ValueError("twelve samples are too few")
    return (answers.argmax(1) == truth).mean()

def text(answers, truth):
    return "good"
"""


@pytest.mark.parametrize(
    ("name", "expected"), [("wrong", "failed: ValueError"), ("text", "gave str, not a number"), ("none", "no 'none'")]
)
def test_a_metric_that_fails_is_found_before_training(
    name: str, expected: str, table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.py").write_text(OWN)
    argv = [*table, f"paths.runs={tmp_path}/runs", f"task.metrics=[{tmp_path}/my.py:{name}]"]
    for check in (["--check"], []):
        assert run_command(train.main, [*argv, *check]) == 2
        heard = capsys.readouterr().err
        assert expected in heard
        assert "Traceback" not in heard
        if name == "wrong":
            assert "float32 (32, 2), int64 (32,)" in heard
    assert not (tmp_path / "runs").exists()


def test_a_metric_that_fails_at_the_end_loses_nothing(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.py").write_text(OWN)
    typed = f"{tmp_path}/my.py:at_the_end"
    assert run_command(train.main, [*table, f"paths.runs={tmp_path}/runs", f"task.metrics=[{typed}]"]) == 1
    assert "twelve samples are too few" in capsys.readouterr().out.replace("\n", " ")
    folder = tmp_path / "runs" / "table-mlp" / "1"
    summary = json.loads((folder / "summary.json").read_text())
    assert "twelve samples" in summary["failed_metrics"]["at_the_end"]
    assert "accuracy" in summary["test"]
    assert "at_the_end" not in summary["test"]
    assert "twelve samples are too few" in (folder / "report.html").read_text()
    assert (folder / "predictions" / "test" / "header.json").is_file()
    assert run_command(evaluate.main, [str(folder), "--allow", typed]) == 1
    assert "twelve samples are too few" in capsys.readouterr().out.replace("\n", " ")
    assert run_command(evaluate.main, [str(folder), "--allow", typed, "--split", "val"]) == 0
