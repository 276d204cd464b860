import shutil

import numpy as np
import pytest
import torch

from scirs_neural.core.errors import ConfigError, DataError, UnknownNameError
from scirs_neural.data import create_data


def folder(root, **settings):
    return create_data("image_folder", root=root, **{"image_size": 32, "num_workers": 0, **settings})


def table(path, *lines, **settings):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return create_data("csv", path=path, **{"image_size": 32, "num_workers": 0, **settings})


def test_class_folders_alone_are_split(photo_root):
    data = folder(photo_root)
    assert data.spec.target["classes"] == ["china", "flower"]
    assert dict(data.spec.sizes) == {"train": 17, "val": 2, "test": 5}
    train = data.dataset("train")
    for path, target in zip(train.ids, train.targets, strict=True):
        assert f"/{data.spec.target['classes'][target]}/" in path
    batch = next(iter(data.train_dataloader()))
    images, targets = batch["image"], batch["label"]
    assert images.shape == (17, 3, 32, 32)
    assert images.dtype == torch.float32
    assert targets.dtype == torch.int64


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_split_folders_are_taken_as_they_are(name, tmp_path, make_classes):
    make_classes(tmp_path / "train", 0, 6)
    make_classes(tmp_path / name, 6, 9)
    make_classes(tmp_path / "test", 9, 12, only="china")
    data = folder(tmp_path)
    assert dict(data.spec.sizes) == {"train": 12, "val": 6, "test": 3}
    assert all(f"/{name}/" in path for path in data.dataset("val").ids)


def test_a_missing_split_is_held_out(tmp_path, make_classes):
    make_classes(tmp_path / "train", 0, 10)
    make_classes(tmp_path / "test", 10, 12)
    assert dict(folder(tmp_path).spec.sizes) == {"train": 18, "val": 2, "test": 4}


def test_inner_folders_are_searched_and_other_files_passed_over(tmp_path, make_classes):
    make_classes(tmp_path)
    (tmp_path / "china" / "more").mkdir()
    shutil.copy(tmp_path / "china" / "00.jpg", tmp_path / "china" / "more" / "A.JPG")
    (tmp_path / "china" / "notes.txt").write_text("by the river")
    (tmp_path / "china" / ".hidden.jpg").write_text("")
    (tmp_path / ".git").mkdir()
    assert sum(folder(tmp_path).spec.sizes.values()) == 25


def test_photos_get_the_usual_preprocessing(photo_root):
    pre = create_data("image_folder", root=photo_root).pipeline.inputs["image"].preprocess
    assert (pre.size, pre.resize, pre.channels) == ((224, 224), 256, 3)


def bad_missing(root, make):
    return root / "nowhere"


def bad_file(root, make):
    (root / "list.txt").write_text("")
    return root / "list.txt"


def bad_empty(root, make):
    return root


def bad_loose_images(root, make):
    make(root, 0, 2)
    for number, file in enumerate(root.rglob("*.jpg")):
        file.rename(root / f"{number}.jpg")
    for each in ("china", "flower"):
        (root / each).rmdir()
    return root


def bad_one_class(root, make):
    return make(root, only="china")


def bad_empty_class(root, make):
    (root / "empty").mkdir()
    return make(root)


def bad_new_class(root, make):
    make(root / "train", 0, 6)
    make(root / "test", 6, 9, only="china")
    (root / "test" / "china").rename(root / "test" / "chna")
    return root


def bad_two_vals(root, make):
    for name in ("train", "val", "valid"):
        make(root / name, 0, 6)
    return root


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (bad_missing, "no such folder"),
        (bad_file, "a file, not a folder"),
        (bad_empty, "an empty folder"),
        (bad_loose_images, "images, but no class folders"),
        (bad_one_class, "has one class"),
        (bad_empty_class, "class folder 'empty' has no images"),
        (bad_new_class, "'chna' is not among the training classes"),
        (bad_two_vals, "two folders for one split"),
    ],
)
def test_folders_that_cannot_be_used_say_why(spoil, reason, tmp_path, make_classes):
    with pytest.raises(DataError, match=reason) as caught:
        folder(spoil(tmp_path, make_classes))
    assert len(caught.value.render().splitlines()) <= 6
    if spoil is bad_new_class:
        assert caught.value.suggestions == ("china",)


def test_a_root_must_be_given():
    with pytest.raises(ConfigError, match="needs 'root'"):
        create_data("image_folder")


