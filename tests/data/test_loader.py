import itertools
import os
import time
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scirs_neural.core.errors import DataError
from scirs_neural.data import create_data, from_datasets
from scirs_neural.data.module import CorruptDataWarning, DataModule
from scirs_neural.training.feeding import Feed


def digits(**settings) -> DataModule:
    """647 training samples, so that neither 64 nor 100 divides them."""
    usual = {"image_size": 8, "transforms": "standard", "mixup": 0.2, "test_fraction": 0.6}
    return create_data("digits", **{**usual, **settings})


def equal(left, right) -> bool:
    """Whether two lists of batches are the same to the bit."""

    def same(a, b) -> bool:
        return a.keys() == b.keys() and all(
            torch.equal(a[name], b[name]) if isinstance(a[name], torch.Tensor) else a[name] == b[name] for name in a
        )

    return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.feature(77)
@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4, "cutmix": 1.0}])
def test_the_same_batches_for_0_and_2_workers(mixing):
    """Over two epochs, in memory, with persistent workers."""
    epochs = {}
    for workers in (0, 2):
        loader = digits(num_workers=workers, **mixing).train_dataloader()
        epochs[workers] = [list(loader) for _ in range(2)]
    assert equal(epochs[0][0], epochs[2][0])
    assert equal(epochs[0][1], epochs[2][1])
    assert not equal(epochs[0][0], epochs[0][1])


@pytest.mark.feature(77)
@pytest.mark.parametrize("persistent", [True, False])
def test_the_same_batches_of_files_for_0_and_2_workers(photo_root, persistent):
    def epochs(workers):
        data = create_data(
            "image_folder", root=photo_root, image_size=16, transforms="strong", batch_size=5, num_workers=workers,
            persistent_workers=persistent, prefetch_factor=3,
        )  # fmt: skip
        loader = data.train_dataloader()
        return [*loader, *loader]

    assert equal(epochs(0), epochs(2))


class SlowItems(torch.utils.data.Dataset):
    """Items that take 10 ms each. Every item's beginning and end is noted in a file of its process."""

    targets = [0, 1] * 16

    def __init__(self, folder):
        self.folder = folder

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        began = time.monotonic()
        time.sleep(0.01)
        with open(self.folder / str(os.getpid()), "a") as notes:
            notes.write(f"{began} {time.monotonic()}\n")
        return Image.new("L", (8, 8), index), self.targets[index]


@pytest.mark.feature(77)
def test_workers_shorten_an_epoch_of_slow_items(tmp_path):
    def epoch(workers):
        folder = tmp_path / str(workers)
        folder.mkdir()
        data = from_datasets(SlowItems(folder), val_fraction=0, test_fraction=0, num_workers=workers, batch_size=4)
        for old in folder.iterdir():
            old.unlink()  # what measuring mean and deviation noted
        assert len(list(data.train_dataloader())) == 8
        lines = [line.split() for file in folder.iterdir() for line in file.read_text().splitlines()]
        spans = [(float(began), float(ended)) for began, ended in lines]
        assert len(spans) == 32
        whole = max(ended for _, ended in spans) - min(began for began, _ in spans)
        return whole / sum(ended - began for began, ended in spans), len(list(folder.iterdir()))

    alone, processes = epoch(0)
    assert alone >= 1.0
    assert processes == 1
    shared, processes = epoch(2)
    assert shared < 1.0
    assert processes == 2


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("batch_size", "drop_last"), [(64, False), (100, False), (100, True), (324, False)])
def test_a_pass_goes_on_where_it_stopped(workers, batch_size, drop_last):
    def fresh(workers=0):
        data = digits(batch_size=batch_size, num_workers=workers)
        data.drop_last = drop_last
        return data.train_dataloader()

    unbroken = fresh()
    expected = [*unbroken, *unbroken]
    each = len(unbroken)
    for stop in sorted({1, each, each + 1}):
        broken = fresh(workers)
        list(itertools.islice(itertools.chain(broken, broken), stop))
        resumed = fresh(workers)
        resumed.load_state_dict(broken.state_dict())
        rest = list(resumed)
        assert equal(rest, expected[stop : each * (1 + stop // each)])
        assert stop >= each or equal(list(itertools.islice(resumed, 1)), expected[each : each + 1])


def test_the_place_is_forgotten_for_another_epoch_and_kept_for_the_same():
    loader = digits().train_dataloader()
    list(itertools.islice(loader, 3))
    place = loader.state_dict()
    assert place == {"epoch": 0, "batches": 3, "samples_per_step": 64}
    for epoch, left in ((0, len(loader) - 3), (5, len(loader))):
        again = digits().train_dataloader()
        again.load_state_dict(place)
        again.sampler.set_epoch(epoch)
        assert len(list(again)) == left


def test_another_batch_size_goes_on_at_the_nearest_step_and_says_so():
    loader = digits(batch_size=64).train_dataloader()
    list(itertools.islice(loader, 3))
    larger = digits(batch_size=100).train_dataloader()
    with pytest.warns(UserWarning, match="goes on after 100 of its samples, where 192 had been seen"):
        larger.load_state_dict(loader.state_dict())
    assert len(list(larger)) == len(larger) - 1


def test_evaluation_comes_in_the_order_of_the_dataset_and_is_not_mixed():
    data = digits(batch_size=50)
    for split in ("val", "test", "train"):
        images = torch.cat([batch["image"] for batch in data.eval_dataloader(split)])
        targets = torch.cat([batch["label"] for batch in data.eval_dataloader(split)])
        samples = data.dataset(split)
        assert np.array_equal(targets, samples.targets)
        assert targets.dtype == torch.int64
        assert torch.equal(images[7], samples[7]["image"])
        assert images.dtype == torch.float32


def lightning_digits():
    return Feed(digits())


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
        self.losses = []

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.net(batch["image"]), batch["label"])
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch, _):
        self.log(
            "accuracy",
            (self.net(batch["image"]).argmax(1) == batch["label"]).float().mean(),
            batch_size=len(batch["id"]),
        )

    def predict_step(self, batch, _):
        return self.net(batch["image"])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 1e-3)


