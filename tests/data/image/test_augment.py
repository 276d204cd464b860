import numpy as np
import pytest
import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.data import Preprocess, build_augment, create_data, from_arrays
from scirs_neural.data.image.affine import SmallAffine
from scirs_neural.data.image.augment import KINDS, PRESETS, TRANSFORMS, seeded

PRE = Preprocess(3, (48, 48), 55, "bilinear", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def flower(tiles):
    return v2.functional.pil_to_tensor(tiles["flower"][5])


@pytest.mark.parametrize("shape", [(64, 1, 8, 8), (16, 3, 20, 12)])
def test_a_batch_is_moved_as_torchvision_moves_each_image(shape):
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    affine = SmallAffine(25, 0.2, 0.3, 20)
    moves = [affine.make_params([image]) for image in images]
    bilinear = InterpolationMode.BILINEAR
    reference = [v2.functional.affine(x, **move, interpolation=bilinear) for x, move in zip(images, moves, strict=True)]
    assert (affine.many(images, moves).int() - torch.stack(reference).int()).abs().max() <= 1  # of 255 levels
    as_floats = affine.many(images / 255, moves)
    assert (as_floats - torch.stack(reference) / 255).abs().max() < 0.01


def test_none_is_none():
    assert build_augment("none", "photo", PRE) is None
    assert build_augment([]) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", PRESETS[1:])
def test_every_preset_changes_a_picture_and_keeps_its_type(kind, preset, flower):
    augment = build_augment(preset, kind, PRE)
    picture = v2.functional.resize(flower, [48, 48])
    with seeded() as reseed:
        reseed(3)
        changed = [augment(picture) for _ in range(6)]
    assert all(each.dtype == torch.uint8 and each.shape == (3, 48, 48) for each in changed)
    assert any(not torch.equal(each, picture) for each in changed)


@pytest.mark.parametrize(("kind", "flips"), [("glyph", False), ("sign", False), ("thumbnail", True), ("photo", True)])
def test_photos_are_flipped_and_digits_are_not(kind, flips):
    for preset in PRESETS[1:]:
        names = repr(build_augment(preset, kind, PRE))
        assert ("RandomHorizontalFlip" in names) == flips
        assert "RandomVerticalFlip" not in names


def test_auto_is_what_suits_the_data(photo_root):
    assert create_data("digits").source.inputs["image"]["augment"] == "light"
    assert create_data("image_folder", root=photo_root).source.inputs["image"]["augment"] == "standard"


@pytest.mark.feature(79)
def test_boxes_and_masks_follow_a_flip_exactly(flower):
    height, width = flower.shape[-2:]
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[10:30, 5:25] = 1
    boxes = torch.tensor([[5, 10, 25, 30], [0, 0, 7, 9]])
    flip = build_augment([{"name": "RandomHorizontalFlip", "p": 1.0}])
    sample = {
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width)),
        "masks": tv_tensors.Mask(mask),
    }
    picture, moved = flip(tv_tensors.Image(flower), sample)
    assert torch.equal(picture, flower.flip(-1))
    assert torch.equal(moved["masks"], mask.flip(-1))
    left, top, right, bottom = boxes.unbind(1)
    assert torch.equal(moved["boxes"], torch.stack([width - right, top, width - left, bottom], 1))
    rows, columns = moved["masks"].nonzero().unbind(1)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == moved["boxes"][0].tolist()


@pytest.mark.feature(79)
@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_labels_sum_to_one(mixing):
    plain = create_data("digits", image_size=8, transforms="none")
    mixed = create_data("digits", image_size=8, transforms="none", **mixing)
    for batch in mixed.train_dataloader():
        images, targets = batch["image"], batch["label"]
        assert targets.dtype == torch.float32
        assert targets.shape == (len(images), 10)
        torch.testing.assert_close(targets.sum(1), torch.ones(len(images)))
    batch = next(iter(mixed.train_dataloader()))
    images, targets = batch["image"], batch["label"]
    other = next(iter(plain.train_dataloader()))
    before, labels = other["image"], other["label"]
    if mixing.keys() == {"mixup"}:  # the share of each label is the share of its picture
        other = before.roll(1, 0)
        same = labels == labels.roll(1, 0)
        share = targets[torch.arange(64), labels][~same][0]
        torch.testing.assert_close(images, before * share + other * (1 - share), atol=1e-5, rtol=1e-5)
    assert next(iter(mixed.val_dataloader()))["label"].dtype == torch.int64


