"""Train on several ranks and in one process, from forks of one warm process: ``python -m tests.training.parallel ddp``.

The others are ``fsdp2``, ``tensor`` (two ranks, one batch) and ``both`` (four: two shares of the batch, two of layers);
``shards`` and ``shards_of_both`` are those with checkpoints in shards, ``plain`` is ``fsdp2`` without a pickle.

With a second word the run is begun like that, broken off (a third word says how), and goes on like the first. Prints a
JSON object: by how much weights and metrics differ, whether the ranks have equal weights, the files that hold them, and
how much of each tensor the first rank holds.
"""

from __future__ import annotations

import errno
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from rich.console import Console
from sklearn.datasets import load_digits
from torch import nn
from torch.distributed.checkpoint import HuggingFaceStorageWriter

import scirs_neural as sn
from scirs_neural.data import from_arrays
from scirs_neural.layers.attention import SelfAttention
from scirs_neural.layers.feed_forward import FeedForward
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.distributed.tensor_parallel import is_split
from tests.training.killing import forked
from tests.training.tiny import module_of, read_metrics

TRAIN, VAL, GLOBAL_BATCH = 333, 37, 32  # neither divides by the ranks: 11 steps an epoch, the last of 13 samples


SHARDED = {"checkpoint": {"every_n_steps": 7, "sharded": True}}
SETTINGS: dict[str, tuple[int, dict[str, Any]]] = {
    "alone": (1, {}), "ddp": (2, {"strategy": "ddp"}), "fsdp2": (2, {"strategy": "fsdp2"}),
    "wrong": (2, {"tensor_parallel": 2, "tensor_parallel_colwise": [".*up"]}), "tensor": (2, {"tensor_parallel": 2}),
    "both": (4, {"strategy": "fsdp2", "tensor_parallel": 2}),
    "plain": (2, {"strategy": "fsdp2", "checkpoint": {"every_n_steps": 7, "format": "plain"}}),
    "shards": (2, {"strategy": "fsdp2", **SHARDED}),
    "shards_of_both": (4, {"strategy": "fsdp2", "tensor_parallel": 2, **SHARDED}),
}  # fmt: skip


class Stop(L.Callback):
    """Breaks a run off in its second epoch."""

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == 15:
            raise RuntimeError("broken off")


class FullDisk(L.Callback):
    """Leaves the last rank no room for its shard of the second checkpoint; the first one is of step 7."""

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == 8 and trainer.global_rank == trainer.world_size - 1:
            HuggingFaceStorageWriter.write_data = self.write_data  # type: ignore[method-assign]

    def write_data(self, *args: Any) -> Any:
        raise OSError(errno.ENOSPC, "no space left on device")


ENDS: dict[str, tuple[type[L.Callback], str]] = {
    "broken": (Stop, "broken off"), "full": (FullDisk, "could not save the checkpoint: [Errno 28]")
}  # fmt: skip


class Block(nn.Module):
    """A transformer block. There are two, so that FSDP2 has something to divide; tensor parallelism has it within."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(16), SelfAttention(16, num_heads=2, bias=False)
        self.norm2, self.feed_forward = nn.LayerNorm(16), FeedForward(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class Net(nn.Module):
    """Rows of pixels as tokens. No bias where its gradient is only rounding, which AdamW would make a step of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.GroupNorm(2, 2)
        self.blocks, self.head = nn.Sequential(Block(), Block()), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.stem(x)).transpose(1, 2).flatten(2)  # (N, 8 rows, 2 channels of 8)
        return self.head(self.blocks(tokens).mean(dim=1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return Net()


def fit(folder: Path, kind: str, *ends: L.Callback) -> None:
    ranks, chosen = SETTINGS[kind]
    settings = {"checkpoint": {"every_n_steps": 7}, **chosen}
    shares = ranks // settings.get("tensor_parallel", 1)
    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    val = slice(TRAIN, TRAIN + VAL)
    data = from_arrays(
        images[:TRAIN], labels[:TRAIN], val=(images[val], labels[val]), test=(images[val], labels[val]),
        classes=[str(i) for i in range(10)], image_size=8, batch_size=GLOBAL_BATCH // shares, num_workers=0,
    )  # fmt: skip
    model = network()
    task = module_of(model, data, optimizer={"name": "adamw", "lr": 1e-3})
    trainer = sn.Trainer(
        folder=folder, max_epochs=2, devices=ranks, accelerator="cpu", gradient_clip_val=1.0,
        console=Console(quiet=True), callbacks=ends, **settings,
    )  # fmt: skip
    trainer.fit(task, data, resume="auto")
    here = {name: value.to_local() if is_split(value) else value for name, value in model.state_dict().items()}
    state = {name: value.full_tensor() if hasattr(value, "full_tensor") else value
             for name, value in model.state_dict().items()}  # fmt: skip
    rank = trainer.lightning.global_rank  # type: ignore[union-attr]
    torch.save(state, folder / f"rank{rank}.pt")
    sizes = {name: [here[name].numel(), value.numel()] for name, value in state.items()}
    (folder / f"sizes{rank}.json").write_text(json.dumps(sizes))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    held = read_checkpoint(folder / "checkpoints" / "last.ckpt")
    assert held["global_step"] == 22
    return {name.removeprefix("model."): value for name, value in held["state_dict"].items()}


def largest(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float(abs(torch.as_tensor(one[name]) - torch.as_tensor(other[name])).max()) for name in one)


def compare(place: Path, kind: str, first: str | None = None, end: str = "broken") -> dict[str, Any]:
    alone, together = place / "alone", place / "together"
    for folder, how in ((alone, "alone"), (together, kind)):
        folder.mkdir()
        ranks = SETTINGS[how][0]
        if first is not None and folder == together:
            callback, said = ENDS[end]
            assert forked(partial(fit, folder, first, callback()), folder / "said.txt", SETTINGS[first][0]) == 1
            assert said in (folder / "said.txt").read_text()
        status = forked(partial(fit, folder, how), folder / "said.txt", ranks)
        if status:
            raise RuntimeError((folder / "said.txt").read_text()[-3000:])
    last = SETTINGS[kind][0] - 1
    ranks_differ = largest(*(torch.load(together / f"rank{rank}.pt", weights_only=True) for rank in (0, last)))
    loaded = network()
    loaded.load_state_dict(weights(together))  # a checkpoint of many processes in one
    rows = zip(read_metrics(alone / "metrics.csv"), read_metrics(together / "metrics.csv"), strict=True)
    return {
        "weights": largest(weights(alone), weights(together)),
        "metrics": max(largest(a, b) for a, b in rows),
        "ranks": ranks_differ,
        "loaded": largest(dict(loaded.state_dict()), torch.load(together / "rank0.pt", weights_only=True)),
        "files": sorted(file.relative_to(together).as_posix() for file in (together / "checkpoints").rglob("*.*")),
        "sizes": json.loads((together / "sizes0.json").read_text()),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(compare(Path(temporary), *sys.argv[1:])))
