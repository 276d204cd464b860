"""Tables as data: which columns are inputs and targets, who is in which split, and what is said of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from scirs_neural.core.errors import ConfigError, DataError, UnknownNameError
from scirs_neural.data import DataSpec, create_data, from_table
from scirs_neural.data.module import DataModule
from scirs_neural.data.table.table import table, table_source
from scirs_neural.tasks.create import create_task


@pytest.fixture(scope="module")
def wine_csv(tmp_path_factory):
    """scikit-learn's wines as a table: 13 measurements, a cultivar, a region, a split."""
    wine = load_wine(as_frame=True)
    frame = wine.frame.assign(target=[f"cultivar {t}" for t in wine.target], region=["n", "s"] * 89)
    path = tmp_path_factory.mktemp("table") / "wine.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def csv(tmp_path):
    """Write a table."""

    def write(text: str):
        path = tmp_path / "t.csv"
        path.write_text(text)
        return path

    return write


def all_of(data: DataModule, split: str = "train") -> dict:
    batches = list(data.eval_dataloader(split))
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0] if name != "id"}


def test_rows_are_scaled_by_the_training_rows():
    data = create_data("diabetes")
    train = all_of(data)
    np.testing.assert_allclose(train["row"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train["row"].std(0, correction=0), 1, atol=1e-5)
    study, ids = load_diabetes(scaled=False), list(data.dataset("train").ids)
    columns = data.spec.input["columns"]
    assert [column["name"] for column in columns] == study.feature_names
    mean, std = (torch.tensor([column[key] for column in columns]) for key in ("mean", "std"))
    np.testing.assert_allclose(train["row"] * std + mean, study.data[ids], rtol=1e-4)
    np.testing.assert_allclose(train["target"][:, 0], study.target[ids])
    assert data.spec.target["names"] == ["progression"]
    assert DataSpec.from_dict(data.spec.to_dict()) == data.spec


def test_a_file_for_classes(wine_csv):
    data = create_data("table", path=wine_csv, target="target")
    assert data.spec.target == {"kind": "class", "version": 1, "classes": ["cultivar 0", "cultivar 1", "cultivar 2"]}
    assert data.pipeline.inputs["row"].describe() == "14 columns: 13 numbers, 1 category"
    assert set(data.dataset("test").columns) == set(pd.read_csv(wine_csv).columns)
    assert data.dataset("test").columns["region"][:1] in (["n"], ["s"])
    assert data.source.notes == [
        "number columns: alcohol, malic_acid, ash, alcalinity_of_ash, magnesium, total_phenols, flavanoids, "
        "nonflavanoid_phenols and 5 more",
        "category columns: region",
    ]


def test_a_file_for_numbers(wine_csv):
    data = create_data("table", path=wine_csv, target="alcohol", leave_out=["hue", "region", "target"])
    wine = load_wine(as_frame=True).frame
    assert data.spec.target["names"] == ["alcohol"]
    assert len(data.spec.input["columns"]) == 11
    line = data.dataset("test").ids[0]  # a line of the file
    assert all_of(data, "test")["target"][0].item() == wine["alcohol"].iloc[line - 2]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_other_files_give_the_same_data(wine_csv, tmp_path, suffix):
    path = tmp_path / f"wine.{suffix}"
    frame = pd.read_csv(wine_csv)
    frame.to_parquet(path) if suffix == "parquet" else frame.to_json(path, orient="records", lines=True)
    one, other = (create_data("table", path=p, target="target") for p in (wine_csv, path))
    assert one.spec.inputs == other.spec.inputs
    assert torch.equal(all_of(one)["row"], all_of(other)["row"])
    in_memory = from_table(frame, "target")
    assert torch.equal(all_of(one)["row"], all_of(in_memory)["row"])


def test_a_column_divides_the_rows(csv):
    data = create_data("table", path=csv("a,y,split\n1,x,train\n2,y,train\n3,x,test\n4,y,Val\n5,x,\n"), target="y")
    assert {split: list(data.dataset(split).ids) for split in ("train", "val", "test")} == {
        "train": [2, 3, 6], "val": [5], "test": [4],
    }  # fmt: skip
    assert data.source.inputs["row"]["left_out"] == {"y": "the target", "split": "the split"}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n", {"target": "z"}, "no column 'z'"),
        ("age,y\n1,2\n", {"target": "y", "leave_out": ["aeg"]}, "(?s)no column 'aeg'.*maybe  age"),
        ("a,y\n1,\n2,\n", {"target": "y"}, "'y' has no values"),
        ("a,y\n,1\n2,2\n", {"target": "y", "missing": "error"}, "(?s)'a' is missing.*line 2"),
        ("a,y\n1,1\n2,?\n", {"target": "y", "missing": "error"}, "(?s)the target is missing.*line 3"),
        ("a,y\nb,2\nc,3\n", {"target": "y"}, "(?s)no column is left as an input .*a: an identifier"),
        ("a,y\n1,x\n2,z\n", {"target": "y", "target_kind": "numbers"}, "holds no numbers"),
        ("a,y\n", {"target": "y"}, "no rows"),
        ("a,y,split\n1,x,train\n2,x,tran\n", {"target": "y"}, "(?s)unknown split 'tran'.*line 3"),
        ("a,y\n1,x\n2,x\n3,x\n4,x\n5,x\n", {"target": "y"}, "one class"),
        ("a,y,split\n1,x,\n2,y,\n3,z,test\n", {"target": "y"}, "(?s)label 'z' is not among the 2 classes.*line 4"),
        ("a,w,y\n1,1,x\n2,-1,y\n", {"target": "y", "weight": "w"}, "(?s)missing or negative.*line 3"),
        ("a,n,y\n1,p,x\n2,p,y\n", {"target": "y", "id": "n"}, "'p' is empty or stands twice"),
        ("a,a,y\n1,p,x\n2,p,y\n", {"target": "a"}, "two columns are called 'a'"),
    ],
)
def test_tables_that_cannot_be_used(csv, text, options, message):
    with pytest.raises((DataError, UnknownNameError), match=message):
        create_data("table", path=csv(text), **options)


