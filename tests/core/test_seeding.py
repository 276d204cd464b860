"""Seeds depend on what they are for, and on nothing else."""

from __future__ import annotations

import numpy as np

from scirs_neural.core.seeding import stream_seed


def test_equal_keys_give_equal_seeds_in_another_process_too(python):
    code = "from scirs_neural.core.seeding import stream_seed; print(stream_seed('augment', 3, 1, 99))"
    seeds = {python("-c", code, PYTHONHASHSEED=salt).stdout.strip() for salt in ("0", "1")}
    assert seeds == {str(stream_seed("augment", 3, 1, 99))}


def test_keys_that_differ_anywhere_give_other_seeds():
    keys = [
        (purpose, seed, epoch, index)
        for purpose in "ab"
        for seed in range(10)
        for epoch in range(10)
        for index in range(50)
    ]
    assert len({stream_seed(*key) for key in keys}) == len(keys)
    assert stream_seed("a", 1, 23) != stream_seed("a", 12, 3)


def test_seeds_fit_a_signed_64_bit_number_and_spread_over_it():
    seeds = np.array([stream_seed("x", index) for index in range(4096)], dtype=np.float64)
    assert seeds.min() >= 0
    assert seeds.max() < 2**63
    assert abs(seeds.mean() / 2**62 - 1) < 0.04  # of a uniform draw: 1 +- 0.009


def test_whole_numbers_count_as_what_they_are():
    assert stream_seed("x", np.int64(5), np.uint8(2)) == stream_seed("x", 5, 2)
