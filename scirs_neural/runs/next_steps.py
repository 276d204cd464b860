"""What can be done with a run once it has ended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scirs_neural.config.imports import TRAINING_ONLY
from scirs_neural.config.saved import words_for


def next_steps(folder: Path, summary: Mapping[str, Any]) -> dict[str, str]:
    """What a command does, to the command: all that work for this run.

    Args:
        folder: the run's.
        summary: how it ended. Of data or a network that was handed over in Python, the folder has no way to make it
            again.

    Example:
        >>> summary = {"own": ["model"], "data": {"sizes": {"val": 0, "test": 20}}}
        >>> next_steps(Path("runs/digits-Mine/1"), summary)
        {'use it, in Python': "scirs_neural.load_run('runs/digits-Mine/1', model=…)"}
    """
    if "folds" in summary:
        return _after_cross_validation(folder, summary["folds"][0]["folder"])
    path, config = shlex.quote(str(folder)), folder / "config.yaml"
    run, own, sizes = path + words_for(config, TRAINING_ONLY), summary.get("own", []), summary["data"]["sizes"]
    steps: dict[str, str] = {}
    if not own and (sizes["test"] or sizes["val"]):
        steps["judge it again"] = f"python -m scirs_neural.evaluate {run}" + ("" if sizes["test"] else " --split val")
    if "model" not in own and (folder / "samples").is_dir():
        steps["use it"] = f"python -m scirs_neural.predict {run} {path}/samples"
    if "model" in own:
        steps["use it, in Python"] = f"scirs_neural.load_run({str(folder)!r}, model=…)"
    if (folder / "tensorboard").is_dir():
        steps["look at the curves"] = f"tensorboard --logdir {path}"
    if not own:
        steps["run it again, with a change"] = f"python -m scirs_neural.train --from {path}{words_for(config)} seed=1"
    return steps


def _after_cross_validation(folder: Path, fold: str) -> dict[str, str]:
    """The parent has no network of its own to use."""
    words = words_for(folder / "config.yaml")
    run, first = (shlex.quote(str(path)) + words for path in (folder, folder / fold))
    judged = shlex.quote(str(folder / fold)) + words_for(folder / "config.yaml", TRAINING_ONLY)
    return {
        "judge one fold again": f"python -m scirs_neural.evaluate {judged}",
        "run one fold again": f"python -m scirs_neural.train --from {first}",
        "all of it again, with a change": f"python -m scirs_neural.train --from {run} seed=1",
    }