def test_options_that_are_not_offered(csv):
    path = csv("a,y\n1,x\n2,y\n")
    for option in (
        {"target_kind": "regression"},
        {"missing": "drop"},
        {"categories": "hash"},
        {"columns": {"a": "int"}},
    ):
        with pytest.raises(ConfigError, match=next(iter(option.values())) if "columns" not in option else "int"):
            create_data("table", path=path, target="y", **option)
    with pytest.raises(ConfigError, match="is for image"):
        create_data("diabetes", mixup=0.2)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (["a", "b"] * 20, "class", ""),
        ([True, False] * 20, "class", ""),
        ([0.5, 1.0] * 20, "numbers", ""),
        ([0, 1, 2, 3] * 10, "class", "4 different whole numbers, taken as classes: data.target_kind=numbers"),
        (list(range(26)) * 10, "class", "26 different whole numbers, taken as classes"),
        (list(range(20, 60)), "numbers", "40 different whole numbers, taken as numbers to be predicted"),
        (list(range(26)) * 5 + [0] * 100, "numbers", "taken as numbers"),  # counts: as classes too unlike in size
        (pd.date_range("2026-01-01", periods=40), "numbers", "seconds since 1970"),
    ],
)
def test_the_kind_of_a_target(values, kind, said):
    source = table_source(pd.DataFrame({"x": np.sin(np.arange(len(values))), "y": values}), "y")
    assert source.targets["target"]["kind"] == kind
    assert any(said in note for note in source.notes) if said else not any("target" in note for note in source.notes)
    if kind == "class":
        assert np.unique(source.train.known("target")).tolist() == list(range(len(source.targets["target"]["classes"])))


def test_classes_are_whole_numbers_in_order_whatever_they_were_written_as(csv):
    for y in (["10", "9", "2"], [10, 9, 2], [10.0, 9.0, 2.0]):
        source = table_source(pd.DataFrame({"x": [1.5, 2.5, 0.5] * 5, "y": y * 5}), "y")
        assert source.targets["target"]["classes"] == ["2", "9", "10"]
        assert source.train.known("target")[:3].tolist() == [2, 1, 0]


def test_several_targets():
    diabetes = load_diabetes(as_frame=True, scaled=False).frame
    two = table_source(diabetes, ["target", "bmi"])
    assert two.targets == {"target": {"kind": "numbers", "names": ["target", "bmi"]}}
    np.testing.assert_array_equal(two.train.known("target"), diabetes[["target", "bmi"]])
    mixed = table_source(diabetes, ["sex", "bmi"])
    assert mixed.targets == {
        "sex": {"kind": "class", "classes": ["1", "2"]}, "bmi": {"kind": "numbers", "names": ["bmi"]},
    }  # fmt: skip
    flags = table_source(diabetes.assign(high=diabetes.bmi > 26, old=diabetes.age > 50), ["high", "old"])
    assert flags.targets == {"target": {"kind": "labels", "classes": ["high", "old"]}}
    np.testing.assert_array_equal(flags.train.known("target")[:, 1], diabetes.age > 50)


