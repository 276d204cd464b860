"""Sweeps: every combination of several values, each in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.overrides import sweep_points
from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError, ManyErrors, ScirsError
from scirs_neural.core.paths import RUN_DIR_ENV, new_run_dir
from scirs_neural.training.groups import config_groups
from scirs_neural.training.run_folder import RunFolder


def run_sweep(overrides: Sequence[str], config_dir: Path | None, console: Console) -> int:
    """Check every combination, then run one after the other, and print a table of how they ended.

    Args:
        overrides: as typed; those with several values span the grid.
        config_dir: the user's configs.
        console: where to print.

    Returns:
        0, or 1 if a job failed; the others are run all the same.

    Raises:
        ConfigError: a combination is wrong. Nothing is run then.
    """
    points = sweep_points(overrides)
    faults: dict[str, ScirsError] = {}
    for point in points:
        try:
            config = load_config(Request(point, config_dir), config_groups())
        except ManyErrors as several:
            faults |= {error.render(): error for error in several.errors}
        except ConfigError as error:
            faults[error.render()] = error
    if faults:
        raise ManyErrors(faults.values())
    folder = new_run_dir(config.paths.runs, "sweep")
    fixed = set.intersection(*(set(point) for point in points))
    rows, failed = [], 0
    for number, point in enumerate(points):
        varied = " ".join(text for text in point if text not in fixed)
        console.print(f"[{number + 1}/{len(points)}] {varied}", soft_wrap=True)
        job = RunFolder(folder / str(number))
        job.path.mkdir()
        options = ["--config-dir", str(config_dir)] if config_dir else []
        command = [sys.executable, "-m", "scirs_neural.train", *options, *point]
        status = subprocess.run(command, env={**os.environ, RUN_DIR_ENV: str(job.path)}, check=False).returncode
        if status == 130:
            raise KeyboardInterrupt
        failed += status != 0
        ended = job.read_summary() if status == 0 else {}
        rows.append([number, varied, *_scores(ended), job.path.name if status == 0 else f"failed ({status})"])
    console.print()
    terminal.table(console, ["job", "settings", "metric", "val", "test", "folder"], rows, title=f"sweep in {folder}")
    return 1 if failed else 0


def _scores(summary: dict[str, dict[str, float]]) -> list[object]:
    if not summary:
        return [None, None, None]
    metric = str(summary["best"]["metric"]).removeprefix("val/")
    return [metric, summary["val"].get(metric), summary["test"].get(metric)]
