"""A search from its beginning or from where it was broken off: checks, trials in one process or several, its end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import RunConfig, TuneConfig
from scirs_neural.core import terminal
from scirs_neural.core.command import EXIT_INTERRUPTED
from scirs_neural.core.errors import ConfigError, ScirsError
from scirs_neural.core.paths import new_run_dir
from scirs_neural.models.meta import on_meta
from scirs_neural.runs.build import make_data
from scirs_neural.runs.cross_validation import on_one_device
from scirs_neural.runs.folder import command_line
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.parts import build_parts
from scirs_neural.training.machine import check_machine
from scirs_neural.training.scoring import direction, logged_names
from scirs_neural.training.trainer import Trainer
from scirs_neural.tuning.objectives import COSTS, parse_objectives
from scirs_neural.tuning.space import Dimension, check_space, split_overrides
from scirs_neural.tuning.storage import Plan, Study, check_settings, load_optuna
from scirs_neural.tuning.trial import run_trial

ORPHANED = 75  # a worker's exit status when the process that started it is gone


class Search:
    """A study and the processes that work on it.

    Args:
        folder: of the study.
        plan: what it searches.
        console: where each trial's end is reported.
    """

    def __init__(self, folder: Path, plan: Plan, console: Console) -> None:
        self.folder, self.plan, self.console = folder, plan, console

    @classmethod
    def begin(
        cls,
        overrides: Sequence[str],
        settings: TuneConfig,
        console: Console,
        *,
        space: Sequence[Dimension] = (),
        config_dir: Path | None = None,
    ) -> Search:
        """Check everything that can be checked, and make the study's folder.

        Args:
            overrides: as typed; those with several values or a range are searched, the others fixed.
            settings: of the search.
            console: where to print.
            space: more that is searched.
            config_dir: the user's configs.

        Raises:
            ConfigError: any setting at any end of the space is wrong. Nothing is run.
            MissingExtraError: Optuna is not installed.
        """
        load_optuna()
        searched, fixed = split_overrides(overrides)

        def compose(texts: Sequence[str]) -> RunConfig:
            return load_config(Request(texts, config_dir), config_groups())

        dimensions = check_space([*searched, *space], fixed, compose)
        config = compose([*fixed, *(f"{d.key}={d.ends()[0]}" for d in dimensions)])
        fixed += _checked(config)
        main, metrics = _figures(config)
        objectives = parse_objectives(settings.objectives, main, metrics)
        check_settings(settings, objectives, dimensions)
        first = objectives[0]
        if first.name not in (main[0], *COSTS):  # the best epoch is the one that is best at what is searched for
            fixed += [f"trainer.checkpoint.monitor={first.name}", f"trainer.checkpoint.mode={first.mode}"]
        name = f"{config.data.name}-{Path(config.model.name.partition(':')[0]).stem}-tune"
        folder = new_run_dir(config.paths.runs, name)
        directory = None if config_dir is None else str(config_dir.absolute())
        plan = Plan(fixed, dimensions, objectives, settings, directory, command_line())
        plan.write(folder)
        return cls(folder, plan, console)

    @classmethod
    def resume(
        cls, folder: Path, changed: Mapping[str, Any], console: Console, *, allow: Collection[str] = ()
    ) -> Search:
        """Go on with a study; how many trials and processes there are may be changed.

        Args:
            folder: of the study.
            changed: settings of the search.
            console: where to print.
            allow: what the study names and may be imported.

        Raises:
            ConfigError: there is no study in the folder, something else was to be changed, or it names code that is
                not allowed.
        """
        plan = Plan.read(folder, allow)
        fixed = sorted(set(changed) - {"trials", "workers"})
        if fixed:
            raise ConfigError(
                f"tune.{fixed[0]} is part of the study in '{folder}'", fix="with --resume: tune.trials, tune.workers"
            )
        settings = plan.settings.model_copy(update=dict(changed))
        plan = replace(plan, settings=settings)
        plan.write(folder)
        return cls(folder, plan, console)

    def run(self) -> Study:
        """Run all trials that are left.

        Raises:
            ConfigError: another process works on the study.
            KeyboardInterrupt: after Ctrl-C; what was running waits for the next time.
        """
        from filelock import FileLock, Timeout

        alone = FileLock(self.folder / "study.lock")
        try:
            alone.acquire(timeout=0)
        except Timeout as error:
            raise ConfigError(f"another process works on the study in '{self.folder}'") from error
        with alone:
            study = Study(self.folder, self.plan)
            again = study.requeue()
            if again:
                self.console.print(f"going on with trial {', '.join(map(str, again))}, broken off before")
            if self.plan.settings.workers == 1:
                work(study, 0, self.console)
            else:
                _run_workers(study, self.plan.settings.workers, self.console)
        return study


def work(study: Study, worker: int, console: Console) -> None:
    """Run one trial after the other until none is left."""
    while (asked := study.ask(worker)) is not None:
        trial, chosen = asked
        try:
            values, state = run_trial(study, trial, chosen)
        except KeyboardInterrupt:
            study.requeue(worker)
            raise
        except BaseException as error:
            trial.set_user_attr("error", repr(error))
            study.tell(trial, None, "FAIL")
            raise
        study.tell(trial, values if state == "COMPLETE" else None, state)
        _report(console, study, trial.number, values, state, chosen)


def work_for(folder: Path, worker: int, console: Console, allow: Collection[str]) -> None:
    """What a worker process does: trials until none is left, or until the process that started it is gone."""
    plan = Plan.read(folder, allow)

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)  # ends when the other end is closed, by whatever death; no buffer, no lock
        os._exit(ORPHANED)

    threading.Thread(target=watch, daemon=True).start()
    work(Study(folder, plan), worker, console)


def _run_workers(study: Study, count: int, console: Console) -> None:
    """Start processes that share the study; one that dies is started again, and its trial waits again."""
    found: list[int] = []

    def tend(worker: int) -> None:
        command = [sys.executable, "-m", "scirs_neural.tune", "--worker", str(worker), "--resume", str(study.folder)]
        command += shlex.split(study.plan.words)  # typed by the user: this process would not have the plan otherwise
        while True:
            with subprocess.Popen(command, stdin=subprocess.PIPE, env=_environment(worker)) as process:
                ended = process.wait()
            lost = study.requeue(worker, count=True)
            if ended in (0, EXIT_INTERRUPTED) or not lost:
                found.append(ended)
                return
            console.print(f"worker {worker} died ({ended}): trial {lost[0]} is run again")

    threads = [threading.Thread(target=tend, args=(worker,)) for worker in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if EXIT_INTERRUPTED in found:
        raise KeyboardInterrupt
    left = study.plan.num_trials - len(study.trials("COMPLETE", "PRUNED", "FAIL"))
    if left > 0:
        raise ScirsError(
            f"the workers ended with status {', '.join(map(str, found))}, and {left} trials are left",
            fix=f"python -m scirs_neural.tune --resume {study.folder}{study.plan.words}",
        )


def _environment(worker: int) -> dict[str, str]:
    """A worker's environment: with several GPUs, each worker has one of them."""
    import torch

    env = dict(os.environ)
    visible = env.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    devices = [device for device in visible.split(",") if device]
    if len(devices) > 1:
        env["CUDA_VISIBLE_DEVICES"] = devices[worker % len(devices)]
    return env


