"""One trial: a run of its own in the study's folder, reported epoch by epoch, stopped early when it is bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import NonFiniteError, ScirsError
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.train import train_run
from scirs_neural.training.callbacks.watching import PruningCallback
from scirs_neural.tuning.storage import Study


def run_trial(study: Study, trial: Any, chosen: dict[str, str]) -> tuple[list[float] | None, str]:
    """Train with the settings that a trial chose.

    Args:
        study: that it belongs to.
        trial: Optuna's.
        chosen: setting to value, in Hydra's grammar.

    Returns:
        The values of the objectives, and the state: "COMPLETE", "PRUNED" (the values say where it stood), or "FAIL".
    """
    plan, run = study.plan, study.run_folder(trial.number)
    one = len(plan.objectives) == 1
    try:
        if run.summary.is_file():  # its process was gone between its end and telling
            summary, pruned = run.read_summary(), False
        else:
            run.path.mkdir(exist_ok=True)
            texts = [*plan.fixed, *(f"{key}={value}" for key, value in chosen.items())]
            texts += [f"trainer.resume='{run.path}'"] if run.last.is_file() else []
            config_dir = None if plan.config_dir is None else Path(plan.config_dir)
            config = load_config(Request(texts, config_dir), config_groups())
            watch = PruningCallback(plan.objectives[0].name, _judge(study, trial))
            silent = Console(quiet=True)
            done = train_run(config, console=silent, folder=run, callbacks=[watch] if one else [], splits=("val",))
            summary, pruned = done.summary, watch.ended_early
        return [objective.value(summary) for objective in plan.objectives], "PRUNED" if pruned else "COMPLETE"
    except NonFiniteError as error:  # a bad setting, which the sampler is to learn from
        trial.set_user_attr("error", error.what)
        return None, "PRUNED" if one else "FAIL"
    except ScirsError as error:
        trial.set_user_attr("error", error.what)
        return None, "FAIL"


def _judge(study: Study, trial: Any) -> Callable[[int, float], bool]:
    """Reports an epoch's figure to Optuna, and asks its pruner whether the trial is a bad one."""
    reported = next(set(held.intermediate_values) for held in study.trials() if held.number == trial.number)

    def is_bad(epoch: int, value: float) -> bool:
        if epoch not in reported:  # a trial that was broken off may run an epoch again
            trial.report(value, epoch)
            reported.add(epoch)
        return bool(trial.should_prune())

    return is_bad
