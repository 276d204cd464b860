"""A run folder is read as it was written; what is missing is empty, what is damaged is named."""

from __future__ import annotations

import csv

import pytest

from scirs_neural import evaluation
from scirs_neural.core.errors import DataError
from scirs_neural.runs.record import RunRecord, differences


def test_everything_is_read(run):
    folder = RunRecord(run)
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert list(folder.history) == list(rows[0])
    assert folder.history["val/loss"] == [float(row["val/loss"]) for row in rows]
    assert folder.history["train/loss"][0] is None
    assert folder.config["optimizer"]["name"] == "sgd"
    assert folder.summary["model"]["num_params"] == 650
    assert folder.name == "digits-softmax/1"
    assert len(folder.predictions()) == folder.summary["data"]["sizes"]["test"]
    assert folder.splits == ["test", "val"]
    assert folder.spec.target["classes"] == list("0123456789")


def test_what_is_missing_is_empty(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    folder = RunRecord(tmp_path)
    assert (folder.history, folder.summary, folder.predictions()) == ({}, {}, None)


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("summary.json", "{", "summary"),
        ("summary.json", "[1]", "summary"),
        ("config.yaml", "a: [", "config"),
        ("config.yaml", "- a", "config"),
        ("config.yaml", "a: !!python/object:os.system x", "config"),
        ("metrics.csv", "epoch,loss\n0,much\n", "history"),
        ("metrics.csv", "epoch,loss\n0,1,2\n", "history"),
    ],
)
def test_what_is_damaged_is_named(name, content, read, tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"{name} cannot be read") as caught:
        getattr(RunRecord(tmp_path), read)
    assert caught.value.where == str(tmp_path / name)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither config\.yaml nor summary.json"):
        RunRecord(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        RunRecord(tmp_path / "none")


def test_differences_of_configs():
    a = {"seed": 0, "model": {"name": "a", "depth": 1}, "same": [1, 2]}
    b = {"seed": 0, "model": {"name": "b"}, "same": [1, 2], "extra": {}}
    assert differences({"x": a, "y": b}) == {
        "model.name": {"x": "a", "y": "b"},
        "model.depth": {"x": 1, "y": None},
        "extra": {"x": None, "y": {}},
    }


def test_public_names():
    for name in evaluation.__all__:
        assert getattr(getattr(evaluation, name), "__name__", name) == name
    with pytest.raises(AttributeError, match="nothing_here"):
        evaluation.nothing_here  # noqa: B018