def test_mixing_rows_of_several_labels_keeps_their_shape():
    x, y = torch.rand(6, 8, 8).numpy(), torch.eye(3).repeat(20, 1)[:6].numpy()
    batch = next(iter(from_arrays(np.tile(x, (10, 1, 1)), np.tile(y, (10, 1)), mixup=0.4).train_dataloader()))
    assert batch["label"].shape[1] == 3
    assert batch["label"].sum() == pytest.approx(len(batch["id"]), rel=1e-5)


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ConfigError, match=r"data\.mixup is for image fields, and 'diabetes' has row \(table\)"):
        create_data("diabetes", mixup=0.4)


def accuracy_after_200(transforms, seed, scans):
    """Test accuracy of a small CNN after 200 digits."""
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0)).numpy()
    few, rest = order[:200], order[200:]
    data = from_arrays(
        scans.images[few],
        scans.target[few],
        test=(scans.images[rest], scans.target[rest]),
        val_fraction=0,
        image_size=16,
        transforms=transforms,
        batch_size=50,
        seed=seed,
    )
    torch.manual_seed(seed)
    blocks = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*blocks, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10))
    optimizer, loader = torch.optim.Adam(net.parameters(), 5e-3), data.train_dataloader()
    for _ in range(30):
        for batch in loader:
            images, targets = batch["image"], batch["label"]
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), targets).backward()
            optimizer.step()
    with torch.no_grad():
        hits = sum(int((net(b["image"]).argmax(1) == b["label"]).sum()) for b in data.test_dataloader())
    return hits / len(rest)


@pytest.mark.feature(79)
def test_small_shifts_raise_the_accuracy_after_200_digits(scans):
    shifts = [{"name": "RandomAffine", "degrees": 0, "translate": [0.07, 0.07], "interpolation": "bilinear"}]
    plain = [accuracy_after_200("none", seed, scans) for seed in (0, 1)]
    shifted = [accuracy_after_200(shifts, seed, scans) for seed in (0, 1)]
    assert sum(shifted) / 2 > sum(plain) / 2 + 0.005


def test_a_list_may_hold_names_and_containers(flower):
    steps = [
        "RandomHorizontalFlip",
        {"name": "RandomApply", "p": 1.0, "transforms": [{"name": "RandomCrop", "size": 20}]},
    ]
    augment = build_augment(steps)
    assert augment.crops
    assert augment(flower).shape == (3, 20, 20)


def test_a_crop_in_a_list_works_on_the_whole_picture(photo_root):
    steps = [{"name": "RandomCrop", "size": 24}]
    data = create_data("image_folder", root=photo_root, image_size=24, transforms=steps, batch_size=4, num_workers=0)
    assert next(iter(data.train_dataloader()))["image"].shape == (4, 3, 24, 24)


def test_every_name_in_the_table_is_torchvisions():
    assert all(issubclass(getattr(v2, name), v2.Transform) for name in TRANSFORMS)


def test_wrong_names_and_arguments_are_said_when_the_data_is_made():
    with pytest.raises(UnknownNameError) as caught:
        create_data("digits", transforms="strog")
    assert caught.value.suggestions[0] == "strong"
    with pytest.raises(UnknownNameError) as caught:
        create_data("digits", transforms=[{"name": "RandomHorizontalFlp"}])
    assert caught.value.suggestions[0] == "RandomHorizontalFlip"
    with pytest.raises(UnknownNameError, match="without a name"):
        build_augment([{"p": 0.5}])
    with pytest.raises(UnknownNameError, match="Lambda"):  # runs code: not in the table
        build_augment([{"name": "Lambda"}])
    with pytest.raises(ConfigError, match="RandomAffine"):
        build_augment([{"name": "RandomAffine", "degree": 3}])


def test_the_global_stream_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    list(create_data("digits", image_size=8, mixup=0.2).train_dataloader())
    assert torch.equal(torch.rand(3), expected)
