"""Predictions are a folder of columns: read back exactly, at any size, and refused when damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from scirs_neural.core.errors import DataError, ScirsError, StorageError
from scirs_neural.evaluation.columns import Ragged, Texts
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.registry import PREDICTIONS, load_predictions
from scirs_neural.evaluation.storage import PredictionsWriter
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.multi_label.predictions import LabelPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

TWO = {"classes": ["x", "y"]}


class Everything(Predictions):
    """Columns of every type."""

    kind = "everything"
    metrics = {"n": "max"}
    main_metric = "n"

    def scorer(self):
        return lambda weights: {"n": weights.sum(axis=1)}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(PREDICTIONS, "_entries", dict(PREDICTIONS._entries))
    PREDICTIONS.add("everything", Everything)


@pytest.fixture
def every():
    columns = {
        "wide": np.arange(24, dtype=np.float32).reshape(3, 4, 2), "byte": np.array([1, 2, 255], dtype=np.uint8),
        "flag": np.array([True, False, True]), "boxes of it": [np.ones((2, 4)), np.zeros((0, 4)), np.ones((1, 4))],
        "text": ["кот", "", "a\nb\udcff"], "empty": ["", "", ""],
    }  # fmt: skip
    return Everything(["ä/ж.png", "空", "c\udcff"], columns, {"any": {"thing": [1, None]}}, ["p1", "p1", "p2"])


def test_round_trip_of_every_type(every, tmp_path):
    every.save(tmp_path / "new" / "test")
    back = load_predictions(tmp_path / "new" / "test")
    assert type(back) is Everything
    assert (back.ids, back.units, back.header) == (every.ids, every.units, every.header)
    assert list(back.columns) == list(every.columns)
    for name, column in every.columns.items():
        held = back.columns[name]
        assert type(held) is type(column)
        if isinstance(column, np.ndarray):
            assert held.dtype == column.dtype
            np.testing.assert_array_equal(held, column)
        else:
            assert all(np.array_equal(a, b) for a, b in zip(held, column, strict=True)), name
    assert os.listdir(tmp_path / "new") == ["test"]
    assert back.score() == {"n": 3.0}


def test_arrays_can_be_read_by_numpy_alone(every, tmp_path):
    every.save(tmp_path / "test")
    record = json.loads((tmp_path / "test" / "header.json").read_text())
    files = {column["name"]: column["file"] for column in record["columns"]}
    np.testing.assert_array_equal(np.load(tmp_path / "test" / f"{files['wide']}.npy"), every.columns["wide"])


def test_columns_stay_on_the_disk(tmp_path):
    p = np.random.default_rng(0).dirichlet([1, 1], 4000).astype(np.float32)
    ClassPredictions(range(4000), {"probabilities": p, "target": np.zeros(4000, int)}, TWO).save(tmp_path / "a")
    held = load_predictions(tmp_path / "a").columns["probabilities"]
    assert isinstance(held.base, np.memmap) or isinstance(held, np.memmap)


@pytest.mark.parametrize("kind", ["sorted", "constant", "one class"])
def test_whatever_is_written_is_read(kind, tmp_path):
    """Case S3: targets in class order compress 200 to 1, and were refused as an attack."""
    n = 1_000_000 if kind == "sorted" else 9_000
    target = {"sorted": np.repeat([0, 1], n // 2), "constant": np.zeros(n, int), "one class": np.zeros(n, int)}[kind]
    p = np.full((n, 1 if kind == "one class" else 2), 1.0 if kind == "one class" else 0.5, dtype=np.float32)
    header = {"classes": ["x"]} if kind == "one class" else TWO
    pred = ClassPredictions(list(map(str, range(n))), {"probabilities": p, "target": target}, header)
    pred.save(tmp_path / "p")
    back = load_predictions(tmp_path / "p")
    assert len(back) == n
    assert np.array_equal(back.columns["target"], target)


def test_no_samples(tmp_path):
    Everything([], {"x": np.zeros((0, 3)), "t": Texts.of([])}).save(tmp_path / "p")
    back = load_predictions(tmp_path / "p")
    assert len(back) == 0
    assert back.columns["x"].shape == (0, 3)


def test_old_files_are_still_read(tmp_path):
    p = np.array([[0.9, 0.1], [0.4, 0.6]], dtype=np.float32)
    common = {"ids": np.array(["a", "b"]), "classes": np.array(["x", "y"]), "probabilities": p}
    np.savez_compressed(tmp_path / "one.npz", targets=np.array([0, 1]), **common)
    np.savez_compressed(tmp_path / "many.npz", targets=np.array([[0, 1], [1, 1]]), **common)
    np.savez_compressed(
        tmp_path / "numbers.npz", ids=common["ids"], targets=np.ones((2, 1)), values=np.zeros((2, 1)),
        outputs=np.array(["h"]),
    )  # fmt: skip
    one, many, numbers = (load_predictions(tmp_path / f"{name}.npz") for name in ("one", "many", "numbers"))
    assert (type(one), type(many), type(numbers)) == (ClassPredictions, LabelPredictions, NumberPredictions)
    assert one.score()["accuracy"] == 1
    assert many.predicted.tolist() == [[1, 0], [0, 1]]
    assert numbers.names == ["h"]


def test_parts_are_written_as_they_come(every, tmp_path):
    (tmp_path / "p").mkdir()
    with PredictionsWriter(tmp_path / "p") as writer:
        for part in ([0], [1, 2]):
            chosen = every.select(part)
            writer.append(chosen.ids, chosen.columns, chosen.units)
        with pytest.raises(DataError, match="earlier ones had"):
            writer.append(["x"], {"other": [1]})
        writer.finish(Everything, every.header)
    back = load_predictions(tmp_path / "p")
    assert back.ids == every.ids
    assert [len(boxes) for boxes in back.columns["boxes of it"]] == [2, 0, 1]


def test_selecting_and_joining(every):
    back = every.select([2, 0])
    assert (list(back.ids), list(back.units)) == (["c\udcff", "ä/ж.png"], ["p2", "p1"])
    assert [len(boxes) for boxes in back.columns["boxes of it"]] == [1, 2]
    assert list(back.columns["text"]) == ["a\nb\udcff", "кот"]
    joined = Everything.concat([every, back], ["1/", "2/"])
    assert joined.ids[3] == "2/c\udcff"
    assert joined.units == ("p1", "p1", "p2", "p2", "p1")
    assert [len(boxes) for boxes in joined.columns["boxes of it"]] == [2, 0, 1, 1, 2]
    with pytest.raises(DataError, match="named twice"):
        Everything.concat([every, every])
    with pytest.raises(DataError, match="cannot be put together"):
        Everything.concat([every, Everything(every.ids, every.columns, {"other": 1})])


def test_a_failed_write_leaves_the_old_folder(every, tmp_path, monkeypatch):
    every.save(tmp_path / "p")
    monkeypatch.setattr(PredictionsWriter, "finish", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(StorageError, match="no space"):
        every.select([0]).save(tmp_path / "p")
    assert len(load_predictions(tmp_path / "p")) == 3
    assert os.listdir(tmp_path) == ["p"]


def damage(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("header.json", lambda b: b"{"),
        ("header.json", lambda b: b"[]"),
        ("header.json", lambda b: b.replace(b'"format": 1', b'"format": 9')),
        ("header.json", lambda b: b.replace(b'"kind": "class"', b'"kind": "os:system"')),
        ("header.json", lambda b: b.replace(b'"kind": "class"', b'"kind": 3')),
        ("header.json", lambda b: b.replace(b'"version": 1', b'"version": 2')),
        ("header.json", lambda b: b.replace(b"1-probabilities", b"../../x")),
        ("header.json", lambda b: b.replace(b'"#ids"', b'"ids"')),
        ("header.json", lambda b: b.replace(b'"columns": [', b'"columns": [3, ')),
        ("1-probabilities.npy", lambda b: b[:-4]),
        ("1-probabilities.npy", lambda b: b + b"\0"),
        ("1-probabilities.npy", lambda b: b""),
        ("1-probabilities.npy", lambda b: b.replace(b"<f4", b"|O4")),
        ("1-probabilities.npy", lambda b: b.replace(b"(3, 2)", b"(-3,2)")),
        ("0-ids.offsets.npy", lambda b: b[:-1] + b"\x7f"),
    ],
)
def test_what_is_damaged_is_refused(name, change, tmp_path):
    p = np.full((3, 2), 0.5, dtype=np.float32)
    ClassPredictions("abc", {"probabilities": p, "target": [0, 1, 1]}, TWO).save(tmp_path / "p")
    damage(tmp_path / "p", name, change)
    with pytest.raises(DataError):
        load_predictions(tmp_path / "p")


def test_a_missing_folder_and_an_unknown_kind(every, tmp_path):
    with pytest.raises(StorageError, match="no such folder"):
        load_predictions(tmp_path / "none")
    every.save(tmp_path / "p")
    PREDICTIONS._entries.pop("everything")
    with pytest.raises(DataError, match="'everything', which is not installed") as caught:
        load_predictions(tmp_path / "p")
    assert caught.value.fix == "install the distribution that brings it"


def test_a_header_that_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(DataError, match="no plain data"):
        Everything(["a"], {"x": [1]}, {"f": np.float64}).save(tmp_path / "p")
    with pytest.raises(DataError, match="characters"):
        Everything(["a"], {"x": [1]}, {"f": "x" * 2**23}).save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_columns_that_are_none():
    for values in ([object()], 3, np.array(["2020"], dtype="M8[Y]")):
        with pytest.raises(DataError, match="must be numbers or texts"):
            Everything(["a"], {"x": values})
    for offsets in ([0, 2], [1, 3], [0, 3, 2, 3], [], [0.0, 3.0]):
        with pytest.raises(DataError, match="offsets"):
            Ragged(np.zeros(3), np.array(offsets))
    with pytest.raises(DataError, match="bytes"):
        Texts(Ragged(np.zeros(3), np.array([0, 3])))


def test_reading_needs_neither_torch_nor_scikit_learn(tmp_path):
    ClassPredictions("ab", {"probabilities": np.eye(2), "target": [0, 1]}, TWO).save(tmp_path / "p")
    code = (
        "import sys\nfrom scirs_neural.evaluation.registry import load_predictions\n"
        f"print(load_predictions({str(tmp_path / 'p')!r}).score()['accuracy'])\n"
        "print({'torch', 'sklearn', 'scipy', 'lightning', 'torchmetrics'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\nset()\n"


def test_every_error_is_of_ours():
    assert issubclass(DataError, ScirsError)
