"""Train on two ranks and in one process, from forks of one warm process: ``python -m tests.training.parallel ddp``.

Prints a JSON object: by how much weights and metrics differ, and whether the ranks have equal weights.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from sklearn.datasets import load_digits
from torch import nn

import scirs_neural as sn
from scirs_neural.data import from_arrays
from scirs_neural.training.metrics_file import read_metrics
from tests.training.killing import forked

TRAIN, VAL, GLOBAL_BATCH = 333, 37, 32  # neither divides by the ranks: 11 steps an epoch, the last of 13 samples


class Block(nn.Module):
    """A residual block, of which there are two, so that FSDP2 has something to divide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(32), nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tanh(self.layer(self.norm(x)))


def network() -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 32)]
    return nn.Sequential(*body, Block(), Block(), nn.Linear(32, 10))


def fit(folder: Path, strategy: str, ranks: int) -> None:
    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    val = slice(TRAIN, TRAIN + VAL)
    data = from_arrays(
        images[:TRAIN], labels[:TRAIN], val=(images[val], labels[val]), test=(images[val], labels[val]),
        classes=[str(i) for i in range(10)], image_size=8, batch_size=GLOBAL_BATCH // ranks, num_workers=0,
    )  # fmt: skip
    model = network()
    task = sn.create_task("image_classification", model=model, spec=data.spec, optimizer={"name": "adamw", "lr": 1e-3})
    trainer = sn.Trainer(
        folder=folder, max_epochs=2, strategy=strategy, devices=ranks, accelerator="cpu", gradient_clip_val=1.0,
        console=Console(quiet=True),
    )  # fmt: skip
    trainer.fit(task, data)
    state = {name: value.full_tensor() if hasattr(value, "full_tensor") else value
             for name, value in model.state_dict().items()}  # fmt: skip
    torch.save(state, folder / f"rank{trainer.lightning.global_rank}.pt")  # type: ignore[union-attr]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    held = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert held["global_step"] == 22
    return {name.removeprefix("model."): value for name, value in held["state_dict"].items()}


def largest(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float(abs(torch.as_tensor(one[name]) - torch.as_tensor(other[name])).max()) for name in one)


def compare(strategy: str, place: Path) -> dict[str, Any]:
    alone, together = place / "alone", place / "together"
    for folder, how, ranks in ((alone, "auto", 1), (together, strategy, 2)):
        folder.mkdir()
        status = forked(lambda: fit(folder, how, ranks), folder / "said.txt", ranks)  # noqa: B023
        if status:
            raise RuntimeError((folder / "said.txt").read_text()[-3000:])
    ranks_differ = largest(*(torch.load(together / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)))
    loaded = network()
    loaded.load_state_dict(weights(together))  # a checkpoint of many processes in one
    if len(sys.argv) > 2:
        print((alone / "metrics.csv").read_text(), (together / "metrics.csv").read_text())
    rows = zip(read_metrics(alone / "metrics.csv"), read_metrics(together / "metrics.csv"), strict=True)
    return {
        "weights": largest(weights(alone), weights(together)),
        "metrics": max(largest(a, b) for a, b in rows),
        "ranks": ranks_differ,
        "loaded": largest(dict(loaded.state_dict()), torch.load(together / "rank0.pt", weights_only=True)),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(compare(sys.argv[1], Path(temporary))))
