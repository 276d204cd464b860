"""Masks: values and classes, pictures and masks that move together, and folders that are refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from scirs_neural.core.errors import CheckpointError, ConfigError, DataError
from scirs_neural.data import create_data
from scirs_neural.data.context import Context
from scirs_neural.data.mask.field import MaskField, read_mask
from scirs_neural.data.mask.folders import mask_folder

PHOTO = load_sample_images().images[0]


def write(root, count=8, *, size=(20, 30), binary=False, first=0, mode=None):
    """Crops of a photo whose mask is a function of their green channel."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        y, x = 40 * (number % 8), 60 * (number % 10)
        crop = PHOTO[y : y + size[0], x : x + size[1]]
        Image.fromarray(crop).save(root / "images" / f"{number}.png")
        mask = mask_of(crop)
        picture = Image.fromarray((mask > 0).astype(np.uint8) * 255 if binary else mask)
        if mode == "P":
            picture = picture.convert("P")
            picture.putdata(mask.ravel().tolist())
            picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        picture.save(root / "masks" / f"{number}.png")
    return root


def mask_of(crop):
    green = np.asarray(crop)[..., 1]
    return np.digitize(green, [90, 160]).astype(np.uint8)


def folder(root, **settings):
    return create_data("mask_folder", root=str(root), num_workers=0, batch_size=4, **settings)


