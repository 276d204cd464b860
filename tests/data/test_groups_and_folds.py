"""Row 88: stratified, grouped, seeded; no sample and no group in two splits; parts for cross-validation."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from scirs_neural.core.errors import DataError
from scirs_neural.data import create_data, from_arrays

SPLITS = ("train", "val", "test")


def writers(scans) -> np.ndarray:
    """Digits are in the file by writer, so neighbours are alike: blocks of 30 stand for them."""
    return np.arange(len(scans.target)) // 30


def grouped(scans, **options):
    return from_arrays(scans.images, scans.target, columns={"writer": writers(scans)}, group_by="writer", **options)


@pytest.mark.feature(88)
@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_group_is_never_split_and_no_sample_is_in_two_sets(scans, stratify, seed):
    data = grouped(scans, stratify=stratify, split_seed=seed, test_fraction=0.2, val_fraction=0.1)
    ids = {split: set(data.dataset(split).ids) for split in SPLITS}
    assert set.union(*ids.values()) == set(range(1797))
    assert sum(map(len, ids.values())) == 1797
    groups = {split: set(writers(scans)[sorted(found)].tolist()) for split, found in ids.items()}
    assert sum(map(len, groups.values())) == 60
    assert abs(len(ids["test"]) / 1797 - 0.2) < 0.03
    assert abs(len(ids["val"]) / (1797 - len(ids["test"])) - 0.1) < 0.03


@pytest.mark.feature(88)
def test_folds_are_scikit_learns_and_every_class_gives_its_share_to_within_one_sample(scans):
    whole = np.bincount(scans.target)
    found = []
    for index, (_, held) in enumerate(StratifiedKFold(5, shuffle=True, random_state=3).split(scans.data, scans.target)):
        data = create_data("digits", test_fraction=0, split_seed=3, folds=[{"index": index, "of": 5}], val_fraction=0.1)
        assert list(data.dataset("test").ids) == held.tolist()
        ids = [sample for split in SPLITS for sample in data.dataset(split).ids]
        assert sorted(ids) == list(range(1797))
        counts = np.bincount(data.dataset("test").targets, minlength=10)
        assert np.abs(counts - whole / 5).max() < 1
        found += data.dataset("test").ids
    assert sorted(found) == list(range(1797))


def test_repeats_deal_anew_and_the_outer_test_split_stays_out(scans):
    outer = set(create_data("digits").dataset("test").ids)
    first, again, other = (
        list(create_data("digits", folds=[{"index": 1, "of": 4, "repeat": repeat}]).dataset("test").ids)
        for repeat in (0, 0, 1)
    )
    assert first == again != other
    assert not outer & {*first, *other}


def test_a_fold_of_a_fold_leaves_the_outer_one_alone():
    held = set(create_data("digits", folds=[{"index": 0, "of": 5}]).dataset("test").ids)
    seen = []
    for index in range(3):
        inner = create_data("digits", folds=[{"index": 0, "of": 5}, {"index": index, "of": 3}])
        ids = [sample for split in SPLITS for sample in inner.dataset(split).ids]
        assert not held & set(ids)
        seen += inner.dataset("test").ids
    assert len(seen) == len(set(seen)) == 1438 - len(held)


@pytest.mark.parametrize(("stratify", "splitter"), [(True, StratifiedGroupKFold), (False, GroupKFold)])
def test_grouped_folds_are_scikit_learns(scans, stratify, splitter):
    parts = splitter(4, shuffle=True, random_state=0).split(scans.data, scans.target, writers(scans).astype(str))
    for index, (_, held) in enumerate(parts):
        data = grouped(scans, stratify=stratify, test_fraction=0, val_fraction=0, folds=[{"index": index, "of": 4}])
        assert list(data.dataset("test").ids) == held.tolist()


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def listed(photo_root, tmp_path):
    """24 photos in a file, four a patient."""

    def make(**more):
        rows = [
            {"path": f"{name}/{i:02d}.jpg", "label": name, "patient": f"{name[0]}{i // 4}", **more}
            for name in ("china", "flower")
            for i in range(12)
        ]
        return rows, lambda: write_csv(tmp_path / "photos.csv", rows)

    return make


@pytest.mark.feature(88)
def test_a_column_of_a_csv_file_groups(listed, photo_root):
    _, write = listed()
    data = create_data("csv", path=write(), root=photo_root, group_by="patient", test_fraction=0.3, val_fraction=0.3)
    patients = {split: set(data.dataset(split).columns["patient"]) for split in SPLITS}
    assert sum(map(len, patients.values())) == 6
    assert set.union(*patients.values()) == {"c0", "c1", "c2", "f0", "f1", "f2"}
    for split in SPLITS:  # the column stays with its samples
        held = data.dataset(split)
        assert [f"{i.split('/')[-2][0]}{int(i[-6:-4]) // 4}" for i in held.ids] == list(held.columns["patient"])


def test_a_group_in_two_given_splits_is_refused(listed, photo_root):
    rows, write = listed(split="train")
    rows[0]["split"] = "test"
    with pytest.raises(DataError, match="patient=c0 is in the splits train and test"):
        create_data("csv", path=write(), root=photo_root, group_by="patient")


def test_a_column_that_is_not_there_is_named_with_near_ones(listed, photo_root):
    _, write = listed()
    with pytest.raises(DataError, match="has no column 'patients'") as caught:
        create_data("csv", path=write(), root=photo_root, group_by="patients")
    assert caught.value.suggestions == ("patient",)
    with pytest.raises(DataError, match="data 'digits' has no column 'writer'"):
        create_data("digits", group_by="writer")


def test_what_cannot_be_divided_is_said():
    images, labels = np.zeros((12, 8, 8)), [0] * 9 + [1] * 3
    with pytest.raises(DataError, match="3 samples of the rarest class cannot be divided into 5 parts"):
        from_arrays(images, labels, test_fraction=0, folds=[{"index": 0, "of": 5}])
    with pytest.raises(DataError, match="2 groups cannot be divided into 3 parts"):
        from_arrays(
            images, labels, test_fraction=0, columns={"g": [0, 1] * 6}, group_by="g", folds=[{"index": 0, "of": 3}]
        )
    with pytest.raises(DataError, match="in 1 groups cannot give a test split"):
        from_arrays(images, labels, columns={"g": [0] * 12}, group_by="g")


def test_every_column_has_a_value_for_each_image():
    with pytest.raises(ValueError, match="'site' has 2 values for 3 images"):
        from_arrays(np.zeros((3, 8, 8)), [0, 1, 1], columns={"site": ["a", "b"]})
