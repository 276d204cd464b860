"""A row as a network sees it, held to scikit-learn's imputer, scaler and one-hot encoder."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scirs_neural.core.errors import CheckpointError, DataError
from scirs_neural.data.context import Context
from scirs_neural.data.table.field import FAR_FROM_ZERO, TableField
from scirs_neural.data.table.samples import value_of
from scirs_neural.data.table.table import table_source

NAN = float("nan")


def fitted(frame, target=None, **options) -> tuple[TableField, np.ndarray]:
    """The field of a frame, and its encoded rows."""
    target = [0, 1] * (len(frame) // 2) if target is None else target
    source = table_source(frame, target, **options)
    spec = TableField.fit("row", source.inputs["row"], source.train, {})
    TableField.check(spec, "here")
    return TableField("row", spec), source.train.known("row")


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    """scikit-learn's tumours, with gaps, categories and truth made from their own columns."""
    study = load_breast_cancer(as_frame=True).data
    frame = study[["mean radius", "mean texture", "mean smoothness"]].copy()
    frame["size"] = pd.cut(study["mean area"], 3, labels=["small", "middle", "large"]).astype(str)
    frame["dense"] = study["mean compactness"] > 0.1
    frame.loc[study["worst area"] > 1500, "mean texture"] = np.nan
    return frame.iloc[:568]


def test_features_are_those_of_scikit_learn(patients):
    field, rows = fitted(patients)
    numbers = ["mean radius", "mean texture", "mean smoothness"]
    judge = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(sparse_output=False), ["size"]),
        (StandardScaler(), ["dense"]),
    )
    wanted = judge.fit_transform(patients.assign(dense=patients["dense"].astype(float)))
    names = field.feature_names
    assert names == [
        "mean radius", "mean texture", "mean texture is missing", "mean smoothness",
        "size=large", "size=middle", "size=small", "dense",
    ]  # fmt: skip
    indicator = names.index("mean texture is missing")
    made = field.features(rows)
    np.testing.assert_allclose(np.delete(made, indicator, 1), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(made[:, indicator], patients["mean texture"].isna())
    assert made.dtype == np.float32
    assert field.describe() == "5 columns: 3 numbers, 1 boolean, 1 category"


def test_one_row_is_encoded_as_the_whole_table_is(patients):
    field, rows = fitted(patients)
    for place in (0, 7, int(patients["mean texture"].isna().argmax())):
        one = field.encode(patients.iloc[place].to_dict())
        np.testing.assert_array_equal(one, rows[place])
        batch = field.collate([one], Context(), [0])
        assert torch.equal(batch, torch.from_numpy(field.features(rows))[place : place + 1])


def test_plain_numbers_keep_the_bits_of_the_first_scaling():
    """(float32 - float32 mean) / float32 deviation: what all runs so far have trained on."""
    iris = load_iris(as_frame=True)
    field, rows = fitted(iris.data, iris.target)
    x = torch.from_numpy(iris.data.to_numpy().astype(np.float32))
    mean, std = x.double().mean(0), x.double().std(0, correction=0)
    first = (x - torch.tensor(mean.tolist())) / torch.tensor(std.tolist())
    assert torch.equal(torch.from_numpy(field.features(rows)), first)


def test_numbers_far_from_zero_are_scaled_in_float64():
    seconds = 1.7e9 + np.arange(60.0) ** 2
    assert seconds.mean() > FAR_FROM_ZERO * seconds.std()
    assert len(np.unique(seconds.astype(np.float32))) < 60
    field, rows = fitted(pd.DataFrame({"at": seconds, "x": np.sin(seconds)}))
    np.testing.assert_allclose(field.features(rows)[:, 0], (seconds - seconds.mean()) / seconds.std(), atol=1e-6)


def test_dates_are_elapsed_time_and_places_in_their_periods():
    frame = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=2000, freq="13h")})
    field, rows = fitted(frame)
    assert field.feature_names == [
        "when", "when, sine of day", "when, cosine of day", "when, sine of week", "when, cosine of week",
        "when, sine of year", "when, cosine of year",
    ]  # fmt: skip
    made = field.features(rows)
    hour = frame["when"].dt.hour.to_numpy()
    np.testing.assert_allclose(made[:, 1], np.sin(2 * np.pi * hour / 24), atol=1e-5)
    np.testing.assert_allclose(made[:, 2], np.cos(2 * np.pi * hour / 24), atol=1e-5)
    same_day_of_week = frame["when"].dt.day_of_week.to_numpy() * 24 + hour == 7
    assert np.ptp(made[same_day_of_week, 3]) < 1e-4
    spring, autumn = frame["when"].dt.month.to_numpy() == 4, frame["when"].dt.month.to_numpy() == 10
    assert made[spring, 5].min() > 0.8
    assert made[autumn, 5].max() < -0.8
    daily, _ = fitted(pd.DataFrame({"when": pd.date_range("2020-01-01", periods=40)}))
    assert daily.feature_names == ["when", "when, sine of week", "when, cosine of week"]


