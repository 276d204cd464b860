"""How numbers are written is a property of the whole table: in training it is found, in new rows it is held to."""

import warnings

import numpy as np
import pandas as pd
import pytest

from scirs_neural.core.errors import DataError
from scirs_neural.data import from_table
from scirs_neural.data.table.kinds import read_column
from scirs_neural.data.table.numbers import numbers_of
from scirs_neural.data.table.read import read_table


def table_of(tmp_path, delimiter=";", **columns):
    path = tmp_path / "t.csv"
    rows = zip(*columns.values(), strict=True)
    quote = (lambda cell: f'"{cell}"') if delimiter == "," else str
    lines = [delimiter.join(columns), *(delimiter.join(map(quote, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return read_table(path)


def values_of(table, name="x"):
    return read_column(table, name, keep=True).values.tolist()


DOTS, COMMAS = ["500", "870", "1.018", "1.055"], ["500", "870", "1,018", "1,055"]
THOUSANDS, FRACTIONS = [500.0, 870.0, 1018.0, 1055.0], [500.0, 870.0, 1.018, 1.055]
COMMA, POINT, NEUTRAL = ["0,5", "1,5", "2", "3"], ["0.5", "1.5", "2", "3"], ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("delimiter", "x", "other", "expected"),
    [
        (";", DOTS, COMMA, THOUSANDS),
        ("\t", DOTS, COMMA, THOUSANDS),
        (";", DOTS, ["1.234,5", "1", "2", "3"], THOUSANDS),
        (";", DOTS, ["0,123", "1", "2", "3"], THOUSANDS),  # no thousands begin with 0
        (";", DOTS, POINT, FRACTIONS),
        (";", COMMAS, POINT, THOUSANDS),
        (";", COMMAS, COMMA, FRACTIONS),
        (";", COMMAS, NEUTRAL, FRACTIONS),  # Excel divides by semicolons where commas are decimal
        (",", DOTS, NEUTRAL, FRACTIONS),
        (",", COMMAS, NEUTRAL, THOUSANDS),
        (",", COMMAS, POINT, THOUSANDS),
        (",", COMMAS, COMMA, FRACTIONS),
        ("\t", DOTS, NEUTRAL, FRACTIONS),
        (";", DOTS, NEUTRAL, None),
        ("\t", COMMAS, NEUTRAL, None),
        ("|", COMMAS, NEUTRAL, None),
    ],
)  # fmt: skip
def test_one_column_tells_how_the_numbers_of_all_are_written(tmp_path, delimiter, x, other, expected):
    table = table_of(tmp_path, delimiter, x=x, other=other)
    if expected is None:
        with pytest.raises(DataError, match=r"'x': 1[.,]018 can be read as .*(?s:.)*number:,"):
            read_column(table, "x")
    else:
        assert values_of(table) == expected
        if expected == THOUSANDS or other is NEUTRAL:
            assert any("x: 1" in note for note in numbers_of(table).notes)


@pytest.mark.parametrize("decimal", [",", "."])
def test_a_whole_file_is_read_as_pandas_reads_it_when_it_is_told_the_marks(tmp_path, decimal):
    thousands, rng = ".,".replace(decimal, ""), np.random.default_rng(0)
    swap = str.maketrans(",.", f"{thousands}{decimal}")
    made = {name: [f"{v:{form}}".translate(swap) for v in rng.lognormal(6, 3, 60)]
            for name, form in (("a", ",.0f"), ("b", ",.3f"), ("c", ".3f"), ("d", ",.1f"), ("e", ".0f"))}  # fmt: skip
    table = table_of(tmp_path, **made)
    judge = pd.read_csv(tmp_path / "t.csv", sep=";", decimal=decimal, thousands=thousands)
    for name in made:
        np.testing.assert_array_equal(values_of(table, name), judge[name])


@pytest.mark.parametrize(("form", "expected"), [(",", THOUSANDS), (".", FRACTIONS)])
def test_what_is_declared_of_one_column_holds_for_all(tmp_path, form, expected):
    declared = {"x": f"number:{form}"}
    alone = table_of(tmp_path, x=DOTS, z=NEUTRAL)
    numbers_of(alone, declared)
    assert read_column(alone, "x", declared["x"]).values.tolist() == expected
    table = table_of(tmp_path, x=DOTS, z=DOTS)
    numbers_of(table, declared)
    assert values_of(table, "z") == expected
    assert read_column(table, "x", declared["x"]).values.tolist() == expected


def test_columns_that_prove_different_marks_are_read_as_each_has_it_and_doubt_is_refused(tmp_path):
    table = table_of(tmp_path, a=COMMA, b=POINT, x=DOTS)
    assert values_of(table, "a") == values_of(table, "b") == [0.5, 1.5, 2.0, 3.0]
    assert "not all written alike: decimal comma in a, decimal point in b" in numbers_of(table).notes[0]
    with pytest.raises(DataError, match="can be read"):
        values_of(table)


def test_a_target_is_read_as_the_file_is_as_a_number_and_as_classes(tmp_path):
    y = [f"{i * 37 + 500:,}".replace(",", ".") for i in range(40)]
    table_of(tmp_path, x=[f"{i},5" for i in range(40)], y=y)
    data = from_table(str(tmp_path / "t.csv"), "y")
    assert data.source.train.known("target")[:, 0].tolist() == [i * 37 + 500 for i in range(40)]
    table_of(tmp_path, x=[f"{i},5" for i in range(40)], y=["1.000", "2.000"] * 20)
    assert from_table(str(tmp_path / "t.csv"), "y").spec.target["classes"] == ["1000", "2000"]


@pytest.fixture(scope="module")
def trained():
    """A row of a number, by how the numbers of training were written."""
    values, fields = np.arange(40) * 0.25 + 10, {}
    z = [f"{v:.2f}" for v in values]
    for name, decimal, grouped in (("point", ".", ""), ("comma", ",", ""), ("comma and dots", ",", "1.000")):
        x = [f"{v:.2f}".replace(".", decimal) for v in values]
        table = {"x": x, "z": [text.replace(".", decimal) for text in z], "y": ["a", "b"] * 20}
        table |= {"more": [grouped, "7"] * 20} if grouped else {}
        fields[name] = from_table(table, "y").pipeline.inputs["row"]
    return fields


@pytest.mark.filterwarnings("ignore:columns that training did not have")
@pytest.mark.parametrize("file", [".csv", ".parquet", ".jsonl", ".json", "frame", "dicts"])
@pytest.mark.parametrize(
    ("how", "text", "value"),
    [
        ("point", "13.690", 13.69), ("point", "5,123", None), ("point", "5,12", None), ("point", "0,123", None),
        ("point", "1.234,5", None), ("comma", "13,690", 13.69), ("comma", "13.690", None), ("comma", "0.123", None),
        ("comma", "5.12", None), ("comma and dots", "13,690", 13.69), ("comma and dots", "0.123", None),
        ("comma and dots", "5.12", None),
        ("comma and dots", "13.690", None),  # 13690 would be far outside, and 13.69 is within the range
    ],
)  # fmt: skip
def test_new_rows_are_written_as_training_was_or_refused(tmp_path, trained, file, how, text, value):
    field, new = trained[how], pd.DataFrame({"x": ["11", text], "z": ["10", "11"], "more": ["7", "8"]})
    path = tmp_path / f"new{file}"
    if file == ".csv":
        new.to_csv(path, index=False)
    elif file == ".parquet":
        new.to_parquet(path)
    elif file.startswith(".json"):
        new.to_json(path, orient="records", lines=file == ".jsonl")
    else:
        path = new if file == "frame" else new.to_dict("records")
    if value is None:
        with pytest.raises(DataError, match=f"'x' .*'{text}'.* training.* a decimal (point|comma)"):
            list(field.read(path))
    else:
        assert [field.encode(row)[0] for _, row in field.read(path)] == [11.0, value]


@pytest.mark.filterwarnings("ignore:columns that training did not have")
@pytest.mark.parametrize("how", ["point", "comma", "comma and dots"])
def test_typed_numbers_need_no_marks(tmp_path, trained, how):
    field, new = trained[how], pd.DataFrame({"x": [13.69, 11], "z": [10.5, 11], "more": [7, 8]})
    new = new[field.names]
    new.to_parquet(tmp_path / "n.parquet")
    (tmp_path / "n.json").write_text('[{"x": 13.69, "z": 10.5, "more": 7}, {"x": "n/a", "z": 11, "more": 7}]')
    for given in (new, tmp_path / "n.parquet", tmp_path / "n.json", new.to_numpy(), new.to_dict("list")):
        assert field.encode(next(iter(field.read(given)))[1]).tolist()[0] == 13.69


@pytest.mark.parametrize(
    ("training", "new", "far"),
    [
        ([11, 12, 15], [11.5, 12, 16], ""),
        ([11, 12, 15], [13690, 12, 14], "x (1 of 3, such as 13690; training had 11 to 15)"),
        ([11, 12, 15], [0.01369, 0.012, 0.014], "x (3 of 3"),
        ([-15, -12, -11], [-0.01369, -12, -14], "x (1 of 3"),
        ([0, 500, 900], [0.5, 0.6, 0], "x (2 of 3"),
        ([0, 500, 900], [0, 7, 880], ""),
        ([0, 500, 900], [0, 0, 0], ""),
        ([-1, 0, 1], [1000, np.nan, 0.5], "x (1 of 2"),
    ],
)
def test_values_far_outside_of_the_range_of_training_are_said(training, new, far):
    data = from_table({"x": [float(v) for v in training * 10], "y": ["a", "b", "a", "b", "b", "a"] * 5}, "y")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        list(data.pipeline.inputs["row"].read({"x": new}))
    found = [str(each.message) for each in said]
    assert len(found) == bool(far)
    assert all(f"far outside of the range of training: {far}" in text for text in found)
