"""Plugins on several ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.plugins.ranks import fit


def test_two_ranks_train_a_network_that_a_plugin_changes_as_one_does(tmp_path: Path, python: Any) -> None:
    fit(1, tmp_path / "one")
    ended = python("-m", "tests.plugins.ranks", "2", str(tmp_path / "two"), cwd=Path(__file__).parents[2])
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, two = (read_checkpoint(tmp_path / name / "checkpoints/last.ckpt") for name in ("one", "two"))
    assert one["plugins"][0]["record"] == two["plugins"][0]["record"] != {}
    for part in ("state_dict", "training_weights"):
        for name, value in one[part].items():
            assert torch.allclose(value, two[part][name], rtol=1e-5, atol=1e-6), name