def test_rows_without_a_target_are_left_out_and_said(csv):
    with pytest.warns(UserWarning, match="'y' has no value where it says NA"):
        source = table(csv("a,y\n1,x\n2,\n3,z\n4,NA\n5,x\n"), "y")
    assert list(source.train.ids) == [2, 4, 6]
    assert "2 rows have no target and are left out" in source.notes
    half = table(csv("a,y,z\n1,x,0.5\n2,,1.5\n3,z,\n4,x,2.5\n"), ["y", "z"])
    assert half.train.known("y").tolist() == [0, -100, 1, 0]
    np.testing.assert_array_equal(half.train.known("z")[:, 0], [0.5, 1.5, np.nan, 2.5])


def test_one_hot_targets_are_classes():
    iris = load_iris()
    source = table_source(iris.data, np.eye(3)[iris.target])
    assert source.targets["target"] == {"kind": "class", "classes": ["0", "1", "2"]}
    np.testing.assert_array_equal(source.train.known("target"), iris.target)
    assert "y is one-hot: 3 classes" in source.notes
    named = table_source(iris.data, np.eye(3)[iris.target], classes=iris.target_names.tolist())
    assert named.targets["target"]["classes"] == ["setosa", "versicolor", "virginica"]
    asked = table_source(iris.data, np.eye(3)[iris.target], target_kind="numbers")
    assert asked.targets["target"] == {"kind": "numbers", "names": ["target_0", "target_1", "target_2"]}
    labels = table_source(iris.data, np.array([[1, 1], [0, 1], [0, 0]] * 50))
    assert labels.targets["target"]["kind"] == "labels"


def test_weights_units_and_ids(csv):
    path = csv(
        "patient,scan,w,a,y\n" + "".join(f"p{i // 3},s{i},{i % 4 + 1},{i % 5},{'xy'[i % 2]}\n" for i in range(60))
    )
    data = create_data("table", path=path, target="y", weight="w", unit="patient", id="scan", group_by="patient")
    assert [column["name"] for column in data.spec.input["columns"]] == ["a"]
    for split in ("train", "test"):
        batch, dataset = all_of(data, split), data.dataset(split)
        numbers = [int(name[1:]) for name in dataset.ids]
        assert batch["weight"].tolist() == [i % 4 + 1 for i in numbers]
        assert batch["weight"].dtype == torch.float32
        assert dataset.columns["unit"] == [f"p{i // 3}" for i in numbers]
    assert not set(data.dataset("train").columns["patient"]) & set(data.dataset("test").columns["patient"])


def test_arrays_are_numbers_and_all_their_columns_are_inputs():
    x = np.random.default_rng(0).normal(size=(50, 4))
    x[:, 3] = 1.0  # the same in every row
    x[:, 2] = np.arange(50)
    data = from_table(x, x[:, :2], classes=["left", "right"], scale=False, scale_targets=False)
    assert data.spec.target["names"] == ["left", "right"]
    assert [(c["type"], c["mean"]) for c in data.spec.input["columns"]] == [("number", 0.0)] * 4
    codes = from_table(x, np.arange(50) % 2, classes=["no", "yes"])
    assert codes.spec.target["classes"] == ["no", "yes"]
    for y, message in (
        (np.full(50, np.inf), "not finite"),
        (x[:40, 0], "40 values for 50 rows"),
        (np.arange(50) % 3, "outside"),
    ):
        with pytest.raises(DataError, match=message):
            from_table(x, y, classes=["no", "yes"] if message == "outside" else None)


def test_splits_of_your_own_are_read_like_the_training_rows():
    frame = pd.DataFrame({"colour": ["red", "blue"] * 10, "x": np.arange(20) % 7, "y": ["7", "5"] * 10})
    later = pd.DataFrame({"y": ["7", "7"], "x": [1, 2], "colour": ["blue", "green"]})
    data = from_table(frame, "y", test=(later, "y"))
    assert all_of(data, "test")["row"][:, :2].tolist() == [[1, 0], [0, 0]]
    assert all_of(data, "test")["target"].tolist() == [1, 1]
    with pytest.raises(DataError, match="no column 'colour'"):
        from_table(frame, "y", test=(later[["x", "y"]], "y"))
    with pytest.raises(DataError, match="label '9' is not among"):
        from_table(frame, "y", test=(later.assign(y="9"), "y"))


