"""A number that is none: found in its step, traced to its module and batch, kept, and met again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, NonFiniteError
from scirs_neural.runs.replay import main, replay


class Fragile(nn.Module):
    """Gives NaN, or a gradient that is none, for the samples whose upper half is brightest."""

    def __init__(self, limit: float, kind: str) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(64, 8), nn.LayerNorm(8), nn.Linear(8, 10)
        self.root = nn.Dropout(0.3)
        self.limit, self.kind = limit, kind

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images.flatten(1))
        over = (images[:, :, :4].mean(dim=(1, 2, 3)) - self.limit).clamp_min(0.0)[:, None]
        if self.kind == "output":
            x = self.norm(x / torch.where(over > 0, 0.0, 1.0))
        else:  # the root of nothing has no gradient
            x = self.norm(x) + (x * 0.0).sqrt() if images.device.type == "cpu" and (over > 0).any() else self.norm(x)
        out: Tensor = self.last(self.root(x))
        return out


@pytest.fixture
def limit() -> float:
    """A brightness that a few of the training samples go beyond."""
    import scirs_neural as sn

    data = sn.create_data("digits", image_size=8, batch_size=2000)
    images = next(iter(data.eval_dataloader("train")))["image"]
    return float(images[:, :, :4].mean(dim=(1, 2, 3)).sort().values[-3])


@pytest.mark.parametrize("kind", ["output", "gradient"])
def test_the_step_is_found_named_kept_and_met_again(train: Any, tmp_path: Path, limit: float, kind: str) -> None:
    network = Fragile(limit, kind)
    with pytest.raises(NonFiniteError) as caught:
        train("data.batch_size=32", "data.transforms=none", "scheduler=constant", model=network)
    named = "output of norm (LayerNorm)" if kind == "output" else "gradient of"
    assert named in caught.value.what
    assert "replay" in str(caught.value)
    place = next((tmp_path / "runs").rglob("step.json")).parent
    step = json.loads((place / "step.json").read_text())
    assert step["found"] in caught.value.what
    assert f"batch {step['batch'] + 1} of epoch {step['epoch'] + 1}" in caught.value.what
    assert len(step["samples"]) == 32
    assert replay(place, model=Fragile(limit, kind)) == step["found"]
    assert replay(place, model=Fragile(1e9, kind)) is None


def test_a_step_of_a_run_with_plugins_is_kept_but_not_met_again(train: Any, tmp_path: Path, limit: float) -> None:
    network = Fragile(limit, "output")
    with pytest.raises(NonFiniteError):
        train("data.batch_size=32", "data.transforms=none", "scheduler=constant", "plugins=[ema]", model=network)
    place = next((tmp_path / "runs").rglob("step.json")).parent
    with pytest.raises(ConfigError, match="with plugins"):
        replay(place, model=Fragile(limit, "output"))


def test_replay_wants_a_kept_step(tmp_path: Path) -> None:
    from scirs_neural.core.command import run_command

    assert run_command(main, [str(tmp_path)]) == 2