def trainer(**settings) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(**quiet, **{"enable_checkpointing": False, **settings})


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*litlogger", "ignore:.*lr_scheduler.step.*", "ignore:.*mid-epoch.*")
@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint")
@pytest.mark.parametrize("stop", [4, 11, 15], ids=["mid epoch", "epoch end", "second epoch"])
def test_lightning_resumes_bit_for_bit(stop, tmp_path):
    whole = Net()
    trainer(max_epochs=2).fit(whole, datamodule=lightning_digits())

    first, keep = (
        Net(),
        pl.callbacks.ModelCheckpoint(tmp_path, every_n_train_steps=stop, save_top_k=-1, filename="{step}"),
    )
    trainer(max_epochs=2, max_steps=stop, callbacks=[keep], enable_checkpointing=True).fit(
        first, datamodule=lightning_digits()
    )
    torch.manual_seed(99)
    rest = Net()
    trainer(max_epochs=2).fit(
        rest, datamodule=lightning_digits(), ckpt_path=tmp_path / f"step={stop}.ckpt", weights_only=True
    )

    assert first.losses + rest.losses == whole.losses
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True))


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*does not have many workers")
def test_lightning_predicts_in_the_order_of_the_dataset():
    data, net = digits(), Net().eval()
    rows = torch.cat(trainer().predict(net, dataloaders=data.test_dataloader()))
    with torch.no_grad():
        expected = torch.cat([net.net(batch["image"]) for batch in data.test_dataloader()])
    assert torch.equal(rows, expected)


@pytest.fixture
def spoilt_root(tmp_path, make_classes):
    """18 training images, two of which cannot be read, and 6 test images, one of them spoilt too."""
    make_classes(tmp_path / "train", 0, 9)
    make_classes(tmp_path / "test", 9, 12)
    (tmp_path / "train" / "china" / "03.jpg").write_text("not a picture")
    whole = (tmp_path / "train" / "flower" / "05.jpg").read_bytes()
    (tmp_path / "train" / "flower" / "05.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "test" / "china" / "01.jpg").write_bytes(b"")
    return tmp_path


def spoilt(root, **settings) -> DataModule:
    return create_data("image_folder", root=root, image_size=16, val_fraction=0, batch_size=4, **settings)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_file_stops_the_run_and_is_named(spoilt_root, workers):
    with pytest.raises(DataError, match=r"sample \d+: ") as caught:
        list(spoilt(spoilt_root, num_workers=workers).train_dataloader())
    assert caught.value.where in {str(spoilt_root / "train" / name) for name in ("china/03.jpg", "flower/05.jpg")}
    assert "on_corrupt=skip" in caught.value.fix


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_files_are_counted_and_reported_once_an_epoch(spoilt_root, workers):
    data = spoilt(spoilt_root, num_workers=workers, on_corrupt="skip")
    loader = data.train_dataloader()
    for _ in range(2):
        with pytest.warns(CorruptDataWarning, match="train: 2 of 18 samples could not be read") as said:
            sizes = [len(batch["id"]) for batch in loader]
        assert sizes == [4, 4, 4, 4, 2]  # the next good sample takes the place
        assert len(said) == 1
    with pytest.warns(CorruptDataWarning, match="test: 1 of 6"):
        targets = torch.cat([batch["label"] for batch in data.test_dataloader()])
    gone = str(spoilt_root / "test" / "china" / "01.jpg")
    kept = [name != gone for name in data.dataset("test").ids]
    assert np.array_equal(targets, data.dataset("test").targets[kept])  # left out, the order kept
    assert data.corrupt_count == {"train": 2, "val": 0, "test": 1}
    assert data.skipped["test"] == {gone: "not an image, or of a kind that is not read here"}


def test_a_pass_that_is_broken_off_reports_too(spoilt_root):
    data = spoilt(spoilt_root, num_workers=0, on_corrupt="skip")
    loader = data.eval_dataloader("train")
    batches = iter(loader)
    next(batches)
    with pytest.warns(CorruptDataWarning, match="1 of 18"):
        data.report()  # while it stands
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.report()
    with pytest.warns(CorruptDataWarning, match="1 of 18"):
        next(iter(data.eval_dataloader("train")))  # and is let go


def test_a_loader_that_is_dropped_takes_its_workers_along():
    """Held in a cycle, it would be collected after its queues, and each worker waited for in vain."""
    loader = digits(num_workers=2).train_dataloader()
    next(iter(loader))
    workers = loader._iterator._workers
    assert len(workers) == 2
    del loader
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path, make_classes):
    make_classes(tmp_path)
    for file in tmp_path.rglob("*.jpg"):
        file.write_text("spoilt")
    data = create_data("image_folder", root=tmp_path, image_size=16, on_corrupt="skip", num_workers=0)
    with pytest.raises(DataError, match=r"none of the .* samples can be read"):
        list(data.train_dataloader())
    with pytest.warns(CorruptDataWarning):
        assert list(data.test_dataloader()) == []