def test_other_rows_are_read_as_a_saved_description_has_them():
    """A file in which a column is constant, a category is new and the order is another: judged as training saw it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "colour": rng.choice(["red", "blue", "white"], 60), "x": rng.normal(size=60), "z": rng.normal(size=60),
        "y": rng.choice(["a", "b"], 60),
    })  # fmt: skip
    trained = from_table(frame, "y", val_fraction=0.0, test_fraction=0.0)
    later = frame[["z", "x", "y", "colour"]].head(20).assign(x=1.0, colour=["white", "green"] * 10)
    judged = from_table(later, "y", val_fraction=0.0, test_fraction=0.0, spec=trained.spec)
    wanted = np.array([trained.pipeline.inputs["row"].encode(row) for row in later.to_dict("records")])
    field = trained.pipeline.inputs["row"]
    np.testing.assert_array_equal(all_of(judged)["row"], field.features(wanted))
    assert judged.spec.inputs == trained.spec.inputs
    with pytest.raises(DataError, match="no column 'z'"):
        from_table(later.drop(columns="z").assign(w=later.z), "y", spec=trained.spec)


def test_raw_rows_are_what_encode_takes():
    data = from_table(load_breast_cancer(as_frame=True).frame, "target")
    split = data.dataset("test")
    for place in (0, 3):
        encoded = data.pipeline.encode(split.raw(place), targets=True)
        whole = split.samples.stacked([place])
        np.testing.assert_array_equal(encoded["row"], whole["row"][0])
        assert encoded["target"] == whole["target"][0]
    assert split.show(0).startswith("mean radius: ")


def test_categories_of_the_validation_rows_alone_are_unknown():
    """What no training row has must not get a weight of its own."""
    frame = pd.DataFrame({"c": ["a", "b"] * 10 + ["new"] * 2, "y": [0, 1] * 11, "split": ["train"] * 20 + ["test"] * 2})
    data = from_table(frame, "y")
    assert data.spec.input["columns"][0]["categories"] == ["a", "b"]
    assert all_of(data, "test")["row"].tolist() == [[0, 0], [0, 0]]
    assert data.dataset("test").raw(0)["row"] == {"c": "(of no category)"}


WORDS = "a,y\n" + "".join(f"{i}.5,{['u', 'v', 'NA', 'none', 'true'][i % 5]}\n" for i in range(60))


def test_classes_called_none_are_said_and_can_be_kept(csv):
    with pytest.warns(UserWarning, match=r"24 of 60 rows are left out: .*NA \(12\), none \(12\).*'category:NA,none'"):
        source = table(csv(WORDS), "y")
    assert "24 rows have no target and are left out" in source.notes
    assert any("NA (12), none (12): data.columns={y:'category:NA,none'}" in note for note in source.notes)
    kept = table(csv(WORDS), "y", columns={"y": "category:NA,none"})
    assert kept.targets["target"]["classes"] == ["NA", "none", "true", "u", "v"]
    np.testing.assert_array_equal(np.bincount(kept.train.known("target")), [12] * 5)


def test_a_word_that_is_a_category_is_one_in_new_rows_too(csv):
    content = "a,c,y\n" + "".join(f"{i}.5,{['u', 'v', 'NA', 'none'][i % 4]},{'pq'[i % 2]}\n" for i in range(40))
    data = DataModule(table(csv(content), "y", columns={"c": "category:none"}))
    field = data.pipeline.inputs["row"]
    assert "none" in field.columns[1]["categories"]
    encoded = [field.encode({"a": 1.0, "c": word})[1] for word in ("none", "NA", "u")]
    assert encoded[0] == field.columns[1]["categories"].index("none")
    assert np.isnan(encoded[1])


def test_few_words_are_a_note_and_no_warning(csv):
    source = table(csv(WORDS.replace("NA", "u").replace("none", "v") + "1,NA\n"), "y")
    assert any("'y' has no value where it says NA (1)" in note for note in source.notes)


def test_two_columns_of_one_name_are_said_whatever_holds_them(csv, tmp_path):
    frame = pd.DataFrame([[1.5, 2, "x"], [2.5, 3, "y"]] * 10, columns=["a", "a", "y"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    for x in (frame, str(tmp_path / "t.csv")):
        source = table_source(x, "y")
        assert any("two columns are called 'a': the second is 'a (2)'" in note for note in source.notes)
        assert [column["name"] for column in source.inputs["row"]["columns"]] == ["a", "a (2)"]


def test_the_reason_of_a_task_names_the_column(csv):
    classes = DataModule(table(csv("a,Sorte\n" + "1,x\n2,z\n" * 10), "Sorte"))
    assert create_task(classes.spec).reason == "the target 'Sorte' is of the kind class"
    numbers = DataModule(table(csv("a,Preis\n" + "1,2.5\n2,3.5\n" * 10), "Preis"))
    assert create_task(numbers.spec).reason == "the target 'Preis' is of the kind numbers"
