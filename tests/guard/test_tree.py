"""Checkpoints without a pickle: what goes in comes out, a changed bit does not, and no tree is more than data."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.guard.tree import is_tree, read_tree, write_tree

TREE = {
    "state": {"w": torch.arange(30.0), "half": torch.ones(2).to(torch.bfloat16), "none": None},
    "numbers": {1: 2.5, (1, 2): float("inf"), "big": 1 << 60}, "list": [(), {3}, [True, "\u00e9"]], "dtype": torch.int8,
}  # fmt: skip


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    write_tree(tmp_path / "last.ckpt", TREE)
    assert is_tree(tmp_path / "last.ckpt")
    assert repr(read_tree(tmp_path / "last.ckpt")) == repr(TREE)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    write_tree(file, TREE)
    content = file.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 400):
        file.write_bytes(flipped(content, bit))
        with pytest.raises(CheckpointError):
            read_tree(file)


@pytest.mark.parametrize(
    "tree",
    [
        {"object": "os.system"}, {"dict": 5}, {"dict": [[1]]}, {"dict": [[[1], 2]]}, {"tensor": 7}, {"tensor": "x"},
        {"dtype": "load"}, {"dtype": 5}, {"float": [1]}, {"set": [[1]]}, {"a": 1, "b": 2}, {},
    ],
    ids=str,
)  # fmt: skip
def test_a_tree_of_another_kind_is_refused(tmp_path: Path, tree: Any) -> None:
    forge(tmp_path / "last.ckpt", json.dumps(tree))
    with pytest.raises(RefusedError):
        read_tree(tmp_path / "last.ckpt")


def test_a_deep_tree_is_refused(tmp_path: Path) -> None:
    forge(tmp_path / "last.ckpt", "[" * 5000 + "]" * 5000)
    with pytest.raises(RefusedError, match="deeper"):
        read_tree(tmp_path / "last.ckpt")


def forge(path: Path, text: str) -> None:
    """A file with a checksum that fits."""
    metadata = {"kind": "scirs-neural tree 1", "tree": text, "crc32": f"{zlib.crc32(text.encode()):08x}"}
    save_file({}, path, metadata=metadata)
