"""Issue 2, point 5: a table of images with several labels each, from the file to predictions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.metrics
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits

from scirs_neural.config.compose import Request, load_config
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.train import train_run

NAMES = ("even", "round", "late")  # of the digit: divisible by two; with a loop; 5 and more


def labels(digit: int) -> list[str]:
    facts = (digit % 2 == 0, digit in (0, 6, 8, 9), digit >= 5)
    return [name for name, is_so in zip(NAMES, facts, strict=True) if is_so]


def test_several_labels_from_a_table_are_learnt(tmp_path: Path) -> None:
    digits = load_digits()
    with open(tmp_path / "table.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label"])
        for number, (image, digit) in enumerate(zip(digits.images[:600], digits.target[:600], strict=True)):
            Image.fromarray((image * 15.9).astype(np.uint8)).save(tmp_path / f"{number}.png")
            table.writerow([f"{number}.png", "|".join(labels(int(digit)))])
    overrides = [
        "model=cnn", "model.width=16", "model.depth=2", "data=csv", f"data.path={tmp_path / 'table.csv'}",
        "data.image_size=8", "data.num_workers=0", "data.batch_size=32", "data.transforms=none", "trainer.max_epochs=6",
        "optimizer.lr=0.01", f"paths.runs={tmp_path / 'runs'}", "logger=none",
    ]  # fmt: skip
    done: Any = train_run(load_config(Request(overrides), config_groups()), console=Console(quiet=True))
    assert done.data.spec.target["kind"] == "labels"
    assert set(done.data.spec.target["classes"]) == set(NAMES)
    saved = load_predictions(done.folder.predictions("test"))
    shares, targets = saved.columns["probabilities"], saved.columns["target"]
    assert shares.shape == targets.shape == (120, 3)
    found = sklearn.metrics.f1_score(targets, shares > 0.5, average="macro")
    assert abs(done.summary["test"]["f1"] - found) < 1e-6
    assert found > 0.8
    assert (targets.sum(axis=1) == 0).any()  # 1 and 3 have no label, and are samples all the same
    assert (targets.sum(axis=1) > 1).any()