def test_embedded_categories_are_places_counted_from_1():
    frame = pd.DataFrame({"colour": ["red", "blue", None, "red"] * 5, "x": np.arange(20) % 7})
    field, rows = fitted(frame, categories="embed")
    assert field.feature_names == ["colour", "colour is missing", "x"]
    assert field.features(rows)[:4, 0].tolist() == [2, 1, 0, 2]
    assert field.model_arguments() == {"in_channels": 3, "input_size": (1, 1), "category_sizes": [[0, 2]]}
    row = field.encode({"colour": "green", "x": 1})
    assert field.features(row[None])[0, :2].tolist() == [0, 0]


def test_an_unknown_category_is_none_of_the_known_ones_and_is_counted():
    frame = pd.DataFrame({"colour": ["red", "blue"] * 10, "x": np.arange(20) % 7})
    field, _ = fitted(frame)
    with pytest.warns(UserWarning, match=r"3 values are of no category.*colour=green \(2\), colour=pink \(1\)"):
        rows = [field.encode(row) for _, row in field.read({"colour": ["green", "pink", "green", "red"], "x": [1] * 4})]
    assert field.features(np.array(rows))[:, :2].tolist() == [[0, 0], [0, 0], [0, 0], [0, 1]]


def test_columns_are_matched_by_name(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0] * 5, "b": [3.0, 5.0] * 5, "name": [f"n{i}" for i in range(10)]})
    field, rows = fitted(frame)
    assert field.names == ["a", "b"]
    plain = dict(field.read(frame))
    assert [field.encode(row).tolist() for row in plain.values()] == rows.tolist()
    path = tmp_path / "t.csv"
    frame[["b", "a"]].to_csv(path, index=False)  # in another order, without what was left out
    read = dict(field.read(path))
    assert list(read) == [f"{path}:{line}" for line in range(2, 12)]
    assert [field.encode(row).tolist() for row in read.values()] == rows.tolist()
    with pytest.warns(UserWarning, match="did not have are passed over: c$"):
        list(field.read(frame.assign(c=1)))
    with pytest.raises(DataError, match=r"(?s)no column 'b'.*maybe  B"):
        list(field.read(frame.rename(columns={"b": "B"})))
    with pytest.raises(DataError, match="no column 'b'"):
        field.encode({"a": 1.0})
    for one in ([1.0, 3.0], (1.0, 3.0), np.array([1.0, 3.0]), {"a": 1.0, "b": 3.0}, frame.iloc[0]):
        (row,) = [row for _, row in field.read(one)]
        assert field.encode(row).tolist() == [1.0, 3.0]
    assert [field.encode(row).tolist() for _, row in field.read(rows)] == rows.tolist()  # an array: by place
    with pytest.raises(DataError, match="1 column, and training had 2"):
        list(field.read(rows[:, :1]))
    with pytest.raises(DataError, match="3 columns, and training had 2"):
        field.encode([1, 2, 3])


def test_a_value_that_is_none_of_its_column_s_type_costs_its_row_alone():
    frame = pd.DataFrame({"a": [1.0, 2.0] * 5, "b": [True, False] * 5})
    field, _ = fitted(frame)
    read = [row for _, row in field.read({"a": ["1", "x", "inf"], "b": ["yes", "no", "no"]})]
    assert field.encode(read[0]).tolist() == [1.0, 1.0]
    for row, what in ((read[1], "'x' is none"), (read[2], "'inf' is none")):
        with pytest.raises(DataError, match=f"'a' is a number, and {what}"):
            field.encode(row, "line 7")


