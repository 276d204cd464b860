"""Tasks as plain objects: without torch, chosen by the data, with answers and directions of metrics."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError, ShapeError, UnknownNameError
from scirs_neural.data.context import Context
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.create import create_task
from scirs_neural.training.scoring import EpochScores, direction, logged_names
from tests.training.steps import CLASSES, LABELS, NUMBERS, ROW, examples

WITHOUT_TORCH = """
import sys
import numpy as np
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.create import create_task

classes = {"kind": "class", "classes": ["cat", "dog"]}
numbers = {"kind": "numbers", "names": ["price"], "mean": [0.0], "std": [1.0]}
shares = np.array([[0.2, 0.8]])
for targets, columns in (
    ({"y": classes}, {"probabilities": shares, "target": np.array([1])}),
    ({"y": {**classes, "kind": "labels"}}, {"probabilities": shares, "target": np.array([[0.0, 1.0]])}),
    ({"y": numbers}, {"numbers": shares[:, :1], "target": shares[:, :1]}),
    ({"a": classes, "b": numbers}, {"a.probabilities": shares, "b.numbers": shares[:, :1], "a.target": np.array([1]),
                                    "b.target": shares[:, :1]}),
):
    task = create_task(DataSpec("toy", {}, targets))
    print(task.decode(columns), sorted(task.predictions(["i"], columns, task.header()).score())[:1])
print([name for name in ("torch", "lightning", "torchmetrics") if name in sys.modules])
"""


def test_decoding_and_judging_need_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *answers, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert answers[0].startswith("[{'class': 'dog', 'probability': 0.8, 'top': [['dog', 0.8], ['cat', 0.2]]}]")
    assert answers[1].startswith("[{'labels': ['dog'], 'probabilities': {'cat': 0.2, 'dog': 0.8}}]")
    assert answers[2].startswith("[{'price': 0.2}]")
    assert answers[3].startswith("[{'a': {'class': 'dog'")


def test_a_fit_imports_torchmetrics_only_for_a_metric_of_its() -> None:
    code = (
        "import sys, scirs_neural as sn\nfrom rich.console import Console\n"
        "data = sn.create_data('diabetes'); task = sn.create_task(data.spec)\n"
        "model = sn.create_model('mlp', hidden=[], **task.model_arguments())\n"
        "print(task.name, [n for n in sys.modules if n.startswith('scirs_neural.metrics.regression')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["regression", "[]"], done.stderr


def test_the_task_follows_from_the_kinds_of_the_targets() -> None:
    made = {name: create_task(held.spec) for name, held in examples().items()}
    assert {name: task.name for name, task in made.items() if name in made} == {name: name for name in made}
    assert made["multi_task"].reason == "the data has 2 targets: label, price"
    with pytest.raises(ConfigError, match="has no task that follows"):
        create_task(DataSpec("toy", ROW))
    with pytest.raises(ConfigError, match=r"(?s)for targets of the kind class.*task=regression"):
        create_task(DataSpec("toy", ROW, {"y": NUMBERS}), "classification")
    with pytest.raises(ConfigError, match=r"(?s)no option 'smoothing'.*label_smoothing"):
        create_task(DataSpec("toy", ROW, {"y": CLASSES}), smoothing=0.1)


@pytest.mark.parametrize("name", ["image_classification", "table_classification"])
def test_the_first_names_of_tasks_are_read(name: str) -> None:
    assert create_task(DataSpec("toy", ROW, {"y": CLASSES}), name).name == "classification"
    assert create_task(DataSpec("toy", ROW, {"y": LABELS}), name).name == "multi_label"


def test_half_labelled_rows_count_for_the_targets_that_they_have() -> None:
    example = examples()["multi_task"]
    task, network = create_task(example.spec, weights={"price": 2.0}), example.network()
    assert task.counts(example.batch) == {"label/*": 8, "price/*": 23}
    outputs = task.forward(network, example.batch, Context())
    terms = task.losses(outputs, example.batch, Context())
    known = example.batch["label"] >= 0
    wanted = nn.functional.cross_entropy(outputs["label"][known], example.batch["label"][known])
    assert terms["label/loss"].item() == pytest.approx(wanted.item(), rel=1e-6)
    for others in ((outputs["label"], outputs["price"]), torch.cat([outputs["label"], outputs["price"]], dim=1)):
        assert torch.equal(task.losses(others, example.batch, Context())["price/loss"], terms["price/loss"])
    with pytest.raises(ShapeError, match="a dict of outputs by target"):
        task.losses(torch.zeros(3), example.batch, Context())
    assert task.model_arguments() == {"in_channels": 5, "input_size": (1, 1), "num_classes": 5, "heads": task.heads}
    assert task.heads == {"label": 3, "price": 2}


def test_scores_of_a_pass_are_of_what_is_known() -> None:
    example = examples()["classification"]
    task, network = create_task(example.spec), example.network()
    scores = EpochScores(task)
    for start, stop in ((0, 5), (5, 8), (8, 13)):  # the middle one has no label at all
        part = {key: value[start:stop] for key, value in example.batch.items()}
        outputs = task.forward(network, part, Context())
        scores.add_columns(part, outputs)
        scores.add_losses(task.losses(outputs, part, Context()), task.counts(part))
    found, logits = scores.scores(), network(example.batch["row"])
    known = example.batch["label"] >= 0
    labels = example.batch["label"][known]
    assert found["loss"] == pytest.approx(nn.functional.cross_entropy(logits[known], labels).item(), rel=1e-6)
    assert found["accuracy"] == np.float32((logits.argmax(1)[known] == labels).double().mean())


def test_directions_belong_to_metrics(tmp_path: Any) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def spread(answers, targets): return 1.0\nspread.higher_is_better = False\n")
    numbers = create_task(DataSpec("toy", ROW, {"y": NUMBERS}), metrics=["pearson", f"{own}:spread"])
    assert list(logged_names(numbers)) == [
        "train/loss", "val/loss", "val/r2", "val/mae", "val/rmse", "val/pearson", "val/spread",
    ]  # fmt: skip
    assert [direction(numbers, name) for name in logged_names(numbers)] == [
        "min",
        "min",
        "max",
        "min",
        "min",
        "max",
        "min",
    ]
    with pytest.raises(UnknownNameError, match=r"(?s)nothing called 'val/mea'.*val/mae"):
        direction(numbers, "val/mea")


@pytest.mark.parametrize(("monitor", "mode"), [("val/mae", "min"), ("val/r2", "max"), ("val/loss", "min")])
def test_checkpoints_stopping_and_plateaus_read_them(monitor: str, mode: str, tmp_path: Any) -> None:
    from scirs_neural.runs.parts import build_parts, make_callbacks
    from tests.training.tiny import tiny_config

    config = tiny_config(
        tmp_path, "data=diabetes", "~data.image_size", "model=mlp", "~model.width", "~model.depth",
        "callbacks=[early_stopping]", f"callbacks.early_stopping.monitor={monitor}", "scheduler=plateau",
        f"scheduler.monitor={monitor}", f"trainer.checkpoint.monitor={monitor}",
    )  # fmt: skip
    parts = build_parts(config)
    (stopping, *_) = make_callbacks(config, parts.task)
    assert stopping.mode == mode  # type: ignore[attr-defined]
    assert sn.Trainer(checkpoint={"monitor": monitor}).monitor(parts.module) == (monitor, mode)
    optimizer = torch.optim.SGD(parts.model.parameters(), 0.1)
    schedule, watched = parts.module._schedule(optimizer, parts.module.phases[0], 10, 5)
    assert (schedule.mode, watched) == (mode, monitor)
