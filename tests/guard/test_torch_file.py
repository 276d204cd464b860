"""Torch files: honest ones of every kind come back, a changed bit does not, and what loads fits the file."""

from __future__ import annotations

import random
import shutil
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard import read_checkpoint
from scirs_neural.guard.torch_file import seal


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    torch.save({"weight": torch.arange(500.0), "epoch": 3}, tmp_path / "last.ckpt")
    seal(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_sealed_file_is_one_for_every_reader(sealed: Path) -> None:
    assert read_checkpoint(sealed)["epoch"] == 3
    assert torch.equal(torch.load(sealed, weights_only=True)["weight"], torch.arange(500.0))


def test_every_flipped_bit_of_a_sealed_file_is_noticed(sealed: Path) -> None:
    content = sealed.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 300):
        sealed.write_bytes(flipped(content, bit))
        with pytest.raises(RefusedError):
            read_checkpoint(sealed)


@pytest.mark.slow
def test_each_of_ten_thousand_flipped_bits_is_noticed(sealed: Path) -> None:
    content = sealed.read_bytes()
    bits = random.Random(1).sample(range(8 * len(content)), 10_000)
    noticed = 0
    for bit in bits:
        sealed.write_bytes(flipped(content, bit))
        with pytest.raises(RefusedError):
            read_checkpoint(sealed)
        noticed += 1
    assert noticed == 10_000


def test_a_flipped_bit_of_a_tensor_is_noticed_without_a_seal(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(500)}, tmp_path / "net.pt")
    content = (tmp_path / "net.pt").read_bytes()
    place = content.index(bytes(2000)) + 700
    (tmp_path / "net.pt").write_bytes(flipped(content, 8 * place))
    assert torch.load(tmp_path / "net.pt", weights_only=True)["weight"].any()  # torch itself does not look
    with pytest.raises(RefusedError, match="checksum"):
        read_checkpoint(tmp_path / "net.pt")


def test_everything_that_torch_writes_of_plain_data_comes_back(tmp_path: Path) -> None:
    held = {
        "none": None, "int": 3, "big": 1 << 70, "negative": -(1 << 40), "float": 0.5, "text": "é", "true": True,
        "bytes": b"\x00\xff", "bytes again": b"ab", "array": bytearray(b"xyz"), "tuple": (1, (2,)), "set": {1, 2},
        "complex": 1 + 2j, "ordered": OrderedDict(a=1), "counter": Counter("aab"), "size": torch.Size([1, 2]),
        "device": torch.device("cpu"), "dtype": torch.bfloat16, "parameter": torch.nn.Parameter(torch.ones(2)),
        "generator": torch.get_rng_state(), "empty": [[], {}, (), set(), ""], "keys": {1: 2, (3, 4): 5, None: 6},
    }  # fmt: skip
    torch.save(held, tmp_path / "a.pt")
    back = read_checkpoint(tmp_path / "a.pt")
    assert repr(back) == repr(torch.load(tmp_path / "a.pt", weights_only=True))
    assert {key: back[key] for key in ("bytes", "array", "keys")} == {
        key: held[key] for key in ("bytes", "array", "keys")
    }
    assert back["counter"] == held["counter"]


@pytest.mark.filterwarnings("ignore:.*support is experimental")
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_of_every_kind_come_back(tmp_path: Path, zipped: bool) -> None:
    dtypes = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    compared = 0
    for dtype in sorted(dtypes, key=str):
        try:
            made = {"a": torch.zeros(3, dtype=dtype)}
            torch.save(made, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
            torch.load(tmp_path / "a.pt", weights_only=True)
        except Exception:
            continue  # a dtype that torch knows by name, and cannot write
        back = read_checkpoint(tmp_path / "a.pt")["a"]
        assert (back.dtype, back.shape) == (dtype, (3,))
        compared += 1
    assert compared >= (20 if zipped else 12)
    whole = torch.arange(4.0)
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    made = {"quantized": quantized, "sparse": torch.eye(3).to_sparse(), "whole": whole, "part": whole[1:]}
    torch.save(made, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert repr(read_checkpoint(tmp_path / "a.pt")) == repr(made)


def test_a_file_may_be_called_and_moved_as_its_owner_likes(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "net: 10:20 (é) <best>.pt")
    shutil.move(tmp_path / "net: 10:20 (é) <best>.pt", tmp_path / "x.ckpt")
    assert read_checkpoint(tmp_path / "x.ckpt") == {"a": 1}


def test_a_list_of_lists_of_the_same_list_is_refused(tmp_path: Path) -> None:
    tree: list[object] = [0] * 10
    for _ in range(8):
        tree = [tree] * 10
    torch.save(tree, tmp_path / "laughs.pt")
    assert (tmp_path / "laughs.pt").stat().st_size < 4000
    with pytest.raises(RefusedError, match="more than 2,000,000 values"):
        read_checkpoint(tmp_path / "laughs.pt")


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    tree: list[object] = []
    tree.append({"again": tree})
    torch.save(tree, tmp_path / "cycle.pt")
    with pytest.raises(RefusedError, match="holds itself"):
        read_checkpoint(tmp_path / "cycle.pt")


def test_the_same_values_in_many_places_are_no_cycle(tmp_path: Path) -> None:
    shared = [1, 2]
    torch.save({"a": shared, "b": [shared, shared], "c": {"d": shared}}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt") == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {"d": [1, 2]}}


@pytest.mark.parametrize("depth", [60, 70])
def test_depth_is_held_to_its_budget(tmp_path: Path, depth: int) -> None:
    tree: list[object] = []
    for _ in range(depth):
        tree = [tree]
    torch.save(tree, tmp_path / "deep.pt")
    if depth < 64:
        assert read_checkpoint(tmp_path / "deep.pt") == tree
    else:
        with pytest.raises(RefusedError, match="nested deeper"):
            read_checkpoint(tmp_path / "deep.pt")


def test_expanded_tensors_are_free_until_they_are_huge(tmp_path: Path) -> None:
    torch.save(torch.ones(1).expand(1 << 20), tmp_path / "wide.pt")
    assert read_checkpoint(tmp_path / "wide.pt").shape == (1 << 20,)
    torch.save([torch.ones(1).expand(1 << 22)] * 5, tmp_path / "wide.pt")
    with pytest.raises(RefusedError, match="larger than the file"):
        read_checkpoint(tmp_path / "wide.pt")


def test_programs_are_not_weights(tmp_path: Path) -> None:
    import zipfile

    torch.save({"a": 1}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("a/code/__torch__.py", "class Net(Module): pass")
    with pytest.raises(RefusedError, match="TorchScript"):
        read_checkpoint(tmp_path / "b.pt")
