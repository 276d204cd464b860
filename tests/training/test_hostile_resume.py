"""Going on with a run that somebody else prepared touches nothing outside of its folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from scirs_neural import train
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.train import RunResult, train_run
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.callbacks.best_checkpoint import BestCheckpoint
from scirs_neural.training.checkpoint_io import DurableCheckpointIO, write_checkpoint
from tests.training.tiny import read_metrics, tiny_config

QUICK = (
    "scheduler=constant",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "logger=none",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run of two epochs that keeps the best two."""
    typed = [*QUICK, "trainer.max_epochs=2", "trainer.checkpoint.save_top_k=2"]
    return train_run(tiny_config(tmp_path_factory.mktemp("runs"), *typed), console=Console(quiet=True))


@pytest.fixture
def theirs(whole: RunResult, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of it, and somebody's folder beside it."""
    shutil.copytree(whole.folder.path, tmp_path / "theirs" / "1")
    victim = tmp_path / "victim"
    (victim / "photos").mkdir(parents=True)
    for name in ("best-000.ckpt", "photos/1.png"):
        (victim / name).write_text("mine")
    return tmp_path / "theirs" / "1", victim


def go_on(run: Path) -> RunResult:
    typed = ["trainer.max_epochs=4", "trainer.checkpoint.save_top_k=2", f"trainer.resume={run}"]
    return train_run(tiny_config(run.parents[1], *QUICK, *typed), console=Console(quiet=True))


def is_unharmed(victim: Path) -> bool:
    held = {str(path.relative_to(victim)) for path in victim.rglob("*")}
    return held == {"best-000.ckpt", "photos", "photos/1.png"} and (victim / "best-000.ckpt").read_text() == "mine"


def spoil(run: Path, change: Any) -> None:
    """Change the ranking in a checkpoint."""
    state = read_checkpoint(run / "checkpoints" / "last.ckpt")
    (key,) = (key for key in state["callbacks"] if key.startswith("ModelCheckpoint"))
    change(state["callbacks"][key])
    write_checkpoint(state, run / "checkpoints" / "last.ckpt")


def test_paths_of_a_checkpoint_are_not_believed(theirs: tuple[Path, Path]) -> None:
    """Lightning would remove the worse of the two whole, folder or not, once a third epoch is better."""
    run, victim = theirs
    folder = (run / "checkpoints").resolve()

    def change(state: dict[str, Any]) -> None:
        path, worst = f"{folder}/../../../victim", torch.tensor(-1.0)
        state.update(last_model_path=path, dirpath=str(folder))
        state.update(best_k_models={path: worst, f"{path}/photos": worst}, kth_best_model_path=path, kth_value=worst,
                     best_model_path=path, best_model_score=worst)  # fmt: skip

    spoil(run, change)
    done = go_on(run)
    assert is_unharmed(victim)
    assert done.summary["epochs"] == 4


@pytest.mark.parametrize("way", ["{folder}/../victim", "{victim}", "../victim", "{folder}/../victim/best-000.ckpt"])
def test_no_path_leads_out_of_the_folder(way: str, theirs: tuple[Path, Path]) -> None:
    run, victim = theirs
    path = way.format(folder=run / "checkpoints", victim=victim)
    callback = BestCheckpoint(run / "checkpoints", monitor="val/loss", mode="min", save_top_k=1)
    callback.load_state_dict({"best_k_models": {path: torch.tensor(1.0)}, "best_model_path": path,
                              "kth_best_model_path": path, "dirpath": callback.dirpath})  # fmt: skip
    found = {callback.best_model_path, callback.kth_best_model_path, *callback.best_k_models} - {""}
    assert found <= {str((run / "checkpoints" / "best-000.ckpt").resolve())}


@pytest.mark.parametrize("ranking", [None, "x", {"a": 1}, {1: torch.ones(3)}, {"best.ckpt": torch.tensor(1.0)}])
def test_a_ranking_of_nonsense_is_begun_anew(ranking: Any, tmp_path: Path) -> None:
    callback = BestCheckpoint(tmp_path, monitor="val/loss", mode="min", save_top_k=1)
    (tmp_path / "best.ckpt").symlink_to("/etc/passwd")
    callback.load_state_dict({"best_k_models": ranking, "best_model_path": "/etc/passwd"})
    assert (callback.best_k_models, callback.best_model_path, callback.kth_best_model_path) == ({}, "", "")


def test_the_ranking_goes_on_where_the_folder_was_moved(whole: RunResult, theirs: tuple[Path, Path]) -> None:
    run, _ = theirs
    before = {path.name for path in (whole.folder.path / "checkpoints").iterdir()}
    done = go_on(run)
    rows = read_metrics(done.folder.metrics)
    best = sorted(range(4), key=lambda epoch: -rows[epoch]["val/accuracy"])[:2]
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "last.ckpt",
        *(f"best-{e:03d}.ckpt" for e in best),
    }
    assert before == {path.name for path in (whole.folder.path / "checkpoints").iterdir()}


@pytest.mark.parametrize("name", ["checkpoints/best-000.ckpt", "checkpoints/best-000.ckpt.shards", "checkpoints",
                                  "predictions", ".lock", "plots/x"])  # fmt: skip
def test_a_folder_with_links_is_refused_before_anything_is_written(name: str, theirs: tuple[Path, Path]) -> None:
    run, victim = theirs
    link = run / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(victim / "new" if name == ".lock" else victim)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and not path.is_symlink()}
    with pytest.raises(ConfigError, match="through a link"):
        RunFolder(run).begin(tiny_config(run.parents[1]))
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert is_unharmed(victim)


def test_only_plain_files_are_removed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "x").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "best.ckpt"
    file.write_text("")
    file.with_name("best.ckpt.shards").symlink_to(victim)
    for path in (victim, tmp_path / "run" / ".." / "victim", tmp_path / "run" / ".." / "run" / "best.ckpt"):
        DurableCheckpointIO().remove_checkpoint(path)
    assert file.exists()
    DurableCheckpointIO().remove_checkpoint(file)
    assert not file.exists()
    assert (victim / "x").is_dir()


def test_a_saved_configuration_cannot_say_where_to_go_on(
    theirs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, victim = theirs
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["trainer"]["resume"] = str(victim)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert run_command(train.main, ["--check", "--from", str(run)]) == 2
    assert "names a run to go on with" in capsys.readouterr().err
