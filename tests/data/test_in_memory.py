import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset
from torchvision.datasets import ImageFolder

from scirs_neural.core.errors import DataError, ShapeError
from scirs_neural.data import from_arrays, from_datasets


def test_arrays_are_split_and_normalised(scans):
    data = from_arrays(scans.images, scans.target, batch_size=2000)
    assert data.spec.target["classes"] == list("0123456789")
    assert data.pipeline.inputs["image"].shape() == (1, 8, 8)
    assert sum(data.spec.sizes.values()) == 1797
    images = next(iter(data.train_dataloader()))["image"]
    assert abs(float(images.mean())) < 0.02
    assert abs(float(images.std()) - 1) < 0.02
    split = data.dataset("test")
    expected = torch.from_numpy(scans.images[split.ids[3]]).float()
    assert torch.allclose(split.raw(3)["image"][0], expected)
    assert int(split.targets[3]) == scans.target[split.ids[3]]


@pytest.mark.parametrize("form", ["NHW", "NCHW", "NHWC", "tensor", "list"])
def test_every_usual_layout_means_the_same(form, scans):
    x = (scans.images[:100] * 15).astype(np.uint8)
    given = {
        "NHW": x,
        "NCHW": x[:, None],
        "NHWC": np.stack([x] * 3, -1),
        "tensor": torch.from_numpy(x),
        "list": x.tolist(),
    }[form]
    data = from_arrays(given, scans.target[:100], value_range=(0, 255) if form == "list" else None)
    assert data.pipeline.inputs["image"].shape() == ((3 if form == "NHWC" else 1), 8, 8)
    split = data.dataset("train")
    picture = split.raw(5)["image"][0]
    assert torch.allclose(picture.float(), torch.from_numpy(x[split.ids[5]]).float())


def test_splits_and_names_of_ones_own(scans):
    x, names = scans.images, np.array(["even", "odd"])[scans.target % 2]
    data = from_arrays(x[:500], names[:500], val=(x[500:600], names[500:600]), test=(x[600:700], names[600:700]))
    assert data.spec.target["classes"] == ["even", "odd"]
    assert dict(data.spec.sizes) == {"train": 500, "val": 100, "test": 100}
    assert list(data.dataset("test").ids) == list(range(100))
    numbered = from_arrays(x[:500], scans.target[:500] % 2, classes=["even", "odd"])
    assert numbered.spec.target["classes"] == ["even", "odd"]


def test_rows_of_labels(scans):
    y = np.stack([scans.target % 2, scans.target > 4], 1)
    data = from_arrays(scans.images, y, classes=["odd", "high"])
    assert data.spec.target["kind"] == "labels"
    assert len(data.spec.target["classes"]) == 2
    assert next(iter(data.train_dataloader()))["label"].shape == (64, 2)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"x": np.zeros((20, 64))}, ShapeError, r"x has shape \(20, 64\)"),
        ({"x": np.zeros((20, 5, 8, 8))}, ShapeError, "x has shape"),
        ({"x": np.full((20, 8, 8), np.nan)}, DataError, "not finite"),
        ({"y": np.zeros(19)}, ShapeError, "for 20 images"),
        ({"y": np.zeros(20)}, DataError, "one class"),
        ({"y": np.linspace(0, 1, 20)}, DataError, "fractions"),
        ({"y": np.arange(20) % 3, "classes": ["a", "b"]}, DataError, "label 2 is outside 0..1"),
        ({"y": np.full((20, 2), 0.5)}, DataError, "zeros and ones"),
        ({"val": (np.zeros((2, 8, 8)), [0, 7])}, DataError, "label '7' is not among"),
    ],
)
def test_arrays_that_cannot_be_used_say_why(change, error, reason):
    usual = {"x": np.zeros((20, 8, 8)), "y": np.arange(20) % 2}
    with pytest.raises(error, match=reason):
        from_arrays(**{**usual, **change})


def test_torch_datasets_of_pictures(photo_root):
    data = from_datasets(ImageFolder(photo_root), image_size=24, batch_size=5, num_workers=0)
    assert data.spec.target["classes"] == ["china", "flower"]
    assert data.pipeline.inputs["image"].shape() == (3, 24, 24)
    assert sum(data.spec.sizes.values()) == 24
    batch = next(iter(data.test_dataloader()))
    images, targets = batch["image"], batch["label"]
    assert images.shape == (5, 3, 24, 24)
    assert targets.shape == (5,)


def test_torch_datasets_of_tensors(scans):
    pairs = TensorDataset(torch.from_numpy(scans.images).float()[:, None] / 16, torch.from_numpy(scans.target))
    data = from_datasets(pairs, test=torch.utils.data.Subset(pairs, range(50)), num_workers=0)
    assert len(data.spec.target["classes"]) == 10
    assert data.spec.sizes["test"] == 50
    assert np.array_equal(data.dataset("test").targets, scans.target[:50])


class Failing(Dataset):
    targets = [0, 1] * 10

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index == 13:
            raise OSError("the disk is gone")
        return torch.zeros(1, 4, 4), self.targets[index]


def test_a_reading_error_of_a_foreign_dataset_names_the_sample():
    data = from_datasets(Failing(), val_fraction=0, test_fraction=0.5, num_workers=0, on_corrupt="skip")
    split = next(split for split in map(data.dataset, ("train", "test")) if 13 in split.ids)
    with pytest.raises(DataError, match="the disk is gone") as caught:
        split[split.ids.index(13)]
    assert caught.value.where == "13"


def test_an_empty_dataset():
    with pytest.raises(DataError, match="empty"):
        from_datasets(torch.utils.data.Subset(Failing(), []))
