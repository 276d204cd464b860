"""A LightningModule and a LightningDataModule of the user's: trained, checkpointed, resumed and logged, as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import scirs_neural as sn
from scirs_neural import compare, evaluate, package, predict, train
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.importing import load_file
from tests.training.killing import differences, left_behind

FILE = """
import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader, TensorDataset


class MyData(L.LightningDataModule):
    def __init__(self, batch_size: int = 8, noise: float = 0.0):
        super().__init__()
        self.batch_size, self.noise = batch_size, noise

    def setup(self, stage):
        stream = torch.Generator().manual_seed(1)
        x = torch.randn(40, 3, generator=stream)
        y = x.sum(1, keepdim=True) + self.noise * torch.randn(40, 1, generator=stream)
        self.parts = [TensorDataset(x[a:b], y[a:b]) for a, b in ((0, 24), (24, 32), (32, 40))]

    def loader(self, part):
        return DataLoader(self.parts[part], self.batch_size, shuffle=part == 0)

    def train_dataloader(self):
        return self.loader(0)

    def val_dataloader(self):
        return self.loader(1)

    def test_dataloader(self):
        return self.loader(2)


class MyModule(L.LightningModule):
    def __init__(self, width: int = 4, fails_at: int = -1):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Dropout(0.2), torch.nn.Linear(width, 1))

    def step(self, batch, name):
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log(name, loss)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train/loss")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val/loss")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test/loss")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class Stops(L.Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2:
            raise OSError("the power is gone")
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "my.py"
    path.write_text(FILE)
    return path


def typed(file: Path, runs: Path, *more: str) -> list[str]:
    own = (f"task={file}:MyModule", f"data={file}:MyData", "task.width=5", "data.noise=0.1", "data.batch_size=6")
    return [*own, "trainer.max_epochs=4", "logger=none", f"paths.runs={runs}", *more]


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    assert run_command(train.main, typed(file, runs)) == 0
    return runs / "MyData-MyModule" / "1"


def test_it_is_trained_and_its_best_epoch_is_tested(file: Path, run: Path) -> None:
    summary, rows = json.loads((run / "summary.json").read_text()), (run / "metrics.csv").read_text().splitlines()
    assert (summary["epochs"], len(rows), summary["model"]["num_params"]) == (4, 5, 3 * 5 + 5 + 5 + 1)
    mine = load_file(str(file))
    module, data = mine.MyModule(width=5), mine.MyData(noise=0.1)
    module.load_state_dict(torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"])
    data.setup("test")
    x, y = data.parts[2].tensors
    with torch.no_grad():
        wanted = (module.eval().net(x) - y).square().mean()
    assert summary["test"]["test/loss"] == pytest.approx(float(wanted), rel=1e-5)


def test_a_run_that_was_broken_off_goes_on_to_the_same_bits(file: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the power is gone"):
        run_command(train.main, typed(file, tmp_path, f"callbacks=[{file}:Stops]"))
    broken = tmp_path / "MyData-MyModule" / "1"
    assert run_command(train.main, typed(file, tmp_path, f"trainer.resume={broken}")) == 0
    assert list(differences(left_behind(run), left_behind(broken))) == []


def test_what_needs_a_task_says_so(file: Path, run: Path, tmp_path: Path, capsys: Any) -> None:
    allowed = ["--allow", f"{file}:MyModule", "--allow", f"{file}:MyData"]
    for main, more in ((evaluate.main, []), (package.main, []), (predict.main, [str(file)])):
        assert run_command(main, [str(run), *more, *allowed]) == 2
        assert "a LightningModule: what it takes and answers is not known" in capsys.readouterr().err
    assert run_command(compare.main, [str(run), str(run.parent)]) == 2
    for more, said in (
        ("cv=2", "cv needs a task"), ("task.depth=2", "no option 'depth'"), ("data.mixup=0.2", "no option 'mixup'"),
    ):  # fmt: skip
        assert run_command(train.main, typed(file, tmp_path, more)) == 2
        assert said in capsys.readouterr().err
    assert run_command(train.main, ["model=mlp", f"data={file}:MyData", f"paths.runs={tmp_path}"]) == 2
    assert "goes with a LightningModule" in capsys.readouterr().err
    assert run_command(train.main, typed(file, tmp_path, "--check")) == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="is no Task"):
        sn.create_task(sn.create_data("digits").spec, f"{file}:MyModule")


def test_in_python(file: Path, tmp_path: Path) -> None:
    mine, left = load_file(str(file)), []
    for name, broken in (("whole", False), ("broken", True)):
        for epochs in (2, 3) if broken else (3,):
            torch.manual_seed(0)
            trainer = sn.Trainer(max_epochs=epochs, folder=tmp_path / name, console=Console(quiet=True))
            resume = tmp_path / name if epochs == 3 and broken else None
            rows = trainer.fit(mine.MyModule(), mine.MyData(), resume=resume)
        left.append(left_behind(tmp_path / name))
        assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert list(differences(*left)) == []
    with pytest.raises(ConfigError, match="goes with a LightningModule"):
        sn.fit("mlp", mine.MyData(), console=Console(quiet=True))


def test_a_monitor_that_is_not_logged_names_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(FILE.replace('"val/loss"', '"val_loss"'))
    argv = ["task=./my.py:MyModule", "data=./my.py:MyData", "trainer.max_epochs=1", "logger=none"]
    assert run_command(train.main, [*argv, "trainer.checkpoint.monitor=val/loss"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error: nothing called 'val/loss' is logged"
    assert said[2].split() == ["maybe", "val_loss"]
    assert run_command(train.main, [*argv, "trainer.resume=nowhere", "--check"]) == 2
    assert run_command(train.main, [*argv, "trainer.resume=nowhere"]) == 2
    assert len(list(Path("runs").glob("*/*"))) == 1  # of the first one


def test_values_of_steps_have_their_column_in_short_epochs_too(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(FILE)
    own = load_file(str(tmp_path / "my.py"))
    trainer = sn.Trainer(max_epochs=2, folder=tmp_path / "run", console=Console(quiet=True))
    rows = trainer.fit(own.MyModule(), own.MyData())
    assert all(row["train/loss"] > 0 for row in rows)
    head, *lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    place = head.split(",").index("train/loss")
    assert [float(line.split(",")[place]) for line in lines] == [row["train/loss"] for row in rows]
