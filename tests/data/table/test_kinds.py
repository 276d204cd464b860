"""What is inferred of a column: a table of cases, each with the value that it must have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.data.table.kinds import read_column
from scirs_neural.data.table.read import read_table

NAN = float("nan")
DAY = 86400.0


def column_of(values, name="x", declared=None, **options):
    return read_column(read_table({name: values}), name, declared, **options)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2.5", "-3e2"], "number", [1.0, 2.5, -300.0]),
        ([" 1", "2 ", "3"], "number", [1.0, 2.0, 3.0]),
        (["1", "NA", "?", "", "n/a", "None", "NULL", "nan", "-", "2.5"], "number", [1.0] + [NAN] * 8 + [2.5]),
        (["1,234.5", "12", "1,000,000"], "number", [1234.5, 12.0, 1e6]),
        (["1.234,5", "12", "1.000.000"], "number", [1234.5, 12.0, 1e6]),
        (["1,5", "2,25"], "number", [1.5, 2.25]),
        (["true", "False", "TRUE"], "boolean", [1.0, 0.0, 1.0]),
        (["yes", "no", ""], "boolean", [1.0, 0.0, NAN]),
        ([True, False, None], "boolean", [1.0, 0.0, NAN]),
        (["1970-01-02", "1970-01-01"], "date", [DAY, 0.0]),
        (["1970-01-01 06:00:00", "1970-01-02T00:00:00Z"], "date", [DAY / 4, DAY]),
        (["1970-01-01T01:00:00+01:00", "NA", "1970-01-03"], "date", [0.0, NAN, 2 * DAY]),
        (["13/01/1970", "01/02/1970"], "date", [12 * DAY, 31 * DAY]),
        (["01/13/1970", "02/01/1970"], "date", [12 * DAY, 31 * DAY]),
        (["02.01.1970", "01.01.1970 "], "date", [DAY, 0.0]),
        (["red", "blue", "red", "NA"], "category", [1.0, 0.0, 1.0, NAN]),
        (["02134", "10001", "02134"], "category", [0.0, 1.0, 0.0]),  # a leading zero: no number
        ([1, 2, None], "number", [1.0, 2.0, NAN]),
        (pd.to_datetime(["1970-01-02", None]), "date", [DAY, NAN]),
        (pd.to_datetime(["1970-01-02", "1970-01-01"]).tz_localize("UTC"), "date", [DAY, 0.0]),
        (pd.to_timedelta(["1h", "2h"]), "number", [3600.0, 7200.0]),
        (pd.Categorical(["b", "a", "b"]), "category", [1.0, 0.0, 1.0]),
        (np.array([1.5, NAN], dtype=np.float32), "number", [1.5, NAN]),
    ],
)
def test_kind_and_values(values, kind, expected):
    column = read_column(read_table(pd.DataFrame({"x": values})), "x")
    assert (column.spec["type"], column.left_out) == (kind, "")
    np.testing.assert_array_equal(column.values, expected)
    if isinstance(values, list):  # the same without a frame
        np.testing.assert_array_equal(column_of(values).values, expected)


def test_sixty_timestamps_stay_sixty_values():
    minutes = pd.date_range("2026-11-29 10:00", periods=60, freq="min")
    column = column_of([str(minute) for minute in minutes])
    np.testing.assert_array_equal(column.values, minutes.as_unit("s").astype(np.int64))


@pytest.mark.parametrize(
    ("values", "name", "reason"),
    [
        (["NA", "", None], "x", "no values"),
        ([NAN, NAN], "x", "no values"),
        (["3", "3"], "x", "the same value"),
        (["red", "red"], "x", "the same value"),
        ([f"name {i}" for i in range(30)], "x", "an identifier"),
        ([f"word {i % 60}" for i in range(200)], "x", "text with 60 different values"),
        (list(range(30)), "x", "a running number"),
        (list(range(1000, 1030)), "Nr", "a running number, 1000, 1001"),
        (list(range(-5, 30)), "x", "a running number"),
        ([float(i) for i in range(7, 40)], "x", "a running number"),
        ([str(i) for i in range(7, 40)], "x", "a running number"),
        ([5, 3, 9], "patient_id", "an identifier"),
        ([5, 3, 9], "PassengerId", "an identifier"),
        ([0, 1, 2], "Unnamed: 0", "the index of a frame"),
        (["1/2/2024", "3/4/2024"], "x", "dates that can be read as %d/%m/%Y or %m/%d/%Y"),
        ([[1], [2]], "x", "values of type list"),
        ([b"a", b"b"], "x", "values of type binary"),
    ],
)
def test_what_is_no_input_and_why(values, name, reason):
    assert column_of(values, name).left_out.startswith(reason)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (list(range(19)), "x"),  # too few to be sure
        (list(range(5, 300, 5)), "x"),  # as in a planned experiment
        ([3, 1, 2], "grid"),
        ([5, 5, 9], "patient_id"),  # not unique
        ([3, None, 3], "x"),  # whether it is there may tell something
        ([f"word {i % 50}" for i in range(200)], "x"),
    ],
)
def test_what_looks_like_it_and_stays_an_input(values, name):
    assert column_of(values, name).left_out == ""


def test_categories_of_a_frame_in_pieces():
    """As polars gives them: unsigned places, and each piece with categories of its own."""
    pieces = [
        pa.DictionaryArray.from_arrays(pa.array(places, pa.uint32()), texts)
        for places, texts in (([0, None, 1], ["b", "a"]), ([0, 1], ["a", "c"]))
    ]
    column = read_column(read_table(pa.table({"x": pa.chunked_array([pieces[0]])})), "x")
    assert column.spec["categories"] == ["a", "b"]
    np.testing.assert_array_equal(column.values, [1, NAN, 0])
    table = read_table({"x": [1]})
    table.columns = {"x": pa.chunked_array(pieces)}
    column = read_column(table, "x")
    assert column.spec["categories"] == ["a", "b", "c"]
    np.testing.assert_array_equal(column.values, [1, NAN, 0, 0, 2])


def test_what_the_user_says_holds():
    column = column_of(["1", "2", "1.0"], declared="category")
    assert column.spec["categories"] == ["1", "2"]
    assert column.values.tolist() == [0, 1, 0]
    assert column_of(list(range(30)), declared="number").left_out == ""
    assert column_of(["1/2/1970"], declared="date:%m/%d/%Y").values.tolist() == [DAY]
    assert column_of(["1/2/1970"], declared="date:%d/%m/%Y").values.tolist() == [31 * DAY]
    with pytest.raises(DataError, match=r"'x' is a number, and 'b' is none(?s:.*)row 1"):
        column_of(["1", "b"], declared="number")
    with pytest.raises(ConfigError, match=r"(?s)declared as 'numeric'.*number"):
        column_of(["1"], declared="numeric")


def test_digits_without_end_are_text():
    column = column_of(["0" + "9" * 5000, "0" + "8" * 5000], declared="category")
    assert column.values.tolist() == [1.0, 0.0]


def test_infinite_numbers_are_refused_with_their_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,inf\n")
    with pytest.raises(DataError, match=r"(?s)'b' has .*not finite.*line 3.*data.leave_out=\[b\]"):
        read_column(read_table(path), "b")


def test_in_a_file_with_semicolons_a_comma_is_decimal(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,234;x\n2,345;y\n")
    assert read_column(read_table(path), "a").values.tolist() == [1.234, 2.345]
    path.write_text('a,b\n"1,234",x\n"2,345",y\n')
    assert read_column(read_table(path), "a").values.tolist() == [1234.0, 2345.0]