ROWS = [
    f"{name}/{number:02d}.jpg,{label}"
    for name, label in (("china", "temple"), ("flower", "plant"))
    for number in range(12)
]


def test_a_table_of_files(photo_root, tmp_path):
    data = table(tmp_path / "list.csv", "path,label", *ROWS, root=photo_root)
    assert data.spec.target["classes"] == ["plant", "temple"]
    assert data.spec.target["kind"] == "class"
    assert dict(data.spec.sizes) == {"train": 17, "val": 2, "test": 5}
    assert next(iter(data.test_dataloader()))["image"].shape == (5, 3, 32, 32)


def test_a_table_with_splits_beside_its_images(tmp_path, make_classes):
    make_classes(tmp_path)
    splits = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    rows = [f"{row},{split}" for row, split in zip(ROWS, splits * 2, strict=True)]
    data = table(tmp_path / "list.csv", "path,label,split", *rows)
    assert dict(data.spec.sizes) == {"train": 16, "val": 4, "test": 4}
    assert data.dataset("test").ids[0] == str(tmp_path / "china" / "10.jpg")


def test_several_labels_of_an_image(photo_root, tmp_path):
    rows = [f"china/{number:02d}.jpg,{'old|red' if number % 2 else 'old'}" for number in range(12)]
    data = table(tmp_path / "list.csv", "path,label", *rows, "flower/00.jpg,", root=photo_root, mixup=0.2)
    assert data.spec.target["kind"] == "labels"
    assert data.spec.target["classes"] == ["old", "red"]
    everything = np.concatenate([data.dataset(split).targets for split in ("train", "val", "test")])
    assert everything.sum(0).tolist() == [12, 6]
    assert everything.dtype == np.float32
    assert next(iter(data.test_dataloader()))["label"].shape == (3, 2)
    assert next(iter(data.train_dataloader()))["label"].shape[1] == 2


def test_numbers_are_ordered_as_numbers(photo_root, tmp_path):
    rows = [f"china/{number:02d}.jpg,{number % 3 + 8}" for number in range(12)]
    assert table(tmp_path / "list.csv", "path,label", *rows, root=photo_root).spec.target["classes"] == ["8", "9", "10"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["file,class", "a.jpg,b"], "no column 'path'"),
        (["path,label"], "no rows below the first line"),
        (["path,label", "china/00.jpg,a", "china/99.jpg,b"], r"no such file: .*china/99.jpg"),
        (["path,label", "china/00.jpg,a", "china/01.jpg,"], "a label is missing"),
        (["path,label", "china/00.jpg"], "1 values for 2 columns"),
        (["path,label,split", "china/00.jpg,a,train", "china/00.jpg,a,test"], "is in the splits train and test"),
        (["path,label,split", "china/00.jpg,a,train", "china/01.jpg,b,train", "china/02.jpg,c,val"], "label 'c'"),
        (["path,label,split", "china/00.jpg,a,test"], "no training samples"),
        (["path,label", "china/00.jpg,a", "china/01.jpg,a", "china/02.jpg,a"], "one class"),
    ],
)
def test_tables_that_cannot_be_used_say_why_and_where(lines, reason, photo_root, tmp_path):
    with pytest.raises(DataError, match=reason) as caught:
        table(tmp_path / "list.csv", *lines, root=photo_root)
    assert "one class" in reason or "list.csv" in caught.value.where


def test_a_row_is_named_by_its_line(photo_root, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split 'traim'") as caught:
        table(
            tmp_path / "list.csv", "path,label,split", "china/00.jpg,a,train", "china/01.jpg,b,traim", root=photo_root
        )
    assert caught.value.where.endswith("list.csv, line 3")
    assert caught.value.suggestions[0] == "train"


def test_a_file_that_is_no_table(tmp_path, digit_png):
    with pytest.raises(DataError, match="no table that can be read"):
        create_data("csv", path=digit_png)
    with pytest.raises(DataError, match="no such file"):
        create_data("csv", path=tmp_path / "none.csv")


def test_a_table_of_files_of_another_kind_says_what_was_inferred(photo_root, tmp_path):
    lines = ["path;label", *(row.replace(",", ";") for row in ROWS)]
    data = table(tmp_path / "list.csv", *lines, root=photo_root)
    assert data.spec.target["classes"] == ["plant", "temple"]
    assert data.source.notes == ["columns are divided by semicolons"]
