"""Every bit of a package counts: flipped ones are found, and a zip of given members has one form."""

from __future__ import annotations

import json
import random
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, ScirsError
from scirs_neural.serialization.zip_form import Piece, frame
from tests.serialization.rewriting import members, rewrite


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def find_flips(small: Path, scratch: Path, count: int, seed: int) -> tuple[int, int]:
    """Flips tried and found: half of them in the zip, half in the folder's files, by their share of the bits."""
    rng, found = random.Random(seed), 0
    whole = (small / "net.zip").read_bytes()
    shutil.copytree(small / "net", scratch / "net")
    files = members(scratch / "net")
    for turn in range(count):
        if turn % 2:
            target, original = scratch / "net.zip", whole
        else:
            name = rng.choices(list(files), [len(content) for content in files.values()])[0]
            target, original = scratch / "net" / name, files[name]
        target.write_bytes(flipped(original, rng.randrange(8 * len(original))))
        try:
            sn.verify_package(scratch / ("net.zip" if turn % 2 else "net"))
        except ScirsError:
            found += 1
        target.write_bytes(original)
    return count, found


def test_flipped_bits_are_found(small: Path, tmp_path: Path) -> None:
    sn.verify_package(small / "net.zip")
    sn.verify_package(small / "net")
    tried, found = find_flips(small, tmp_path, 300, seed=1)
    assert found == tried


def test_loading_finds_flipped_bits_of_everything_that_it_uses(small: Path, tmp_path: Path) -> None:
    """By checksum, without SHA-256 of the weights; files that it does not use are held to theirs when they are read."""
    shutil.copytree(small / "net", tmp_path / "net")
    rng = random.Random(3)
    for name, content in members(small / "net").items():
        for _ in range(20):
            (tmp_path / "net" / name).write_bytes(flipped(content, rng.randrange(8 * len(content))))
            with pytest.raises(ScirsError):
                sn.load_package(tmp_path / "net").read(name)
        (tmp_path / "net" / name).write_bytes(content)
    sn.load_package(tmp_path / "net")


def test_packages_without_a_checksum_of_the_weights_are_held_to_their_hash(small: Path, tmp_path: Path) -> None:
    """As those are that were written before 0.1.0; the golden ones are among them."""
    old = rewrite(small / "net", tmp_path / "old", lambda held: None)
    assert sn.load_package(old).manifest.members["weights.safetensors"].crc32 is None
    content = (old / "weights.safetensors").read_bytes()
    (old / "weights.safetensors").write_bytes(flipped(content, 8 * len(content) - 1))
    with pytest.raises(CheckpointError, match=r"weights.safetensors is damaged"):
        sn.load_package(old)


def test_the_checksum_is_zlibs_and_the_weights_are_aligned(small: Path) -> None:
    manifest = json.loads((small / "net" / "manifest.json").read_bytes())
    held = members(small / "net")
    for name, facts in manifest["members"].items():
        assert facts["crc32"] == f"{zlib.crc32(held[name]):08x}"
    assert (8 + int.from_bytes(held["weights.safetensors"][:8], "little")) % 64 == 0


def test_every_bit_of_what_a_zip_adds_counts(small: Path, tmp_path: Path) -> None:
    whole = (small / "net.zip").read_bytes()
    inside = set()
    with zipfile.ZipFile(small / "net.zip") as archive:
        for info in archive.infolist():
            start = info.header_offset + 30 + sum(struct.unpack_from("<HH", whole, info.header_offset + 26))
            inside |= set(range(start, start + info.file_size))
    frame_bytes = [place for place in range(len(whole)) if place not in inside]
    for place in frame_bytes[:: max(1, len(frame_bytes) // 200)]:
        (tmp_path / "net.zip").write_bytes(flipped(whole, 8 * place + place % 8))
        with pytest.raises(ScirsError):
            sn.verify_package(tmp_path / "net.zip")


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_found(small: Path, tmp_path: Path) -> None:
    tried, found = find_flips(small, tmp_path, 10_000, seed=2)
    assert found == tried == 10_000


def test_a_zip_has_one_form_and_other_tools_read_it(small: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(small / "net.zip") as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
        held = {info.filename: archive.read(info) for info in infos}
    assert held.keys() == members(small / "net").keys()
    assert infos[0].filename == "manifest.json"
    assert all(info.compress_type == zipfile.ZIP_STORED for info in infos)
    whole = (small / "net.zip").read_bytes()
    for info in infos:
        start = info.header_offset + 30 + sum(struct.unpack_from("<HH", whole, info.header_offset + 26))
        assert start % 64 == 0
        assert whole[start : start + info.file_size] == held[info.filename]
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:  # as another tool would write it
        for name, content in held.items():
            archive.writestr(name, content)
    assert sn.load_package(tmp_path / "other.zip").answer == {"threshold": 0.5}
    with pytest.raises(CheckpointError, match="another tool wrote the zip"):
        sn.verify_package(tmp_path / "other.zip")


def test_zips_of_many_gigabytes_have_a_form_too(tmp_path: Path) -> None:
    big = 5 << 30
    pieces = [Piece("manifest.json", 3, zlib.crc32(b"abc")), Piece("weights.safetensors", big, 0), Piece("x", 1, 7)]
    with open(tmp_path / "big.zip", "wb") as file:  # a hole: it takes no room
        for place, content in frame(pieces):
            file.seek(place)
            file.write(content)
    with zipfile.ZipFile(tmp_path / "big.zip") as archive:
        assert [(i.filename, i.file_size, i.CRC) for i in archive.infolist()] == [
            (p.name, p.size, p.crc) for p in pieces
        ]
        assert archive.infolist()[2].header_offset > big
        with archive.open("weights.safetensors") as member:
            assert member.read(4) == bytes(4)
