"""Lightning's options, each by what it does to a run."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from rich.console import Console

from scirs_neural import train as command
from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError, NonFiniteError
from scirs_neural.training.trainer import Trainer
from tests.training.killing import differences, left_behind
from tests.training.tiny import TINY, read_metrics

SHORT = ("trainer.max_epochs=2", "data.batch_size=128", "logger=none")  # 11 batches an epoch, the last one short


class Watch(L.Callback):
    """Counts batches and notes the step at each validation."""

    def __init__(self) -> None:
        self.ids: list[list[str]] = []
        self.val_ids: list[list[str]] = []
        self.validated: list[int] = []
        self.sanity = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.ids += [list(part["id"]) for part in (batch if isinstance(batch, list) else [batch])]

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0):
        if trainer.sanity_checking:
            self.sanity += 1
        else:
            self.val_ids.append(list(batch["id"]))

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        if not trainer.sanity_checking:
            self.validated.append(trainer.global_step)


class StopAt(L.Callback):
    """Ctrl-C in a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_overfit_batches_trains_and_validates_on_the_same_few_in_order(train: Any) -> None:
    watch = Watch()
    run = train(
        *SHORT, "trainer.overfit_batches=2", "data.transforms=strong", "optimizer.lr=0.02", "scheduler=constant",
        "trainer.max_epochs=12", callbacks=[watch],
    )  # fmt: skip
    first = list(map(str, run.data.dataset("train").ids[:256]))
    assert [name for batch in watch.ids[:2] for name in batch] == first
    assert watch.ids == watch.ids[:2] * 12
    assert watch.val_ids == watch.ids
    rows = read_metrics(run.folder.metrics)
    assert rows[-1]["val/accuracy"] > 0.9 > rows[0]["val/accuracy"]


def test_overfit_batches_with_accumulation_and_as_a_fraction(train: Any) -> None:
    for setting, batches in (("trainer.overfit_batches=4", 4), ("trainer.overfit_batches=0.2", 2)):
        run = train(*SHORT, setting, "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1")
        assert read_metrics(run.folder.metrics)[-1]["step"] == batches // 2 - 1


def test_validation_within_an_epoch(train: Any) -> None:
    watch = Watch()
    run = train(*SHORT, "trainer.val_check_interval=0.5", callbacks=[watch])
    assert watch.validated == [5, 10, 16, 21]
    rows = read_metrics(run.folder.metrics)
    assert [row["epoch"] for row in rows] == [0, 1]
    assert all("val/accuracy" in row and "train/loss" in row for row in rows)
    assert run.summary["best"]["value"] == max(row["val/accuracy"] for row in rows)
    kept = torch.load(run.folder.best, weights_only=True)
    assert kept["global_step"] in (10, 21)  # after an epoch's last validation, whose values its row has


def test_an_interval_in_batches_counts_batches_with_accumulation_too(train: Any) -> None:
    watch = Watch()
    train(*SHORT, "trainer.val_check_interval=4", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1",
          callbacks=[watch])  # fmt: skip
    assert watch.validated == [2, 4, 6]
    with pytest.raises(ConfigError, match="must be a multiple of accumulate_grad_batches"):
        Trainer(val_check_interval=5, accumulate_grad_batches=2)


@pytest.mark.parametrize("step", [3, 5, 7, 16])
def test_a_run_with_validations_within_epochs_goes_on_to_the_same_bytes(train: Any, step: int) -> None:
    options = (*SHORT, "trainer.val_check_interval=0.5", "data.transforms=light")
    unbroken = train(*options)
    with pytest.raises(KeyboardInterrupt):
        train(*options, callbacks=[StopAt(step)])
    broken = unbroken.folder.path.parent / "2"
    resumed = train(*options, f"trainer.resume={broken}")
    assert resumed.folder.path == broken
    assert list(differences(left_behind(unbroken.folder.path), left_behind(broken))) == []


