"""Tables from files, frames, arrays and dicts: what pandas and csv read too, and what none should read."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_wine

from scirs_neural.core.errors import DataError, RefusedError
from scirs_neural.data.table.field import TableField
from scirs_neural.data.table.read import read_table
from scirs_neural.data.table.table import table as table_file
from scirs_neural.guard import BUDGETS


def rows_of(source):
    return list(read_table(source).rows())


@pytest.fixture(scope="module")
def wine():
    return load_wine(as_frame=True).frame


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "json"])
def test_every_kind_of_file_gives_the_values_of_the_frame_that_wrote_it(tmp_path, wine, suffix):
    path = tmp_path / f"wine.{suffix}"
    if suffix in ("csv", "tsv"):
        wine.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    elif suffix == "parquet":
        wine.to_parquet(path)
    else:
        wine.to_json(path, orient="records", lines=suffix == "jsonl", double_precision=15)
    table = read_table(path)
    assert list(table.columns) == list(wine.columns)
    for name, column in table.columns.items():
        np.testing.assert_array_equal(column.cast(pa.float64()).to_numpy(), wine[name])


@pytest.mark.parametrize(
    ("content", "rows", "note"),
    [
        (b"a,b\n1,x\n", [{"a": "1", "b": "x"}], None),
        (b"\xef\xbb\xbfa,b\n1,x\n", [{"a": "1", "b": "x"}], None),
        (b"a,b\r\n1,x\r\n", [{"a": "1", "b": "x"}], None),
        (b"a,b\n\n1,x\n\n", [{"a": "1", "b": "x"}], None),
        (b'a, b \n"1,5","x ""y""\nz"\n', [{"a": "1,5", "b": 'x "y"\nz'}], None),
        (b"a;b\n1,5;x\n2,5;y\n", [{"a": "1,5", "b": "x"}, {"a": "2,5", "b": "y"}], "semicolon"),
        (b"a\tb\n1\tx,y\n", [{"a": "1", "b": "x,y"}], "tab"),
        (b"a|b\n1|x\n", [{"a": "1", "b": "x"}], "bar"),
        (b"# from a lab\na,b\n1,x\n", [{"a": "1", "b": "x"}], "comments"),
        (b"\n\na,b\n1,x\n", [{"a": "1", "b": "x"}], "comments"),
        (b'"a\nb",c\n1,x\n', [{"ab": "1", "c": "x"}], None),
        (b'said\n"yes, no"\nno\n', [{"said": "yes, no"}, {"said": "no"}], None),
        (b"a,a\n1,2\n", [{"a": "1", "a (2)": "2"}], "two columns are called 'a'"),
        (b",a\n0,5\n1,6\n", [{"Unnamed: 0": "0", "a": "5"}, {"Unnamed: 0": "1", "a": "6"}], None),
        ("größe\n1\n".encode(), [{"größe": "1"}], None),
        (b"0,1\n5,6\n", [{"0": "5", "1": "6"}], None),  # as a frame of an array is written
    ],
)
def test_csv_as_people_write_it(tmp_path, content, rows, note):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    table = read_table(path)
    assert list(table.rows()) == rows
    assert any(note in line for line in table.notes) if note else not table.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n3\n", "1 values for 2 columns.*line 3"),
        (b"a,b\n1,2\n3,4,5\n", "3 values for 2 columns.*line 3"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "line 4"),
        (b"a,b\n1,\x002\n", "a NUL byte.*line 2"),
        ("a,b\n1,2\né,3\n".encode("latin-1"), "not in UTF-8: byte 0xe9.*line 3"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a,b\n1,2\n" + b"x" * 200_000 + b",3\n", "200,000 bytes in the column 'a'.*line 3"),
        (b"a,b\n" + b"x" * 200_000 + b",3\n", "200,000 bytes in the column 'a'.*line 2"),
        (b"x" * 200_000 + b",b\n1,2\n", "line 1"),
        (b"a," * 20_001 + b"\n", "more than 20,000 columns"),
        (b"5.1,3.5,setosa\n4.9,3.0,setosa\n", "the first line holds numbers"),
    ],
)
def test_csv_that_is_no_table_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        read_table(path)
    assert str(path) in caught.value.where


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("t.csv", "a,b\n1,x\n2,y\n", [2, 3]),
        ("t.csv", "a,b\n1,x\n2,y", [2, 3]),
        ("t.csv", "a,b\n1,x\n2,y\n\n\n", [2, 3]),
        ("t.csv", "a,b\n\n1,x\n\n\n2,y\n", [3, 6]),
        ("t.csv", "\n# of\na,b\n\n1,x\n2,y\n", [5, 6]),
        ("t.csv", 'a,b\n1,"x\ny"\n2,y\n3,"\n\n"\n4,z\n', [2, 4, 5, 8]),
        ("t.csv", '"a\nc",b\n1,x\n\n2,y\n', [3, 5]),
        ("t.csv", "a;b\r\n\r\n1;x\r\n2;y\r\n", [3, 4]),
        ("t.tsv", "a\tb\n\n1\tx\n2\ty\n", [3, 4]),
        ("t.csv", "a\n1\n\n2\n", [2, 4]),
        ("t.jsonl", '{"a": 1}\n\n{"a": 2}\n', [1, 3]),
    ],
)
def test_rows_are_called_by_the_line_in_which_they_begin(tmp_path, name, content, lines):
    path = tmp_path / name
    path.write_bytes(content.encode())
    table = read_table(path)
    assert list(table.places) == lines
    assert [table.at(row) for row in range(len(lines))] == [f"{path}, line {line}" for line in lines]


def test_errors_and_ids_name_the_true_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("w,x,y\n\n1,1,a\n" + '1,"2",b\n1,3,a\n\n' * 5 + "\n-1,3,b\n")
    with pytest.raises(DataError, match=r"'w' is missing or negative(?s:.)*line 20"):
        table_file(path, "y", weight="w")
    source = table_file(path, "y")
    assert list(source.train.ids) == [3, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 20]
    path.write_text("a,b\n\n1,2\n3,4,5\n")
    with pytest.raises(DataError, match=r"3 values(?s:.)*line 4"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": null}}', [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),  # pandas
        ('{"a": [1, 2], "b": ["x", null]}', [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ('[{"a": 1, "b": "x"}, {"a": 2}]', [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ('{"a": 1, "b": "x"}', [{"a": 1, "b": "x"}]),
        ("[[1, 2], [3, 4]]", [{"column_0": 1, "column_1": 2}, {"column_0": 3, "column_1": 4}]),
        ('[{"a": 1}, {"a": "n/a"}]', [{"a": 1}, {"a": None}]),
        ('{"a": [1, 2], "b": [1]}', None),
        ('{"a": {"0": 1, "1": 2}, "b": {"0": 1}}', None),
        ('[{"a": 1}, [2]]', None),
        ("[[1, 2], [3]]", None),
        ("[1, 2]", None), ("[]", None), ("{}", None), ("[[]]", None), ("[{}]", None), ('{"a": []}', None),
        ("3", None), ("null", None), ("true", None), ('"other.csv"', None),
        ('[{"a": {"b": 1}}, {"a": {"b": 2}}]', None),
        ('[{"a": [1]}, {"a": [2]}]', None),
        ('[{"a": {"b": 1}}, {"a": 3}]', None),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:columns that training did not have")
def test_json_of_every_shape_is_a_table_or_an_error_of_ours(tmp_path, content, rows):
    path = tmp_path / "t.json"
    path.write_text(content)
    if isinstance(rows, list):
        assert rows_of(path) == rows
        return
    column = {"name": "a", "type": "number", "mean": 0.0, "std": 1.0}
    field = TableField("row", {"kind": "table", "columns": [column]})
    with pytest.raises(DataError):
        [field.encode(row) for _, row in field.read(path)]


@pytest.mark.parametrize("kind", ["number", "boolean", "date", "category"])
@pytest.mark.parametrize("values", [[{"b": 1}, {"b": 2}], [[1], [2, 3]], [b"a", b"b"], [{"b": 1}, 3]])
def test_values_that_hold_several_are_an_error_of_ours(kind, values):
    column = {"name": "a", "type": kind, "mean": 0.0, "std": 1.0, "categories": ["x"]}
    field = TableField("row", {"kind": "table", "columns": [column]})
    told = pytest.raises(DataError) if kind != "category" else pytest.raises((DataError, UserWarning))
    with told:
        [field.encode(row) for _, row in field.read([{"a": value} for value in values])]


def test_files_that_are_no_tables(tmp_path):
    for name, content, error in [
        ("t.parquet", b"PAR1 not really PAR1", DataError),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', DataError),
        ("t.jsonl", b'{"a": "\xff"}\n', DataError),
        ("t.json", b'{"a": 1, "a": 2}', RefusedError),
        ("t.json", b"3", DataError),
        ("t.xlsx", b"PK", DataError),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(error):
            read_table(path)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="regular"):
        read_table(tmp_path)


def test_a_small_parquet_file_that_claims_very_many_values_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"a": pa.array(np.zeros(BUDGETS.table_cells_free + 1, dtype=np.int8))}), path)
    assert path.stat().st_size * BUDGETS.ratio < BUDGETS.table_cells_free
    with pytest.raises(DataError, match="claim to hold 20,000,001 values"):
        read_table(path)


def test_what_a_python_user_holds():
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    frame = pd.DataFrame(rows)
    assert (
        rows_of(rows) == rows_of(frame) == rows_of(pa.table(frame)) == rows_of({"a": [1, 2], "b": ["x", None]}) == rows
    )
    assert rows_of({"a": 1, "b": "x"}) == rows[:1]
    assert rows_of(row for row in rows) == rows
    assert rows_of([{"a": 1}, {"b": 2}]) == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    assert rows_of(np.array([[1.0, 2.0]])) == [{"column_0": 1.0, "column_1": 2.0}]
    assert rows_of([[1, "x"]]) == [{"column_0": 1, "column_1": "x"}]
    assert rows_of({"a": [1, "x", 2.0]}) == [{"a": "1"}, {"a": "x"}, {"a": "2"}]  # as texts
    assert rows_of(pd.DataFrame({"a": [1, "x"]})) == [{"a": "1"}, {"a": "x"}]
    for wrong in ([[1, 2], [3]], np.zeros((2, 2, 2)), [], {"a": [1], "b": [1, 2]}):
        with pytest.raises(DataError):
            read_table(wrong)


def test_python_s_csv_reads_the_same_cells(tmp_path):
    path = tmp_path / "t.csv"
    rows = [["name", "said"], ["a,b", 'he said "no"'], ["", "two\nlines"], ["ü", " padded "]]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with open(path, newline="") as file:
        assert json.dumps(rows_of(path)) == json.dumps(list(csv.DictReader(file)))
