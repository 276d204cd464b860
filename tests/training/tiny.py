"""Tiny runs on real digits at their own 8x8 px: a second or two each."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from torch import nn

import scirs_neural as sn
from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import RunConfig
from scirs_neural.runs.groups import config_groups

TINY = (
    "model=cnn",
    "data=digits",
    "data.image_size=8",
    "model.width=8",
    "model.depth=2",
    "trainer.log_every_n_steps=5",
)


def module_of(model: nn.Module, data: Any, **settings: Any) -> sn.Module:
    """A network with the task of its data; settings of the task, or of the module."""
    hosted = {key: settings.pop(key) for key in ("optimizer", "scheduler", "finetune", "plugins") if key in settings}
    return sn.Module(sn.create_task(data.spec, **settings), model, **hosted)


def tiny_config(folder: Path, *overrides: str) -> RunConfig:
    """The configuration of a tiny run in a folder."""
    return load_config(Request([*TINY, f"paths.runs={folder}", *overrides]), config_groups())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a ``metrics.csv``."""
    with open(path, newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