def test_min_epochs_and_min_steps_hold_callbacks_off(train: Any) -> None:
    stopping = ("callbacks=[early_stopping]", "callbacks.early_stopping.stopping_threshold=100", "trainer.max_epochs=5")
    stopping = (*stopping, "trainer.limit_train_batches=2", "logger=none")  # reached after the first epoch
    epochs = {
        setting: len(read_metrics(train(*stopping, *setting).folder.metrics))
        for setting in ((), ("trainer.min_epochs=3",), ("trainer.min_steps=7",))
    }
    assert epochs == {(): 1, ("trainer.min_epochs=3",): 3, ("trainer.min_steps=7",): 4}


def test_max_time_stops_a_run_which_is_tested_all_the_same(train: Any) -> None:
    run = train("trainer.max_epochs=2000", "trainer.max_time={seconds:1}", "logger=none")
    rows = read_metrics(run.folder.metrics)
    assert 1 <= len(rows) < 1000
    assert "accuracy" in run.summary["test"]
    assert all("val/accuracy" in row for row in rows)


def test_sanity_validation_comes_first_and_changes_nothing(train: Any) -> None:
    watch = Watch()
    run = train(*SHORT, "trainer.num_sanity_val_steps=2", callbacks=[watch])
    assert watch.sanity == 2
    assert list(differences(left_behind(train(*SHORT).folder.path), left_behind(run.folder.path))) == []


@pytest.mark.parametrize("name", ["simple", "advanced", "pytorch"])
def test_profilers_write_into_the_run_folder(train: Any, name: str) -> None:
    run = train(*SHORT, f"trainer.profiler={name}", "trainer.max_epochs=1")
    written = (run.folder.path / "profile" / f"fit-{name}.txt").read_text()
    assert {"simple": "run_training_batch", "advanced": "function calls", "pytorch": "aten::"}[name] in written
    with pytest.raises(ConfigError, match="writes into a folder"):
        Trainer(profiler=name, console=Console(quiet=True)).fit(run.module, run.data)


class Root(torch.nn.Module):
    """The gradient of a root at 0 is infinite, and times 0 it is NaN."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1)[:, :10] * self.scale).sqrt() * 0


def test_detect_anomaly_names_the_operation(train: Any) -> None:
    with pytest.raises(NonFiniteError) as caught:
        train(*SHORT, "trainer.detect_anomaly=true", model=Root())
    assert "SqrtBackward0" in caught.value.what
    assert re.search(r"test_options\.py, line \d+, in forward", str(caught.value.where))
    assert not torch.is_anomaly_enabled()


def test_limits_of_what_is_predicted(train: Any) -> None:
    from scirs_neural.evaluation.predictions import Predictions

    run = train(*SHORT, "trainer.limit_predict_batches=2", "trainer.max_epochs=1")
    assert {split: len(Predictions.load(run.folder.predictions(split)).ids) for split in ("val", "test")} == {
        "val": 144, "test": 256,
    }  # fmt: skip


@pytest.mark.parametrize(("typed", "batches"), [("true", 1), ("3", 3)])
def test_fast_dev_run_goes_through_everything_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, batches: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(command.main, [*TINY, f"trainer.fast_dev_run={typed}", "trainer.max_epochs=50"]) == 0
    said = capsys.readouterr().out
    assert f"fast_dev_run: {batches} batch" in said
    assert "nothing is kept" in said
    assert "1/1" in said
    assert list(tmp_path.iterdir()) == []


def test_fast_dev_run_overrules_other_limits() -> None:
    settings = TrainerConfig(fast_dev_run=2, max_epochs=9, limit_train_batches=100, overfit_batches=3)
    assert (settings.max_epochs, settings.limit_train_batches, settings.limit_test_batches) == (1, 2, 2)
    assert settings.overfit_batches == 0
    assert TrainerConfig(fast_dev_run=False, max_epochs=9).max_epochs == 9


def test_fast_dev_run_is_of_one_run(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for more in (["cv=3"], ["-m", "seed=0,1"]):
        assert run_command(command.main, [*TINY, "trainer.fast_dev_run=true", *more]) == 2
        assert "keeps nothing" in capsys.readouterr().err


def test_settings_come_in_one_piece_or_by_their_names() -> None:
    settings = TrainerConfig(max_epochs=3)
    assert Trainer(settings).settings is settings
    with pytest.raises(ConfigError, match="not both: max_steps"):
        Trainer(settings, max_steps=3)
