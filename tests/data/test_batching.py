from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scirs_neural.data import create_data
from scirs_neural.data.batching import BatchSampler

sizes = {"n": st.integers(1, 60), "size": st.integers(1, 9), "world": st.integers(1, 4), "shuffle": st.booleans()}


@settings(max_examples=150, deadline=None)
@given(**sizes)
def test_each_sample_comes_exactly_once_over_all_ranks(n, size, world, shuffle):
    sampler = BatchSampler(n, size, shuffle=shuffle)
    ranks = [sampler.batches(rank, world) for rank in range(world)]
    assert sorted(i for batches in ranks for batch in batches for i in batch) == list(range(n))
    assert all(0 < len(batch) <= size for batches in ranks for batch in batches)
    if size > 1 and n >= world * 2:
        assert len({len(batches) for batches in ranks}) == 1 == len({*map(len, ranks), sampler._count(world)})


@settings(max_examples=150, deadline=None)
@given(**sizes)
def test_ranks_together_see_what_one_process_would(n, size, world, shuffle):
    together = BatchSampler(n, size * world, shuffle=shuffle, drop_last=True).batches()
    sampler = BatchSampler(n, size, shuffle=shuffle, drop_last=True)
    ranks = [sampler.batches(rank, world) for rank in range(world)]
    assert [sorted(chain(*step)) for step in zip(*ranks, strict=True)] == [sorted(batch) for batch in together]
    assert all(len(batch) == size for batches in ranks for batch in batches)


def test_evaluation_keeps_the_order_of_the_data():
    assert BatchSampler(7, 3).batches() == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_shuffled_epoch_does_not_end_with_a_single_sample():
    assert [len(batch) for batch in BatchSampler(65, 16, shuffle=True).batches()] == [16, 16, 16, 15, 2]
    assert [len(batch) for batch in BatchSampler(65, 16, shuffle=True, drop_last=True).batches()] == [16] * 4


def test_every_epoch_and_seed_has_an_order_of_its_own():
    orders = []
    for seed in (0, 1):
        sampler = BatchSampler(50, 8, seed=seed, shuffle=True)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            orders.append(tuple(sampler.order()))
    assert len(set(orders)) == 4
    again = BatchSampler(50, 8, shuffle=True)
    assert tuple(again.order()) == orders[0]


def test_rank_and_world_size_are_read_when_the_epoch_begins(pretend_rank):
    sampler = BatchSampler(10, 3)
    assert len(sampler) == 4
    pretend_rank(1, 2)
    assert len(sampler) == 2
    assert [key.indices for key in sampler] == [(1, 3, 5), (7, 9)]
    assert {key.rank for key in sampler} == {1}


@pytest.mark.feature(80)
def test_each_item_once_over_two_workers_and_two_ranks(photo_root, pretend_rank):
    data = create_data("image_folder", root=photo_root, image_size=16, num_workers=2, batch_size=3, transforms="none")
    for loader in (data.train_dataloader(), data.eval_dataloader("train")):
        seen = []
        for rank in range(2):
            pretend_rank(rank, 2)
            loader.set_epoch(0)
            seen += [image for batch in loader for image in batch["image"]]
        everything = [data.dataset("train")[i]["image"] for i in range(data.spec.sizes["train"])]
        assert Counter(map(fingerprint, seen)) == Counter(map(fingerprint, everything))


def test_a_sample_is_augmented_alike_wherever_it_is_made(pretend_rank):
    data = create_data("digits", image_size=16, transforms="strong", batch_size=32)
    alone = {fingerprint(image) for batch in data.train_dataloader() for image in batch["image"]}
    shared = set()
    for rank in range(2):
        pretend_rank(rank, 2)
        shared |= {fingerprint(image) for batch in data.train_dataloader() for image in batch["image"]}
    assert alone == shared


def fingerprint(image: torch.Tensor) -> bytes:
    return image.numpy().tobytes()