def _checked(config: RunConfig) -> list[str]:
    """Overrides that a trial needs beside the user's.

    Raises:
        ConfigError: something in the configuration has no place in a search.
    """
    check_machine(config.trainer)
    if config.cv.folds:
        raise ConfigError("a trial is one run: it takes no cv", fix="cv.grid chooses within folds: train … cv.grid=…")
    if config.trainer.resume is not None:
        raise ConfigError("a trial is not resumed by trainer.resume", fix="python -m scirs_neural.tune --resume STUDY")
    one = on_one_device(config, "a trial is trained", "; tune.workers=… runs several trials at once").trainer.devices
    return [] if isinstance(one, list) else ["trainer.devices=1"]


def _figures(config: RunConfig) -> tuple[tuple[str, str], dict[str, str]]:
    """The task's main metric, and all that validation gives, with their directions; the parts are built without memory,
    so they are checked.

    Raises:
        ConfigError: there is no validation split to choose by.
    """
    data = make_data(config)
    if not data.spec.sizes["val"]:
        raise ConfigError("a search chooses by validation samples, and there are none", fix="data.val_fraction=0.1")
    with on_meta():
        module = build_parts(config, data=data).module
    main = Trainer(config.trainer, console=Console(quiet=True)).monitor(module)
    return main, {name: direction(module.task, name) for name in logged_names(module.task) if name.startswith("val/")}


def _report(
    console: Console, study: Study, number: int, values: list[float] | None, state: str, chosen: dict[str, str]
) -> None:
    shown = "  ".join(f"{terminal.number(value, fixed=True):>9}" for value in values or ())
    settings = "  ".join(f"{key}={value}" for key, value in chosen.items())
    word = {"COMPLETE": "", "PRUNED": "pruned  ", "FAIL": "failed  "}[state]
    console.print(
        f"trial-{number:<3} {number + 1:>3}/{study.plan.num_trials}  {shown}  {word}{settings}", soft_wrap=True
    )
