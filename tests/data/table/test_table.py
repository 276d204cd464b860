"""Rows of numbers: from files, from arrays, scaled by the training rows, for classes or for numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_wine

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.data import DataSpec, create_data, from_rows


@pytest.fixture(scope="module")
def wine_csv(tmp_path_factory):
    """scikit-learn's wines as a table: 13 measurements, a cultivar, a region, a split."""
    wine = load_wine(as_frame=True)
    frame = wine.frame.assign(target=[f"cultivar {t}" for t in wine.target], region=["n", "s"] * 89)
    path = tmp_path_factory.mktemp("table") / "wine.csv"
    frame.to_csv(path, index=False)
    return path


def test_rows_are_scaled_by_the_training_rows():
    data = create_data("diabetes")
    x, y = next(iter(data.eval_dataloader("train")))
    rows = torch.cat([x for x, _ in data.eval_dataloader("train")])
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(0, correction=0), 1, atol=1e-5)
    study = load_diabetes(scaled=False)
    ids = list(data.dataset("train").ids)[: len(x)]
    raw = x * torch.tensor(data.pipeline.inputs["image"].preprocess.std) + torch.tensor(data.spec.input["mean"])
    np.testing.assert_allclose(raw, study.data[ids], rtol=1e-4)
    np.testing.assert_allclose(y[:, 0], study.target[ids])
    assert data.spec.target_mean == (pytest.approx(study.target[list(data.dataset("train").ids)].mean()),)
    assert DataSpec.from_dict(data.spec.to_dict()) == data.spec


def test_a_file_for_classes(wine_csv):
    data = create_data("table", path=wine_csv, target="target", group_by=None)
    assert data.spec.task == "table_classification"
    assert data.spec.target["classes"] == ["cultivar 0", "cultivar 1", "cultivar 2"]
    assert data.spec.input_shape == (13,)
    assert set(data.dataset("test").columns) == {"region"}  # no numbers: kept beside the rows


def test_a_file_for_numbers(wine_csv):
    data = create_data("table", path=wine_csv, target="alcohol", leave_out=["hue"])
    assert (data.spec.task, data.spec.target["classes"], data.spec.input_shape) == ("regression", ("alcohol",), (11,))
    wine = load_wine(as_frame=True).frame
    line = data.dataset("test").ids[0]  # a line of the file
    assert data.dataset("test").targets[0].item() == pytest.approx(wine["alcohol"].iloc[line - 2])


def test_a_column_divides_the_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y,split\n1,x,train\n2,y,train\n3,x,test\n4,y,val\n5,x,\n")
    data = create_data("table", path=path, target="y")
    assert {split: list(data.dataset(split).ids) for split in ("train", "val", "test")} == {
        "train": [2, 3, 6], "val": [5], "test": [4],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n", {"target": "z"}, "no column 'z'"),
        ("a,y\n1,\n", {"target": "y"}, "a value is missing"),
        ("a,y\n1,2,3\n", {"target": "y"}, "3 values for 2 columns"),
        ("a,y\nb,2\nc,3\n", {"target": "y"}, "no column of numbers"),
        ("a,y\n1,x\n2,z\n", {"target": "y", "task": "regression"}, "holds no numbers"),
        ("a,y\n1,x\n2,z\n", {"target": "y", "task": "regresion"}, "not 'regresion'"),
        ("a,y\n", {"target": "y"}, "no rows"),
        ("a,y,split\n1,x,tran\n", {"target": "y"}, "a split is train"),
        ("a,y\n1,x\n2,x\n", {"target": "y", "task": "table_classification"}, "one class"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, options, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        create_data("table", path=path, **options)


def test_settings_for_images_are_refused():
    for option in ({"mixup": 0.2}, {"image_size": 8}, {"transforms": "light"}):
        with pytest.raises(ConfigError, match="is for images"):
            create_data("diabetes", **option)


def test_arrays():
    x = np.random.default_rng(0).normal(size=(50, 3))
    data = from_rows(x, x[:, :2], task="regression", classes=["left", "right"], scale=False)
    assert data.spec.target["classes"] == ["left", "right"]
    assert data.spec.input["mean"] == (0.0, 0.0, 0.0)
    with pytest.raises(DataError, match="no table of finite numbers"):
        from_rows(x.reshape(50, 3, 1), x[:, 0], task="regression")
    with pytest.raises(DataError, match="not finite"):
        from_rows(x, np.full(50, np.nan), task="regression")
    with pytest.raises(DataError, match="40 values for 50 rows"):
        from_rows(x, x[:40, 0], task="regression")
