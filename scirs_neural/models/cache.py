"""Where torch keeps downloaded weights. No torch here, so that lists and help can say what is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scirs_neural.models.catalog import WeightsEntry


def cached_file(weights: WeightsEntry) -> Path:
    """Where torch keeps the file of published weights, there or not."""
    return _hub_dir() / "checkpoints" / weights.file


def _hub_dir() -> Path:
    """``torch.hub.get_dir()``; its rule is followed where torch is not imported."""
    hub = sys.modules.get("torch.hub")
    if hub is not None:
        return Path(hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"
