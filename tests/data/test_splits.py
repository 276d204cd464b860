import numpy as np
import pytest
import torch

from scirs_neural.core.errors import DataError
from scirs_neural.data import create_data
from scirs_neural.data.splits import hold_out


def ids_of(data):
    return {split: set(data.dataset(split).ids) for split in ("train", "val", "test")}


def test_every_sample_is_in_exactly_one_split():
    splits = ids_of(create_data("digits"))
    assert sum(len(ids) for ids in splits.values()) == 1797
    assert set.union(*splits.values()) == set(range(1797))


def test_every_class_gives_its_share_to_within_one_sample(scans):
    data = create_data("digits", test_fraction=0.25, val_fraction=0.1)
    whole = np.bincount(scans.target)
    for split in ("train", "val", "test"):
        share = data.spec.sizes[split] / 1797
        counts = np.bincount(data.dataset(split).targets, minlength=10)
        assert np.abs(counts - whole * share).max() <= 1.5  # two draws, each to within one


def test_targets_follow_their_samples(scans):
    split = create_data("digits").dataset("test")
    assert np.array_equal(split.targets, scans.target[list(split.ids)])


def test_the_split_depends_on_its_own_seed_alone():
    first, other_run, other_split = (
        ids_of(create_data("digits", **seeds)) for seeds in ({}, {"seed": 7}, {"split_seed": 7})
    )
    assert first == other_run
    assert first["test"] != other_split["test"]


def test_file_order_is_mixed(scans):
    ids = create_data("digits").dataset("test").ids
    assert 0.4 < np.mean(ids) / 1797 < 0.6  # the file is ordered by writer: not its end alone


def test_fractions_of_zero_leave_no_split():
    data = create_data("digits", val_fraction=0, test_fraction=0)
    assert dict(data.spec.sizes) == {"train": 1797, "val": 0, "test": 0}
    assert data.val_dataloader() == []
    assert data.test_dataloader() == []
    with pytest.raises(DataError, match="no val split"):
        data.dataset("val")


def test_small_shares_hold_at_least_one_sample_of_each_class():
    targets = np.tile(np.arange(5), 4)
    kept, held = hold_out(np.arange(20), targets, 0.05, 0, "val")
    assert sorted(targets[held].tolist()) == [0, 1, 2, 3, 4]
    assert sorted([*kept, *held]) == list(range(20))


def test_several_labels_a_sample_are_split_at_random():
    kept, held = hold_out(np.arange(40), torch.zeros(40, 3), 0.25, 0, "test")
    assert len(held) == 10
    assert not set(kept) & set(held)


def test_a_class_of_one_sample_cannot_be_split():
    with pytest.raises(DataError, match="too few") as caught:
        hold_out(np.arange(9), torch.tensor([0] * 8 + [1]), 0.2, 0, "test")
    assert "test_fraction=0" in caught.value.fix