def own_pixels(batch, field):
    """Pictures of a batch as bytes (N, H, W, 3)."""
    mean, std = (torch.tensor(field.spec[key]).view(3, 1, 1) for key in ("mean", "std"))
    return ((batch["image"] * std + mean) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("mode", ["L", "P"])
def test_masks_are_class_numbers_of_their_pictures(tmp_path, mode):
    data = folder(write(tmp_path, mode=mode), classes=["low", "middle", "high"])
    assert data.spec.target["values"] == [0, 1, 2]
    assert data.spec.input["size"] == [20, 30]
    batch = data.dataset("train").batch([0, 1, 2])
    assert batch["mask"].dtype == torch.uint8
    for picture, mask in zip(own_pixels(batch, data.pipeline.inputs["image"]), batch["mask"], strict=True):
        assert np.array_equal(mask_of(picture), mask.numpy())


def with_palette(path, colors):
    mask = Image.open(path)
    mask.load()
    mask.putpalette([channel for color in colors for channel in color])
    mask.save(path)


BLACK, RED, GREEN, BLUE = (0, 0, 0), (128, 0, 0), (0, 128, 0), (0, 0, 128)


@pytest.mark.parametrize("classes", [None, ["low", "middle", "high"]])
def test_a_number_that_is_another_color_in_another_mask_is_refused(tmp_path, classes):
    root = write(tmp_path, mode="P")
    with_palette(root / "masks" / "3.png", [BLACK, RED, GREEN, BLUE])  # no pixel has the fourth
    data = folder(root, classes=classes)
    assert data.spec.target["colors"] == [list(BLACK), list(RED), list(GREEN)]
    with_palette(root / "masks" / "5.png", [BLACK, GREEN, RED])
    said = r"number [12] is the color .* in .*png.*same colors in another order.*5\.png"
    with pytest.raises(DataError, match=f"(?s){said}"):
        folder(root, classes=classes, val_fraction=0, test_fraction=0)
    with pytest.raises(DataError, match=r"(?s)in training, and .*another order"):  # a mask that training did not see
        data.pipeline.targets["mask"].encode(str(root / "masks" / "5.png"))
    with_palette(root / "masks" / "5.png", [BLACK, BLUE, GREEN])
    with pytest.raises(DataError, match="palettes of masks differ") as caught:
        folder(root, classes=classes, val_fraction=0, test_fraction=0)
    assert "another order" not in str(caught.value)


@pytest.mark.parametrize("classes", [None, ["low", "high"]])
def test_masks_in_jpeg_are_refused_with_the_reason(tmp_path, classes):
    root = write(tmp_path, binary=True)
    for path in sorted((root / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    with pytest.raises(DataError, match=r"(?s)\.jpg.*JPEG is the likely reason.*PNG"):
        folder(root, classes=classes)
    assert "8 masks are JPEG or WebP" in mask_folder(root).notes[0]


def test_files_that_are_passed_over_are_said(tmp_path):
    root = write(tmp_path)
    for name in ("images/Thumbs.db", "notes.txt", "masks/more.txt", ".hidden"):
        (root / name).write_text("x")
    assert mask_folder(root).notes == ["3 files are passed over: .txt (2), .db (1)"]


def test_classes_are_found_in_the_masks_and_0_and_255_are_two(tmp_path):
    assert folder(write(tmp_path / "a")).spec.target["classes"] == ["0", "1", "2"]
    spec = folder(write(tmp_path / "b", binary=True)).spec.target
    assert (spec["classes"], spec["values"]) == (["background", "foreground"], [0, 255])
    assert folder(tmp_path / "b", classes=["sky", "rest"]).spec.target["classes"] == ["sky", "rest"]


@pytest.mark.parametrize(
    "transforms",
    [
        [{"name": "RandomHorizontalFlip", "p": 0.5}, {"name": "RandomVerticalFlip", "p": 0.5}],
        [{"name": "RandomCrop", "size": [20, 30], "padding": 4, "padding_mode": "reflect"}],
        [{"name": "RandomRotation", "degrees": [90, 90], "expand": True}, {"name": "RandomCrop", "size": [20, 20]}],
    ],
)
def test_exact_moves_move_picture_and_mask_alike(tmp_path, transforms):
    data = folder(write(tmp_path), transforms=transforms, classes=["low", "middle", "high"])
    pipeline = data._pipeline(training=True)
    split = data.dataset("train")
    columns = {
        name: [pipeline.encode(split.raw(i), targets=True)[name] for i in range(4)] for name in ("image", "mask")
    }
    seen = set()
    for epoch in range(6):
        batch = pipeline.batch(list("abcd"), columns, Context("train", seed=1, epoch=epoch), range(4))
        pixels = own_pixels(batch, data.pipeline.inputs["image"])
        if pixels.shape[1:3] == (20, 30) and transforms[0]["name"] != "RandomRotation":  # nothing was resized
            for picture, mask in zip(pixels, batch["mask"], strict=True):
                assert np.array_equal(mask_of(picture), mask.numpy())
        again = pipeline.batch(list("abcd"), columns, Context("train", seed=1, epoch=epoch), range(4))
        assert torch.equal(batch["mask"], again["mask"])
        assert torch.equal(batch["image"], again["image"])
        seen.add(batch["mask"].numpy().tobytes())
    assert len(seen) > 1


@pytest.mark.parametrize("transforms", ["standard", [{"name": "RandomAffine", "degrees": 30, "fill": 77}]])
def test_what_comes_in_from_outside_is_unknown(tmp_path, transforms):
    write(tmp_path)
    for file in (tmp_path / "masks").iterdir():
        Image.fromarray(np.tile(np.uint8([[1], [2]]), (10, 30))).save(file)
    data = folder(tmp_path, transforms=transforms, classes=["none", "odd", "even"])
    batches = [batch["mask"] for batch in data.train_dataloader()]
    assert set(torch.cat(batches).unique().tolist()) == {1, 2, 255}  # never 0: the border is no class
    assert set(data.dataset("train").batch([0])["mask"].unique().tolist()) == {1, 2}


def test_masks_are_resized_by_the_nearest_pixel(tmp_path):
    data = folder(write(tmp_path), image_size=11, classes=["low", "middle", "high"])
    batch = data.dataset("train").batch([0, 1])
    assert batch["image"].shape[-2:] == batch["mask"].shape[-2:] == (11, 11)
    assert set(batch["mask"].unique().tolist()) <= {0, 1, 2}


def test_folders_of_splits_in_both_orders(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / "a" / split, 4, first=0 if split == "train" else 4)
        write(tmp_path / "tmp" / split, 4, first=0 if split == "train" else 4)
        for kind in ("images", "masks"):
            (tmp_path / "b" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "tmp" / split / kind).rename(tmp_path / "b" / kind / split)
    for root in ("a", "b"):
        assert dict(folder(tmp_path / root, val_fraction=0.25).spec.sizes) == {"train": 3, "val": 1, "test": 4}


def lonely_picture(root):
    (root / "masks" / "3.png").unlink()


def lonely_mask(root):
    (root / "images" / "3.png").unlink()


def coloured(root):
    Image.fromarray(PHOTO[:20, :30]).save(root / "masks" / "3.png")


def another_size(root):
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(root / "masks" / "3.png")


def another_value(root):
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(root / "masks" / "3.png")


def cut_short(root):
    path = root / "masks" / "3.png"
    path.write_bytes(path.read_bytes()[:30])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lonely_picture, "no mask of the same name"),
        (lonely_mask, "no picture of the same name"),
        (coloured, "a mask of the mode RGB has several channels"),
        (another_size, "the mask has 5x5 px and its picture 20x30"),
        (another_value, "the value 9, and there are 3 classes"),
        (cut_short, "cannot be read|not an image"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, spoil, reason):
    spoil(write(tmp_path))
    settings = {"classes": ["low", "middle", "high"], "test_fraction": 0, "val_fraction": 0}
    with pytest.raises(DataError, match=reason) as caught:
        list(folder(tmp_path, **settings).train_dataloader())
    assert "3.png" in str(caught.value.where)


def test_wrong_settings_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="no folders 'images' and 'masks'"):
        mask_folder(tmp_path / "images")
    with pytest.raises(ConfigError, match="two or more different names"):
        folder(tmp_path, classes=["one", "one"])
    for setting in ("mixup", "cutmix"):
        with pytest.raises(ConfigError, match=f"data.{setting}"):
            folder(tmp_path, **{setting: 0.4})
    with pytest.raises(ConfigError, match="does not know masks"):
        folder(tmp_path, transforms=["TrivialAugmentWide"])


def test_arrays_pictures_and_files_are_one(tmp_path):
    mask = np.array([[0, 1], [255, 2]], np.uint8)
    Image.fromarray(mask).save(tmp_path / "m.png")
    field = MaskField("mask", {"kind": "mask", "version": 1, "classes": ["a", "b", "c"], "values": [0, 1, 2]})
    for value in (mask, mask.astype(np.int64), Image.fromarray(mask), str(tmp_path / "m.png")):
        assert np.array_equal(field.encode(value), mask)
    assert read_mask(np.array([[True, False]])).tolist() == [[255, 0]]
    for wrong in (mask / 2, mask[0], -mask.astype(int), np.zeros((0, 3), int)):
        with pytest.raises(DataError, match="is no mask"):
            field.encode(wrong)
    with pytest.raises(DataError, match="the value 300 is none"):
        field.encode(np.array([[300]]))
    MaskField.check(field.spec, "here")
    for spoil in ({"values": [0, 1]}, {"classes": "abc"}, {"values": [0, 1, -2]}, {"version": 2}):
        with pytest.raises(CheckpointError):
            MaskField.check({**field.spec, **spoil}, "here")


def test_a_sample_without_a_mask_is_unknown_everywhere(tmp_path):
    pipeline = folder(write(tmp_path)).pipeline
    batch = pipeline.collate([{"id": "a", "image": PHOTO[:20, :30], "mask": None}], targets=True)
    assert batch["mask"].unique().tolist() == [255]
    assert "mask" not in pipeline.collate([{"id": "a", "image": PHOTO[:20, :30]}])
    assert pipeline.example(3)["mask"].shape == (3, 20, 30)
