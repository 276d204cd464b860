"""Best is one truth: predictions, summary, the loaded run and the package are of one epoch, whatever is kept."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from rich.console import Console

import scirs_neural as sn
from scirs_neural.api import Run
from scirs_neural.config.schema import PathsConfig, RunConfig
from scirs_neural.core.errors import CheckpointError
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.train import RunResult, train_run
from tests.training.tiny import read_metrics, tiny_config

EPOCHS = 4
QUICK = (
    "model=mlp", "model.hidden=[4]", "~model.width", "~model.depth", "trainer.limit_train_batches=1",
    f"trainer.max_epochs={EPOCHS}", "data.transforms=none", "logger=none", "data.batch_size=512",
)  # fmt: skip


CHECKPOINT = ("save_top_k", "save_last", "monitor")
CASES = list(product([0, 1, 2, 3], [True, False], ["auto", "val/loss"]))


class Steered(L.Callback):
    """Gives each epoch weights of its own, before they are validated, and remembers them."""

    def __init__(self, nan: tuple[int, ...] = (), fail_in: int | None = None) -> None:
        self.nan, self.fail_in = nan, fail_in
        self.weights: dict[int, dict[str, torch.Tensor]] = {}

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.current_epoch == self.fail_in:
            raise InterruptedError

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        epoch, made = trainer.current_epoch, torch.Generator().manual_seed(trainer.current_epoch)
        for parameter in module.parameters():
            value = torch.randn(parameter.shape, generator=made) * (float("nan") if epoch in self.nan else 1)
            parameter.data.copy_(value)
        self.weights[epoch] = {key: value.clone() for key, value in module.state_dict().items() if "model." in key}


@cache
def composed() -> RunConfig:
    """What all runs have in common; to compose it takes as long as to train one."""
    return tiny_config(Path(), *QUICK)


def trained(folder: Path, steered: Steered | None = None, **changes: Any) -> tuple[RunResult, Steered]:
    """Train with other settings of the trainer or of its checkpoints."""
    steered, whole = steered or Steered(), composed()
    kept = {name: changes.pop(name) for name in CHECKPOINT if name in changes}
    checkpoint = whole.trainer.checkpoint.model_copy(update=kept)
    trainer = whole.trainer.model_copy(update={"checkpoint": checkpoint, **changes})
    config = whole.model_copy(update={"paths": PathsConfig(runs=str(folder)), "trainer": trainer})
    return train_run(config, console=Console(quiet=True), callbacks=[steered]), steered


def hold(done: RunResult, steered: Steered, epoch: int) -> None:
    """Hold everything that comes out of a run to the weights of an epoch, counted from 0."""
    wanted, summary = steered.weights[epoch], done.summary
    row = read_metrics(done.folder.metrics)[epoch]
    assert summary["weights"]["epoch"] == epoch + 1
    assert summary["val"] == {key.removeprefix("val/"): value for key, value in row.items() if key.startswith("val/")}
    saved = load_predictions(done.folder.predictions("val")).columns
    found = (np.asarray(saved["probabilities"]).argmax(axis=1) == saved["target"]).mean()
    assert found == pytest.approx(row["val/accuracy"], abs=1e-6)
    for model in (done.model, Run(done.folder).model, sn.load_package(Run(done.folder).package()).model):
        state = model.state_dict()
        assert all(torch.equal(state[key.removeprefix("model.")], value) for key, value in wanted.items())


def best_of(done: RunResult, metric: str) -> int:
    scores = [row[metric] for row in read_metrics(done.folder.metrics)]
    finite = [epoch for epoch, score in enumerate(scores) if np.isfinite(score)]
    return (min if "loss" in metric else max)(finite, key=scores.__getitem__)


@pytest.mark.parametrize(("top_k", "last", "monitor"), CASES)
def test_everything_is_of_the_epoch_that_the_summary_names(
    top_k: int, last: bool, monitor: str, tmp_path: Path
) -> None:
    done, steered = trained(tmp_path, save_top_k=top_k, save_last=last, monitor=monitor)
    summary, metric = done.summary, "val/accuracy" if monitor == "auto" else monitor
    best = best_of(done, metric)
    assert best != EPOCHS - 1
    if top_k == 0:
        assert summary["best"] == {}
        assert summary["weights"] == {"of": "the last epoch", "epoch": EPOCHS, "checkpoint": "last.ckpt"}
        hold(done, steered, EPOCHS - 1)
    else:
        value = read_metrics(done.folder.metrics)[best][metric]
        assert summary["best"] == {"epoch": best + 1, "metric": metric, "value": value}
        assert summary["weights"]["of"] == "the best epoch"
        hold(done, steered, best)


@pytest.mark.parametrize(("nan", "last"), [((0,), True), ((0, 1, 2, 3), False)])
def test_an_epoch_without_a_figure_is_not_the_best(nan: tuple[int, ...], last: bool, tmp_path: Path) -> None:
    kept = {"monitor": "val/loss", "save_last": last, "save_top_k": 2}
    done, steered = trained(tmp_path, Steered(nan=nan), stop_on_nonfinite=False, **kept)
    if len(nan) == EPOCHS:
        assert done.summary["best"] == {}
        assert done.summary["weights"]["of"] == "the last epoch"
    else:
        hold(done, steered, best_of(done, "val/loss"))


@pytest.mark.parametrize("fail_in", [1, 3])
def test_a_run_that_was_broken_off_knows_its_best_epoch(fail_in: int, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        trained(tmp_path, Steered(fail_in=fail_in), save_top_k=2)
    (folder,) = (tmp_path / "digits-mlp").iterdir()
    whole, everything = trained(tmp_path / "whole", save_top_k=2)
    done, _ = trained(tmp_path, save_top_k=2, resume=str(folder))
    assert done.folder.path == folder
    assert {key: done.summary[key] for key in ("best", "weights", "val")} == {
        key: whole.summary[key] for key in ("best", "weights", "val")
    }
    hold(done, everything, best_of(done, "val/accuracy"))


def test_the_checkpoint_that_the_summary_names_is_found_or_none(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.best.parent.mkdir()
    for name in ("best.ckpt", "best-002.ckpt", "last.ckpt", "../other.ckpt"):
        (run.best.parent / name).touch()
    assert run.checkpoint().name == "best.ckpt"  # not ended
    for summary, name in (
        ({"best": {"epoch": 3}}, "best-002.ckpt"),  # written by a version before
        ({"best": {"epoch": 1}}, "best.ckpt"),
        ({"best": {}, "weights": {"checkpoint": "last.ckpt"}}, "last.ckpt"),
        ({"best": {"epoch": 3}, "weights": {"checkpoint": "../other.ckpt"}}, "best.ckpt"),
    ):
        run.write_summary({"data": {}, **summary})
        assert run.checkpoint().name == name
    run.write_summary({"data": {}, "best": {"epoch": 2}, "weights": {"checkpoint": "best-001.ckpt"}})
    with pytest.raises(CheckpointError, match="no checkpoint"):
        run.checkpoint()
