"""One trial: a run of its own in the study's folder, reported epoch by epoch, stopped early when it is bad."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import NonFiniteError, ScirsError
from scirs_neural.training.groups import config_groups
from scirs_neural.training.run import train_run
from scirs_neural.tuning.storage import Study


class Watch(L.Callback):
    """Reports the objective after each validation, and ends the run when the pruner says that it is a bad one.

    The run ends as by early stopping: at the end of the epoch, with its checkpoints and figures.

    Args:
        trial: Optuna's.
        metric: the objective.
        reported: epochs that were reported before the run was broken off.
    """

    def __init__(self, trial: Any, metric: str, reported: set[int]) -> None:
        self.trial, self.metric, self.reported = trial, metric, reported
        self.pruned = False

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Look at the epoch's figure."""
        value = trainer.callback_metrics.get(self.metric)
        if trainer.sanity_checking or value is None:
            return
        if trainer.current_epoch not in self.reported:
            self.trial.report(float(value), trainer.current_epoch)
            self.reported.add(trainer.current_epoch)
        is_last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        if not is_last and self.trial.should_prune():
            self.pruned = trainer.should_stop = True


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
            config = load_config(Request(texts, plan.config_folder), config_groups())
            watch = Watch(trial, plan.objectives[0].name, _reported(study, trial.number))
            silent = Console(quiet=True)
            done = train_run(config, console=silent, folder=run, callbacks=[watch] if one else [], splits=("val",))
            summary, pruned = done.summary, watch.pruned
        return [objective.value(summary) for objective in plan.objectives], "PRUNED" if pruned else "COMPLETE"
    except NonFiniteError as error:  # a bad setting, which the sampler is to learn from
        trial.set_user_attr("error", error.what)
        return None, "PRUNED" if one else "FAIL"
    except ScirsError as error:
        trial.set_user_attr("error", error.what)
        return None, "FAIL"


def _reported(study: Study, number: int) -> set[int]:
    return next(set(held.intermediate_values) for held in study.trials() if held.number == number)
