import gzip
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from scirs_neural.core.errors import OfflineError
from scirs_neural.data import DATA, create_data

NAMES = [name for name in DATA if "torchvision_sets" in str(DATA.entry(name).target)]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("tried the network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_named_and_nothing_is_fetched(name, tmp_path):
    with pytest.raises(OfflineError) as caught:
        create_data(name, root=tmp_path)
    error = caught.value
    assert f"data '{name}' is not there" in error.what
    assert str(tmp_path) in error.where
    assert "it needs " in error.what
    assert "data.root=" in error.fix
    assert len(error.render().splitlines()) <= 6


def test_the_usual_root_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIRS_CACHE", str(tmp_path))
    with pytest.raises(OfflineError, match="cifar-10-batches-py") as caught:
        create_data("cifar10")
    assert str(tmp_path / "datasets") in caught.value.where


def test_a_pickle_with_another_checksum_is_not_opened(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    bomb = tmp_path / "went off"
    code = b"cos\nsystem\n(S'touch \"" + str(bomb).encode() + b"\"'\ntR."
    for name in (
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
        "batches.meta",
    ):
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(code)
    with pytest.raises(OfflineError, match="or damaged"):
        create_data("cifar10", root=tmp_path)
    assert not bomb.exists()


def write_idx(path, array):
    codes = {1: 0x0801, 3: 0x0803}
    head = struct.pack(">I", codes[array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_root(tmp_path, scans):
    """Real digits in MNIST's format: 300 to learn from, 100 to test on."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.rint(np.kron(scans.images, np.ones((1, 3, 3)))[:400] * 255 / 16)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    for prefix, rows in (("train", slice(300)), ("t10k", slice(300, 400))):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images[rows])
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", scans.target[rows])
        for file in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            gzip.open(raw / f"{prefix}-{file}.gz", "wb").close()
    return tmp_path


def test_mnist_from_a_local_root(mnist_root, scans):
    data = create_data("mnist", root=mnist_root)
    assert dict(data.spec.sizes) == {"train": 270, "val": 30, "test": 100}
    assert data.pipeline.inputs["image"].shape() == (1, 28, 28)
    assert data.spec.target["classes"] == list("0123456789")
    assert data.num_workers == 0
    assert np.array_equal(data.dataset("test").targets, scans.target[300:400])
    assert torch.equal(
        data.dataset("test").raw(0)["image"][0, 2:26:3, 2:26:3], torch.from_numpy(np.rint(scans.images[300] * 255 / 16))
    )


def test_eurosat_from_a_local_root(tmp_path, make_classes):
    make_classes(tmp_path / "eurosat" / "2750")
    data = create_data("eurosat", root=tmp_path, num_workers=0)
    assert data.spec.target["classes"] == ["china", "flower"]
    assert data.pipeline.inputs["image"].shape() == (3, 64, 64)
    assert data.source.inputs["image"]["augment"] == "standard"
    assert data.dataset("train").ids[0].endswith("00.jpg") or "/china/" in data.dataset("train").ids[0]
    assert next(iter(data.train_dataloader()))["image"].shape == (17, 3, 64, 64)


def test_usps_is_taken_into_memory(tmp_path, scans):
    import bz2

    for name, rows in (("usps.bz2", slice(200)), ("usps.t.bz2", slice(200, 260))):
        lines = []
        for image, label in zip(scans.images[rows], scans.target[rows], strict=True):
            values = np.kron(image, np.ones((2, 2))).reshape(-1) / 8 - 1
            lines.append(f"{label + 1} " + " ".join(f"{i + 1}:{v}" for i, v in enumerate(values)))
        (tmp_path / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    data = create_data("usps", root=tmp_path)
    assert data.spec.sizes["test"] == 60
    assert data.pipeline.inputs["image"].shape() == (1, 16, 16)
    assert np.array_equal(data.dataset("test").targets, scans.target[200:260])


def test_a_set_of_files_is_read_when_needed(tmp_path, tiles):
    for split in ("train", "valid", "test"):
        for label, (name, pictures) in enumerate(tiles.items()):
            folder = tmp_path / "country211" / split / name
            folder.mkdir(parents=True)
            for number, picture in enumerate(pictures[: 2 + label]):
                picture.save(folder / f"{number}.png")
    data = create_data("country211", root=tmp_path, image_size=32, num_workers=0)
    assert dict(data.spec.sizes) == {"train": 5, "val": 5, "test": 5}
    assert data.dataset("val").ids[0] == str(tmp_path / "country211" / "valid" / "china" / "0.png")
    assert np.array_equal(data.dataset("val").show(0), Image.open(data.dataset("val").ids[0]))
