"""Tensors that lie in parts in several files: put together whole, or refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.guard import read_state_dict
from scirs_neural.guard.shards import checksum, is_sharded, join_shards
from scirs_neural.serialization.checkpoint import read_checkpoint, read_index
from scirs_neural.training.checkpoint_io import write_checkpoint

WEIGHT, BIAS = torch.arange(15.0).reshape(5, 3), torch.arange(4, dtype=torch.bfloat16)


def save_part(file: Path, parts: dict[str, tuple[torch.Tensor, list[int]]]) -> None:
    """As torch.distributed.checkpoint writes one."""
    starts = {name: {"saved_offsets": start} for name, (_, start) in parts.items()}
    tensors = {name: part.contiguous() for name, (part, _) in parts.items()}
    save_file(tensors, file, metadata={"format": "pt", "DCP_VERSION": "1.0", "DCP_SHARDING_INFO": json.dumps(starts)})


@pytest.fixture
def index(tmp_path: Path) -> dict[str, Any]:
    """A weight cut by rows and columns into four parts of unlike sizes, and a bias that one file has."""
    folder = tmp_path / "last.ckpt.shards" / "0a1b"
    folder.mkdir(parents=True)
    save_part(folder / "1.safetensors", {"w": (WEIGHT[:3, :2], [0, 0]), "b": (BIAS, [0])})
    save_part(folder / "2.safetensors", {"w": (WEIGHT[:3, 2:], [0, 2])})
    save_part(folder / "3.safetensors", {"w": (WEIGHT[3:, :2], [3, 0])})
    save_part(folder / "4.safetensors", {"w": (WEIGHT[3:, 2:], [3, 2])})
    table = {
        "folder": "last.ckpt.shards/0a1b",
        "files": {file.name: checksum(file) for file in folder.iterdir()},
        "tensors": {"w": [[5, 3], "float32"], "b": [[4], "bfloat16"]},
    }
    places = {"weight": {"shard": "w"}, "bias": {"shard": "b"}}
    return {"state_dict": places, "moments": [{"first": {"shard": "w"}, "step": 3}], "shards": table}


def remade(tmp_path: Path, index: dict[str, Any], number: int, parts: dict[str, Any]) -> None:
    file = tmp_path / "last.ckpt.shards" / "0a1b" / f"{number}.safetensors"
    save_part(file, parts)
    index["shards"]["files"][file.name] = checksum(file)


@pytest.mark.parametrize("form", ["torch", "plain"])
def test_parts_are_put_together(tmp_path: Path, index: dict[str, Any], form: str) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint(index, file, form)
    assert is_sharded(read_index(file))
    found = read_checkpoint(file)
    assert found.keys() == {"state_dict", "moments"}
    assert torch.equal(found["state_dict"]["weight"], WEIGHT)
    assert torch.equal(found["state_dict"]["bias"], BIAS)
    assert torch.equal(found["moments"][0]["first"], WEIGHT)
    assert found["moments"][0]["step"] == 3
    if form == "torch":
        assert torch.equal(read_state_dict(file)["weight"], WEIGHT)  # as weights for another network


def drop(tmp_path: Path, index: dict[str, Any]) -> None:
    (tmp_path / "last.ckpt.shards" / "0a1b" / "2.safetensors").unlink()


def flip(tmp_path: Path, index: dict[str, Any]) -> None:
    file = tmp_path / "last.ckpt.shards" / "0a1b" / "2.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)


def lose(tmp_path: Path, index: dict[str, Any]) -> None:
    del index["shards"]["files"]["2.safetensors"]


def overhang(tmp_path: Path, index: dict[str, Any]) -> None:
    remade(tmp_path, index, 4, {"w": (WEIGHT[3:, 2:], [4, 2])})


def overlap(tmp_path: Path, index: dict[str, Any]) -> None:
    """Case S10: as many values as there are places, and yet not one in each."""
    remade(tmp_path, index, 4, {"w": (WEIGHT[3:, 2:], [2, 1])})


def same_place(tmp_path: Path, index: dict[str, Any]) -> None:
    remade(tmp_path, index, 4, {"w": (WEIGHT[3:, :1], [3, 0])})


def stranger(tmp_path: Path, index: dict[str, Any]) -> None:
    remade(tmp_path, index, 4, {"w": (WEIGHT[3:, 2:], [3, 2]), "x": (BIAS, [0])})


def homeless(tmp_path: Path, index: dict[str, Any]) -> None:
    save_file({"w": WEIGHT[3:, 2:].contiguous()}, tmp_path / "last.ckpt.shards" / "0a1b" / "4.safetensors")
    index["shards"]["files"]["4.safetensors"] = checksum(tmp_path / "last.ckpt.shards" / "0a1b" / "4.safetensors")


def elsewhere(tmp_path: Path, index: dict[str, Any]) -> None:
    index["shards"]["folder"] = "../0a1b"


def huge(tmp_path: Path, index: dict[str, Any]) -> None:
    index["shards"]["tensors"]["w"] = [[2**40, 2**20], "float32"]


def no_dtype(tmp_path: Path, index: dict[str, Any]) -> None:
    index["shards"]["tensors"]["w"] = [[5, 3], "load"]


def no_table(tmp_path: Path, index: dict[str, Any]) -> None:
    index["shards"] = ["w"]


def unknown(tmp_path: Path, index: dict[str, Any]) -> None:
    index["state_dict"]["more"] = {"shard": "v"}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (drop, "no such file"), (flip, "its bytes are not those"), (lose, "of 'w' it has 12 values of 15"),
        (overhang, "does not lie within its tensor"), (overlap, "claim the same place"),
        (same_place, "claim the same place"), (stranger, "does not know 'x'"),
        (homeless, "does not say where 'w' belongs"), (elsewhere, "name is not safe"),
        (huge, "values of"), (no_dtype, "no dtype 'load'"), (no_table, "table of shards is damaged"),
        (unknown, "does not know 'v'"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(
    tmp_path: Path, index: dict[str, Any], harm: Callable[[Path, dict[str, Any]], None], said: str
) -> None:
    harm(tmp_path, index)
    with pytest.raises(CheckpointError if harm is drop else RefusedError, match=said):
        join_shards(index, tmp_path / "last.ckpt")
