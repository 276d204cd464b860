import pickle

import numpy as np
import pytest
from PIL import Image

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.data import load_image


@pytest.fixture
def photo(tiles) -> Image.Image:
    return tiles["flower"][5]


def test_a_photo_comes_back_as_it_was_written(photo, tmp_path):
    photo.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(load_image(tmp_path / "a.png")), np.asarray(photo))
    assert load_image(tmp_path / "a.png", "L").mode == "L"


def test_the_cameras_orientation_is_applied(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    photo.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = load_image(tmp_path / "turned.jpg")
    assert upright.size == photo.size[::-1]
    expected = np.asarray(photo.transpose(Image.Transpose.ROTATE_270)).astype(float)
    assert np.abs(np.asarray(upright).astype(float) - expected).mean() < 8  # JPEG's own error


def test_transparent_parts_become_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert np.asarray(load_image(tmp_path / "clear.png")).min() == 255
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30] * 256)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert np.asarray(load_image(tmp_path / "palette.png")).min() == 255


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.abs(np.asarray(load_image(tmp_path / "deep.png", "L")).astype(int) - [[0, 100], [200, 255]]).max() <= 1


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert tuple(np.asarray(load_image(tmp_path / "moving.gif"))[0, 0]) == (255, 0, 0)


def spoil_text(path, photo):
    path.write_text("no picture at all\n" * 20)


def spoil_truncated_jpeg(path, photo):
    photo.save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_truncated_png(path, photo):
    photo.save(path, format="PNG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_empty(path, photo):
    path.write_bytes(b"")


def spoil_float(path, photo):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_text, "not an image"),
        (spoil_empty, "not an image"),
        (spoil_truncated_jpeg, "(?i)truncated"),
        (spoil_truncated_png, "cannot be read"),
        (spoil_float, "8 or 16 bits"),
        (None, "no such image file"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(spoil, reason, photo, tmp_path):
    path = tmp_path / "picture.png"
    if spoil is not None:
        spoil(path, photo)
    with pytest.raises(DataError, match=reason) as caught:
        load_image(path)
    assert caught.value.where == str(path)
    assert len(caught.value.render().splitlines()) <= 6
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("share", [1.5, 3.0], ids=["Pillow only warns", "Pillow refuses"])
def test_a_bomb_is_not_opened(share, photo, tmp_path, monkeypatch):
    photo.save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(photo.width * photo.height / share))
    with pytest.raises(DataError, match="more pixels than is safe"):
        load_image(tmp_path / "bomb.png")


def test_large_photos_of_ones_own_are_let_through(photo, tmp_path, monkeypatch):
    photo.save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with pytest.raises(DataError, match="more pixels") as caught:
        load_image(tmp_path / "large.png")
    assert "SCIRS_MAX_PIXELS" in caught.value.fix
    monkeypatch.setenv("SCIRS_MAX_PIXELS", str(photo.width * photo.height))
    assert load_image(tmp_path / "large.png").size == photo.size
    monkeypatch.setenv("SCIRS_MAX_PIXELS", "many")
    with pytest.raises(ConfigError, match="whole number"):
        load_image(tmp_path / "large.png")
