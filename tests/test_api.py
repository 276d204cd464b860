"""Python in five lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_pruning
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

import scirs_neural as sn
from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data import from_datasets
from scirs_neural.runs.groups import config_groups
from tests.training.tiny import read_metrics

QUIET = Console(quiet=True)
SMALL = ["data.image_size=8", "model.width=8", "model.depth=2"]


@pytest.mark.feature(149)
def test_fit_evaluate_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = sn.fit("cnn", data="digits", overrides=[*SMALL, "trainer.max_epochs=3"], console=QUIET)
    accuracy = run.evaluate().metrics["accuracy"].value
    assert accuracy == pytest.approx(run.summary["test"]["accuracy"], abs=1e-6)
    digits = load_digits()
    guesses = run.predict([(image * 15.9).astype(np.uint8) for image in digits.images[:50]], top_k=2)
    right = np.mean([int(g.answer["class"]) == t for g, t in zip(guesses, digits.target[:50], strict=True)])
    assert right > 0.5
    assert all(len(top := g.answer["top"]) == 2 and top[0][1] >= top[1][1] for g in guesses)

    again = sn.load_run(run.folder.path)
    picture = Image.fromarray((digits.images[0] * 15.9).astype(np.uint8))
    assert again.predict(picture)[0].answer["class"] == guesses[0].answer["class"]
    assert again.predict(picture)[0].answer["probability"] == pytest.approx(guesses[0].answer["probability"], abs=1e-6)


def test_fit_on_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits = load_digits()
    images = (digits.images * 15.9).astype(np.uint8)
    run = sn.fit(
        "cnn", data=(images, digits.target), console=QUIET,
        overrides={"trainer.max_epochs": 3, "model.width": 8, "data.test_fraction": 0.5, "data.on_corrupt": "skip"},
    )  # fmt: skip
    assert run.summary["test"]["accuracy"] > 0.5
    assert run.summary["data"]["sizes"]["test"] == 898
    assert run.data.on_corrupt == "skip"
    again = sn.load_run(run.folder.path)
    guesses = again.predict(list(images[:20]), top_k=1)
    assert [g.answer["class"] for g in guesses] == [g.answer["class"] for g in run.predict(list(images[:20]))]
    with pytest.raises(ConfigError, match="handed over in Python"):
        again.evaluate()
    given = sn.load_run(run.folder.path, data=run.data)
    assert given.evaluate().metrics["accuracy"].value == run.evaluate().metrics["accuracy"].value
    with pytest.raises(ConfigError, match="unknown data 'arrays in memory'"):
        load_config(Request((), config_file=run.folder.config), config_groups())


class Scans(IterableDataset[tuple[torch.Tensor, int]]):
    """The digits in a row; if they are to break off, then after the second run's first checkpoint."""

    def __init__(self, breaks: bool = False) -> None:
        self.breaks = breaks

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        digits = load_digits()
        images = torch.from_numpy((digits.images * 15.9).astype(np.uint8))
        for number, item in enumerate(zip(images, digits.target.tolist(), strict=True)):
            if self.breaks and number == 1700 and any(Path("runs").glob("*/2/checkpoints/last.ckpt")):
                raise RuntimeError("broken off")
            yield item


@pytest.mark.feature(80)
def test_a_run_on_a_stream_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["trainer.max_epochs=3", "model.width=8", "trainer.checkpoint.every_n_steps=10"]

    def fit(scans: Scans, *more: str) -> sn.api.Run:
        data = from_datasets(scans, shuffle_window=64, num_workers=0)
        return sn.fit("cnn", data=data, overrides=[*settings, *more], console=QUIET)

    whole = fit(Scans())
    with pytest.raises(RuntimeError, match="broken off"):
        fit(Scans(breaks=True))
    resumed = fit(Scans(), "trainer.resume=auto")
    assert resumed.folder.path.name == "2"
    held, expected = (dict(run.model.state_dict()) for run in (resumed, whole))
    assert all(torch.equal(held[name], expected[name]) for name in expected)
    rows, all_rows = (read_metrics(run.folder.metrics) for run in (resumed, whole))
    assert [{**row, "time": 0} for row in rows] == [{**row, "time": 0} for row in all_rows]


def test_fit_takes_torch_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["trainer.max_epochs=2", "model.width=8", "data.num_workers=0", "data.val_fraction=0"]
    runs = [sn.fit("cnn", data=data, overrides=settings, console=QUIET) for data in (Scans(), list_of(Scans()))]
    assert all(run.summary["data"]["sizes"] == {"train": 1438, "val": 0, "test": 359} for run in runs)
    assert all(run.summary["test"]["accuracy"] > 0.5 for run in runs)


def list_of(scans: Scans) -> TensorDataset:
    images, targets = zip(*scans, strict=True)
    return TensorDataset(torch.stack(images), torch.tensor(targets))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": load_digits().images}, "data is a ndarray, not a name or data"),
        ({"data": (1, 2, 3)}, "data is a tuple"),
        ({"data": {"x": 1}}, "data is a dict"),
        ({"data": (Scans(), Scans())}, "data is a tuple, not a name or data"),
        ({"model": nn.Linear}, "model is a type, not a name or a network"),
        (
            {"model": nn.Linear(2, 2), "overrides": ["model.weights=DEFAULT"]},
            "model.weights=DEFAULT says nothing to a model",
        ),
        ({"model": nn.Linear(2, 2), "overrides": {"model": "cnn"}}, "model=cnn says nothing to a model"),
        ({"data": sn.create_data("digits"), "overrides": ["data.batch_size=8"]}, "data.batch_size=8 says nothing"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_else_is_trained_in_its_place(
    given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        sn.fit(**given, console=QUIET)
    assert not (tmp_path / "runs").exists()


@pytest.mark.feature(54)
def test_a_plain_module_goes_through_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(64, 32), nn.Linear(32, 10)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.head(self.body(x.flatten(1)).relu())

    run = sn.fit(Mine(), data="digits", overrides=["data.image_size=8", "trainer.max_epochs=2"], console=QUIET)
    assert run.evaluate().samples == 359
    assert run.summary["model"]["name"] == "Mine"
    assert run.folder.path.parent.name == "digits-Mine"
    with pytest.raises(ConfigError, match="a network of your own"):
        sn.load_run(run.folder.path).predict(np.zeros((8, 8), np.uint8))
    assert run.summary["own"] == ["model"]
    again = sn.load_run(run.folder.path, model=Mine())
    assert again.evaluate().samples == 359
    images = (load_digits().images[:4] * 15.9).astype(np.uint8)
    assert [g.answer for g in again.predict(list(images))] == [g.answer for g in run.predict(list(images))]

    # Exported and pruned by torch's own tools and torch-pruning, unchanged: it is the user's module still.
    network, x = run.model.eval(), torch.rand(3, 1, 8, 8)
    assert type(network) is Mine
    torch.testing.assert_close(torch.export.export(network, (x,)).module()(x), network(x))
    torch_pruning.pruner.MetaPruner(
        network, x, importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=0.5,
        ignored_layers=[network.head],
    ).step()  # fmt: skip
    assert network.body.out_features == network.head.in_features == 16
    assert network(x).shape == (3, 10)


def test_a_network_with_the_wrong_head_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShapeError, match=r"\(7,\).*needs \(10,\)"):
        sn.fit(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), data="digits", overrides=["data.image_size=8"], console=QUIET
        )
    assert not (tmp_path / "runs").exists()
