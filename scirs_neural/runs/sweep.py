"""Sweeps: every combination of several values, each in a process and a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.overrides import sweep_points
from scirs_neural.config.saved import words_for
from scirs_neural.config.schema import RunConfig
from scirs_neural.core import terminal
from scirs_neural.core.command import EXIT_INTERRUPTED, EXIT_PREEMPTED
from scirs_neural.core.errors import ConfigError, PreemptedError, ScirsError, raise_all
from scirs_neural.core.paths import RUN_DIR_ENV, new_run_dir
from scirs_neural.runs.check import check_run
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups
from scirs_neural.training.callbacks.stopping import SIGNALS


def run_sweep(request: Request, console: Console, *, check: bool = False) -> int:
    """Check every combination, then run one after the other, and print a table of how they ended.

    Args:
        request: as typed; overrides with several values span the grid.
        console: where to print.
        check: build what each combination names, and run nothing.

    Returns:
        0, or 1 if a job failed; the others are run all the same.

    Raises:
        ConfigError: a combination is wrong. Nothing is run then.
        KeyboardInterrupt: after Ctrl-C, when the job that ran has kept its checkpoint.
        PreemptedError: after SIGTERM or SIGUSR1, likewise.
    """
    if request.config_file is not None:
        raise ConfigError("--from is of one run, and -m of several", where="command line", fix="leave one of them out")
    points = sweep_points(request.overrides)
    faults: list[ScirsError] = []
    configs: list[RunConfig] = []
    for point in points:
        try:
            configs.append(load_config(replace(request, overrides=point), config_groups()))
        except ConfigError as error:
            faults.append(error)
    raise_all(faults)
    config = configs[0]
    if any(one.trainer.fast_dev_run for one in configs):
        raise ConfigError("fast_dev_run keeps nothing, and a sweep compares what is kept", fix="leave -m out")
    if check:
        for config in configs:
            check_run(config, console)
        return 0
    folder = new_run_dir(config.paths.runs, "sweep")
    fixed = set.intersection(*(set(point) for point in points))
    rows, failed = [], 0
    for number, point in enumerate(points):
        varied = " ".join(text for text in point if text not in fixed)
        console.print(f"[{number + 1}/{len(points)}] {varied}", soft_wrap=True)
        job = RunFolder(folder / str(number))
        job.path.mkdir()
        options = ["--config-dir", str(request.config_dir)] if request.config_dir else []
        options += ["--config-name", request.config_name]
        command = [sys.executable, "-m", "scirs_neural.train", *options, *point]
        status, heard = _run_job(command, {**os.environ, RUN_DIR_ENV: str(job.path)})
        if EXIT_INTERRUPTED in (status, heard and 128 + heard):
            raise KeyboardInterrupt
        if heard or status == EXIT_PREEMPTED:
            raise PreemptedError(
                f"job {number} of the sweep was stopped, and no further one is begun",
                where=varied,
                fix=f"python -m scirs_neural.train --from {job.path} trainer.resume={job.path}{words_for(job.config)}",
            )
        failed += status != 0
        ended = job.read_summary() if status == 0 else {}
        rows.append([number, varied, *_scores(ended), job.path.name if status == 0 else f"failed ({status})"])
    console.print()
    terminal.table(console, ["job", "settings", "metric", "val", "test", "folder"], rows, title=f"sweep in {folder}")
    return 1 if failed else 0


def _run_job(command: Sequence[str], env: Mapping[str, str]) -> tuple[int, int]:
    """Run a job to its end. It never outlives the sweep: what stops this process stops it, with its checkpoint.

    Ctrl-C reaches both from the terminal, and is left to the job; other signals reach this process only, and are
    passed on.

    Returns:
        The status, and the signal that this process got meanwhile, or 0.
    """
    heard: list[int] = []
    with subprocess.Popen(command, env=env) as job:

        def hear(number: int, frame: object) -> None:
            heard.append(number)
            if number != signal.SIGINT:
                job.send_signal(number)

        is_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, hear) for number in SIGNALS} if is_main else {}
        try:
            status = job.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return status, heard[-1] if heard else 0


def _scores(summary: dict[str, dict[str, float]]) -> list[object]:
    if not summary:
        return [None, None, None]
    metric = str(summary["best"].get("metric", next(iter(summary["val"]), ""))).removeprefix("val/")
    return [metric, summary["val"].get(metric), summary["test"].get(metric)]
