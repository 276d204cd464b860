import pickle

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms._presets import ImageClassification

from scirs_neural.core.errors import ShapeError
from scirs_neural.data import Preprocess, Preprocessor, create_data, load_image
from scirs_neural.data.image.spec import IMAGENET_MEAN, IMAGENET_STD

GREY = Preprocess(1, (32, 32), None, "bilinear", (0.3,), (0.2,))
PHOTO = Preprocess(3, (48, 48), 55, "bilinear", IMAGENET_MEAN, IMAGENET_STD)


def test_equals_torchvisions_own_preset_for_photos(tiles):
    reference = ImageClassification(crop_size=48, resize_size=55)
    for picture in tiles["china"][:3]:
        theirs, ours = reference(picture), Preprocessor(PHOTO)(picture)
        assert ours.shape == (3, 48, 48)
        # they scale the PIL picture, we the tensor: at most one of 255 levels apart
        assert (theirs - ours).abs().max() <= 1.01 / 255 / min(IMAGENET_STD)


def test_a_file_and_its_tensor_give_the_same_input(tiles):
    picture = tiles["flower"][3]
    to_input = Preprocessor(PHOTO)
    assert torch.equal(to_input(picture), to_input(v2.functional.pil_to_tensor(picture)))


def test_a_digit_predicted_from_a_file_is_the_digit_of_the_dataset(digit_png):
    data = create_data("digits")
    samples = data.dataset("train"), data.dataset("val"), data.dataset("test")
    place = {source: (split, i) for split in samples for i, source in enumerate(split.ids)}
    split, index = place[0]
    from_file = data.pipeline.inputs["image"].to_input(load_image(digit_png, "L"))
    assert torch.equal(from_file, split[index]["image"])


def test_channels_are_converted_and_batches_taken():
    grey, colour = torch.full((5, 1, 8, 8), 100, dtype=torch.uint8), torch.full((3, 8, 8), 100, dtype=torch.uint8)
    assert Preprocessor(PHOTO)(grey).shape == (5, 3, 48, 48)
    assert torch.allclose(Preprocessor(GREY)(colour), torch.full((1, 32, 32), (100 / 255 - 0.3) / 0.2), atol=0.02)


def test_floats_are_taken_as_zero_to_one():
    assert torch.allclose(Preprocessor(GREY)(torch.full((1, 8, 8), 0.5)), torch.full((1, 32, 32), 1.0))


def test_other_shapes_are_refused():
    for shape in ((8, 8), (2, 8, 8)):
        with pytest.raises(ShapeError, match="expected an image of shape"):
            Preprocessor(GREY)(torch.zeros(shape))


def test_survives_pickling(tiles):
    picture = tiles["china"][0]
    again = pickle.loads(pickle.dumps(Preprocessor(PHOTO)))
    assert torch.equal(again(picture), Preprocessor(PHOTO)(picture))


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_the_training_split_has_mean_zero_and_deviation_one(name):
    data = create_data(name)
    split = data.dataset("train")
    inputs = split.batch(range(len(split)))["image"]
    assert abs(float(inputs.mean())) < 0.01
    assert abs(float(inputs.std()) - 1) < 0.01
    assert np.allclose(data.spec.input["mean"], {"digits": 0.306, "mnist5k": 0.13}[name], atol=0.01)