def test_missing_values_can_be_an_error():
    frame = pd.DataFrame({"a": [1.0, 2.0] * 5, "b": [3.0, 5.0] * 5})
    field, _ = fitted(frame)
    row = field.encode({"a": None, "b": "NA"})
    assert np.isnan(row).all()
    np.testing.assert_allclose(field.features(row[None]), [[0.0, 0.0]], atol=1e-6)  # the medians are the means here
    strict, _ = fitted(frame, missing="error")
    with pytest.raises(DataError, match=r"'a' is missing(?s:.*)line 3"):
        strict.encode({"a": None, "b": 1}, "line 3")


def test_no_scaling():
    source = table_source(pd.DataFrame({"a": [1.0, 2.0] * 5}), [0, 1] * 5)
    spec = TableField.fit("row", source.inputs["row"], source.train, {"scale": False})
    assert TableField("row", spec).features(source.train.known("row"))[:2, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "column",
    [
        {},
        {"type": "number", "mean": 0.0, "std": 1.0},
        {"name": "a", "type": "sort", "mean": 0.0, "std": 1.0},
        {"name": "a", "type": "number", "mean": 0.0},
        {"name": "a", "type": "number", "mean": 0.0, "std": 0.0},
        {"name": "a", "type": "number", "mean": NAN, "std": 1.0},
        {"name": "a", "type": "number", "mean": "0", "std": 1.0},
        {"name": "a", "type": "number", "mean": 0.0, "std": 1.0, "run": "rm"},
        {"name": "a", "type": "category", "categories": []},
        {"name": "a", "type": "category", "categories": ["x", "x"]},
        {"name": "a", "type": "category", "categories": ["x", 3]},
        {"name": "a", "type": "date", "mean": 0.0, "std": 1.0, "parts": ["month"]},
        {"name": "a", "type": "number", "mean": 0.0, "std": 1.0, "decimal": ";"},
        "a",
    ],
)
def test_a_description_out_of_a_file_is_held_to_the_schema(column):
    with pytest.raises(CheckpointError, match="here"):
        TableField.check({"kind": "table", "version": 1, "columns": [column]}, "here")


def test_the_rest_of_the_schema():
    good = {"name": "a", "type": "number", "mean": 0.0, "std": 1.0}
    TableField.check({"kind": "table", "columns": [good]}, "here")
    for spec in (
        {"columns": [good, good]}, {"columns": []}, {}, {"columns": [good], "version": 2},
        {"columns": [good], "missing": "drop"}, {"columns": [good], "categories": "hash"},
    ):  # fmt: skip
        with pytest.raises(CheckpointError):
            TableField.check({"kind": "table", **spec}, "here")


ROWS = st.fixed_dictionaries(
    {
        "number": st.none() | st.floats(-1e15, 1e15) | st.integers(-(10**9), 10**9),
        "truth": st.none() | st.booleans(),
        "when": st.none() | st.datetimes(),
        "colour": st.none() | st.sampled_from(["red", "blue", "17", "1,5"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=8))
def test_rows_as_dicts_as_a_frame_and_back_are_the_same(rows):
    """Whatever way a row comes in, its numbers are the same, and they give the row again."""
    columns = [
        {"name": "number", "type": "number", "mean": 0.0, "std": 1.0},
        {"name": "truth", "type": "boolean", "mean": 0.0, "std": 1.0},
        {"name": "when", "type": "date", "mean": 0.0, "std": 1.0},
        {"name": "colour", "type": "category", "categories": ["red", "blue", "17", "1,5"]},
    ]
    field = TableField("row", {"kind": "table", "columns": columns})
    alone = np.array([field.encode(row) for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = np.array([field.encode(row) for _, row in field.read(rows)])
    np.testing.assert_array_equal(alone, read)
    again = [{c["name"]: value_of(v, c) for c, v in zip(columns, row, strict=True)} for row in alone]
    np.testing.assert_array_equal(alone, np.array([field.encode(row) for row in again]))
    known = [[math.isnan(v) for v in row] for row in alone]
    assert known == [[row[name] is None for name in field.names] for row in rows]
