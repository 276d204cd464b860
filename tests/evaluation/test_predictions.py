"""Predictions are kept whole, without pickles, and refuse what does not fit."""

from __future__ import annotations

import csv
import os
import pickle
import stat

import numpy as np
import pytest

from scirs_neural.core.errors import DataError, ScirsError, ShapeError, StorageError
from scirs_neural.evaluation import Predictions


def read(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("kind", ["pred", "many"])
def test_round_trip_is_exact(kind, request, tmp_path):
    pred = request.getfixturevalue(kind)
    pred.save(tmp_path / "new" / "test.npz")
    back = Predictions.load(tmp_path / "new" / "test.npz")
    assert back.ids == pred.ids
    assert back.classes == pred.classes
    np.testing.assert_array_equal(back.targets, pred.targets)
    np.testing.assert_array_equal(back.probabilities, pred.probabilities)
    assert back.multi_label == (kind == "many")
    assert os.listdir(tmp_path / "new") == ["test.npz"]


def test_names_of_every_script_survive(tmp_path):
    pred = Predictions(["ä/ж.png", "空"], [0, 1], np.eye(2), ["кот", 'dog, "big"'])
    pred.save(tmp_path / "a.npz")
    assert Predictions.load(tmp_path / "a.npz").ids == pred.ids
    pred.to_csv(tmp_path / "a.csv")
    rows = read(tmp_path / "a.csv")
    assert rows[1] == {
        "id": "空",
        "target": 'dog, "big"',
        "predicted": 'dog, "big"',
        "confidence": "1",
        "p(кот)": "0",
        'p(dog, "big")': "1",
    }


def test_csv_agrees_with_the_arrays(pred, many, tmp_path):
    pred.to_csv(tmp_path / "one.csv")
    rows = read(tmp_path / "one.csv")
    assert len(rows) == len(pred)
    assert [int(row["predicted"]) for row in rows] == pred.probabilities.argmax(1).tolist()
    np.testing.assert_allclose([float(row["confidence"]) for row in rows], pred.probabilities.max(1), rtol=1e-5)
    many.to_csv(tmp_path / "many.csv")
    rows = read(tmp_path / "many.csv")
    wanted = ["|".join(np.array(many.classes)[row == 1]) for row in many.targets]
    assert [row["target"] for row in rows] == wanted


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="no file of predictions"):
        Predictions.load(tmp_path / "a.npz")
    arrays = {"targets": np.zeros(1, int), "probabilities": np.ones((1, 1)), "classes": np.array(["x"])}
    np.savez(tmp_path / "b.npz", ids=np.array([Trap()], dtype=object), **arrays)
    with pytest.raises(DataError, match="no file of predictions"):
        Predictions.load(tmp_path / "b.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY", b"text"])
def test_damaged_files(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError) as caught:
        Predictions.load(tmp_path / "a.npz")
    assert caught.value.where == str(tmp_path / "a.npz")


def test_a_cut_file(pred, tmp_path):
    pred.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    for length in (len(content) // 2, len(content) - 5):
        (tmp_path / "a.npz").write_bytes(content[:length])
        with pytest.raises(DataError):
            Predictions.load(tmp_path / "a.npz")


def test_a_missing_file(tmp_path):
    with pytest.raises(StorageError, match="no such file"):
        Predictions.load(tmp_path / "none.npz")


def test_a_failed_write_leaves_the_old_file(pred, tmp_path, monkeypatch):
    pred.save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(StorageError, match="no space"):
        pred.save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) != 0o600
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.parametrize(
    ("targets", "probabilities", "kind", "message"),
    [
        ([0, 1], np.ones((3, 2)), ShapeError, "2 ids and 2 classes"),
        ([0, 1, 0], np.ones((2, 2)) / 2, ShapeError, r"targets are \(3,\)"),
        ([0, 2], np.ones((2, 2)) / 2, DataError, "0 to 2, but must be 0 to 1"),
        ([0, 1], np.full((2, 2), np.nan), DataError, "nan"),
        ([0, 1], np.array([[2.0, -1], [0, 1]]), DataError, "must be 0 to 1"),
        ([[0, 2], [0, 1]], np.ones((2, 2)) / 2, DataError, "must be 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(targets, probabilities, kind, message):
    assert issubclass(kind, ScirsError)
    with pytest.raises(kind, match=message):
        Predictions(["a", "b"], targets, probabilities, ["x", "y"])
