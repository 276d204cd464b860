"""Python in five lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch_pruning
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits
from torch import nn

import scirs_neural as sn
from scirs_neural.core.errors import ShapeError

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
    right = np.mean([int(g.classes[0]) == t for g, t in zip(guesses, digits.target[:50], strict=True)])
    assert right > 0.5
    assert all(len(g.classes) == 2 and g.probabilities[0] >= g.probabilities[1] for g in guesses)

    again = sn.load_run(run.folder.path)
    picture = Image.fromarray((digits.images[0] * 15.9).astype(np.uint8))
    assert again.predict(picture)[0].classes == guesses[0].classes[:1]
    assert again.predict(picture)[0].probabilities == pytest.approx(guesses[0].probabilities[:1], abs=1e-6)


def test_fit_on_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits = load_digits()
    images = (digits.images * 15.9).astype(np.uint8)
    run = sn.fit(
        "cnn", data=(images, digits.target), overrides={"trainer.max_epochs": 3, "model.width": 8}, console=QUIET
    )
    assert run.summary["test"]["accuracy"] > 0.5


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
    again = sn.load_run(run.folder.path, model=Mine())
    images = (load_digits().images[:4] * 15.9).astype(np.uint8)
    assert [g.classes for g in again.predict(list(images))] == [g.classes for g in run.predict(list(images))]

    # Exported and pruned by torch's own tools and torch-pruning, unchanged: it is the user's module still.
    network, x = run.task.model.eval(), torch.rand(3, 1, 8, 8)
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
