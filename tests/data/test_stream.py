"""Row 80: streams are shuffled, divided, shared and gone on with like any other data."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from scirs_neural.core.errors import ConfigError, DataError, StorageError
from scirs_neural.data import from_datasets
from scirs_neural.data.batching import BatchSampler
from tests.data.test_batching import fingerprint

SCANS = load_digits()
IMAGES, TARGETS = torch.from_numpy((SCANS.images * 15.9).astype(np.uint8))[:500], SCANS.target[:500]


class Stream(IterableDataset):
    passes = 0

    def __iter__(self):
        type(self).passes += 1
        yield from zip(IMAGES, TARGETS, strict=True)


class Indexed(Dataset):
    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return IMAGES[index], TARGETS[index]


def streamed(train=None, **settings):
    return from_datasets(train or Stream(), **{"shuffle_window": 64, "num_workers": 0, "batch_size": 32, **settings})


def test_a_stream_is_split_and_measured_like_the_same_samples_by_index():
    one, other = streamed(), from_datasets(Indexed(), num_workers=0)
    assert one.spec.sizes == other.spec.sizes
    assert one.spec.inputs == other.spec.inputs
    assert one.spec.target["classes"] == other.spec.target["classes"]
    for split in ("train", "val", "test"):
        assert list(one.dataset(split).ids) == list(other.dataset(split).ids)
        images, others = (list(itertools.chain(*first_of(data.eval_dataloader(split)))) for data in (one, other))
        assert torch.equal(torch.stack(images), torch.stack(others))


def first_of(loader):
    return [batch["image"] for batch in loader]


@pytest.mark.feature(80)
def test_each_item_of_a_stream_once_over_two_workers_and_two_ranks(pretend_rank):
    data = streamed(num_workers=2, batch_size=7)
    expected = Counter(map(fingerprint, itertools.chain(*first_of(data.eval_dataloader("train")))))
    assert expected.total() == data.spec.sizes["train"]
    loader, seen = data.train_dataloader(), []
    for rank in range(2):
        pretend_rank(rank, 2)
        loader.set_epoch(3)
        seen += [fingerprint(image) for batch in loader for image in batch["image"]]
    assert Counter(seen) == expected
    assert seen[: len(seen) // 2] != list(expected)[: len(seen) // 2]


@pytest.mark.feature(80)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_over_a_stream_goes_on_where_it_stopped(workers):
    unbroken = streamed().train_dataloader()
    expected = [*unbroken, *unbroken]
    each = len(unbroken)
    for stop in (1, 5, each, each + 4):
        broken = streamed(num_workers=workers).train_dataloader()
        list(itertools.islice(itertools.chain(broken, broken), stop))
        resumed = streamed(num_workers=workers).train_dataloader()
        resumed.load_state_dict(broken.state_dict())
        rest = [*resumed]
        for batch, other in zip(rest, expected[stop : each * (1 + stop // each)], strict=True):
            assert batch["id"] == other["id"]
            assert torch.equal(batch["image"], other["image"])
            assert torch.equal(batch["label"], other["label"])


def test_samples_are_shuffled_within_windows_only_and_so_one_pass_reads_an_epoch():
    order = BatchSampler(500, 32, shuffle=True, window=64).order()
    for start in range(0, 500, 64):
        assert sorted(order[start : start + 64]) == list(range(start, min(start + 64, 500)))
        assert order[start : start + 64] != sorted(order[start : start + 64])
    loader = streamed().train_dataloader()
    list(loader)
    before = Stream.passes
    list(loader)
    assert Stream.passes - before == 1


def test_a_window_that_turns_out_too_narrow_grows():
    data = streamed(shuffle_window=8, val_fraction=0, test_fraction=0.9)
    loader = data.train_dataloader()
    for _ in range(4):
        list(loader)
    before = Stream.passes
    list(loader)
    assert Stream.passes - before == 1


class Short(IterableDataset):
    """Divides itself among workers, as torch's documentation shows for other loaders."""

    def __iter__(self):
        info = get_worker_info()
        step, start = (1, 0) if info is None else (info.num_workers, info.id)
        return itertools.islice(zip(IMAGES, TARGETS, strict=True), start, None, step)


class Changing(IterableDataset):
    def __iter__(self):
        order = torch.randperm(500)
        return zip(IMAGES[order], TARGETS[order], strict=True)


class Broken(IterableDataset):
    passes = 0

    def __iter__(self):
        self.passes += 1
        for number, item in enumerate(zip(IMAGES, TARGETS, strict=True)):
            if number == 200 and self.passes > 2:
                raise OSError("the archive is torn")
            yield item


@pytest.mark.parametrize(
    ("stream", "settings", "error", "said"),
    [
        (Short, {"num_workers": 2}, StorageError, "gave another target for sample|ended after"),
        (Changing, {}, StorageError, "gave another target for sample"),
        (Broken, {"on_corrupt": "skip"}, StorageError, "sample 200: the archive is torn"),
    ],
)
def test_a_stream_that_cannot_be_gone_through_again_is_an_error(stream, settings, error, said):
    def go_through_it_twice():
        data = streamed(stream(), **settings)
        list(itertools.chain(data.train_dataloader(), data.train_dataloader()))

    with pytest.raises(error, match=said):
        go_through_it_twice()


class Unlike(IterableDataset):
    """Gives some items, whatever they are."""

    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


IMAGE = torch.zeros(8, 8)


@pytest.mark.parametrize(
    ("stream", "settings", "error", "said"),
    [
        (Stream(), {"stream_length": 501}, DataError, "ended after 500 samples"),
        (Unlike(), {}, DataError, "ended after 0 samples"),
        (Unlike({"image": IMAGE, "label": 1}), {}, DataError, "sample 0 of the stream is a dict"),
        (Unlike((IMAGE, 0), (IMAGE, 0.5)), {}, DataError, "fractions"),
        (Unlike((IMAGE, "cat")), {}, DataError, "class numbers"),
        (Stream(), {"shuffle_window": 0}, ConfigError, "at least 1"),
        (Stream(), {"stream_length": -1}, ConfigError, "at least 1"),
        (Indexed(), {"stream_length": 100}, ConfigError, "for iterable datasets"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said_at_once(stream, settings, error, said):
    with pytest.raises(error, match=said):
        streamed(stream, **settings)
