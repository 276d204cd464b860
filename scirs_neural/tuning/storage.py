"""Where a study is kept: its folder, its SQLite file, and who may ask it for the next trial.

Nothing random is kept: the sampler of trial n is seeded by (seed, n), so a study that was killed and resumed by one
process asks for what the unbroken one would have asked for. A trial that was running when its process died waits
again, under its own number, with its own settings, and goes on from its newest checkpoint.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.config.imports import Found, allow_words, imported_by, refuse_untyped
from scirs_neural.config.schema import TuneConfig
from scirs_neural.config.validate import check_section
from scirs_neural.core.errors import ConfigError, MissingExtraError
from scirs_neural.core.paths import atomic_write, refuse_links
from scirs_neural.core.seeding import stream_seed
from scirs_neural.guard.text import read_json
from scirs_neural.runs.folder import RunFolder
from scirs_neural.tuning.objectives import Objective
from scirs_neural.tuning.space import Dimension

if TYPE_CHECKING:
    import optuna

_NAME = "study"
_WAIT_SEC = 60.0  # for another process that is writing
DEFAULT_TRIALS = 30
MAX_DEATHS = 3
_FIRST_JUDGED = 5  # the median of fewer runs says little


@dataclass(frozen=True)
class Plan:
    """Everything that decides a study, as kept in ``study.json``.

    Args:
        fixed: overrides of every trial.
        space: what is searched.
        objectives: what is to be reached.
        settings: of the search.
        config_dir: the user's configs.
        command: what was typed.
    """

    fixed: list[str]
    space: list[Dimension]
    objectives: list[Objective]
    settings: TuneConfig
    config_dir: str | None = None
    command: str = ""

    def write(self, folder: Path) -> None:
        """Keep it."""
        plain = {**asdict(self), "settings": self.settings.model_dump(mode="json")}
        atomic_write(folder / "study.json", json.dumps(plain, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path, allow: Collection[str] = ()) -> Plan:
        """What `write` kept.

        Args:
            folder: of the study.
            allow: what it names and may be imported.

        Raises:
            ConfigError: there is no study in the folder, it names code that is not allowed, or a
                link leads out of it.
        """
        path = folder / "study.json"
        if not path.is_file():
            raise ConfigError(f"no study in '{folder}'", fix="name a folder that `tune` printed, such as runs/…-tune/1")
        plain: dict[str, Any] = read_json(path)
        space = [Dimension(**{**one, "choices": tuple(one["choices"])}) for one in plain["space"]]
        objectives = [Objective(**one) for one in plain["objectives"]]
        settings = check_section(TuneConfig, plain["settings"], str(path))
        plan = cls(plain["fixed"], space, objectives, settings, plain["config_dir"], plain["command"])
        refuse_untyped(plan._imports(), allow, str(path))
        refuse_links(folder)
        return plan

    @property
    def words(self) -> str:
        """What must be typed again when the study is taken up again; mostly nothing."""
        return allow_words([text for _, text in self._imports()])

    def _imports(self) -> Found:
        """All that its trials would import, and the folder of configs, which may name more."""
        points = [f"{d.key}={value}" for d in self.space for value in (d.choices or (d.low,))]
        return [*imported_by([*self.fixed, *points]), *([("config_dir", self.config_dir)] if self.config_dir else [])]

    @property
    def num_trials(self) -> int:
        """How many there are to be in all."""
        if self.settings.trials is not None:
            return self.settings.trials
        return len(grid_points(self.space)) if self.settings.sampler == "grid" else DEFAULT_TRIALS


def grid_points(space: list[Dimension]) -> list[dict[str, Any]]:
    """Every point of a space, the last setting varying fastest.

    Raises:
        ConfigError: a range has no end of values.
    """
    values = [dimension.grid() for dimension in space]
    return [dict(zip((d.key for d in space), point, strict=True)) for point in product(*values)]


class Study:
    """An Optuna study in a folder, shared by any number of processes.

    Args:
        folder: of the study.
        plan: what it searches.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        optuna = load_optuna()
        from filelock import FileLock

        self.folder, self.plan = folder, plan
        self.lock = FileLock(folder / "ask.lock")
        options = {"connect_args": {"timeout": _WAIT_SEC}}
        with self.lock:
            self.storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}", engine_kwargs=options)
            is_new = _NAME not in optuna.get_all_study_names(self.storage)
            self.optuna: Any = optuna.create_study(
                storage=self.storage, study_name=_NAME, load_if_exists=True, pruner=_pruner(plan),
                directions=[{"min": "minimize", "max": "maximize"}[held.mode] for held in plan.objectives],
            )  # fmt: skip
            if is_new and plan.settings.sampler == "grid":
                for point in grid_points(plan.space)[: plan.num_trials]:
                    self.optuna.enqueue_trial(point)

    def trials(self, *states: str) -> list[optuna.trial.FrozenTrial]:
        """All trials, or those in some states, such as "RUNNING"."""
        found: list[Any] = self.optuna.get_trials(deepcopy=False)
        return [trial for trial in found if not states or trial.state.name in states]

    def ask(self, worker: int) -> tuple[optuna.Trial, dict[str, str]] | None:
        """The next trial, taken for a worker, and its settings in Hydra's grammar; None if there is none left."""
        with self.lock:
            trials = self.trials()
            waiting = [trial.number for trial in trials if trial.state.name == "WAITING"]
            if not waiting and len(trials) >= self.plan.num_trials:
                return None
            number = min(waiting) if waiting else len(trials)
            self.optuna.sampler = _sampler(self.plan.settings, number)
            trial = self.optuna.ask()
            assert trial.number == number
            trial.set_user_attr("worker", worker)
            return trial, {dimension.key: dimension.suggest(trial) for dimension in self.plan.space}

    def tell(self, trial: optuna.Trial, values: list[float] | None, state: str) -> None:
        """How a trial ended: "COMPLETE" with its values, "PRUNED" or "FAIL"."""
        states = load_optuna().trial.TrialState
        with self.lock:
            self.optuna.tell(trial, values, state=None if state == "COMPLETE" else states[state])

    def requeue(self, worker: int | None = None, *, count: bool = False) -> list[int]:
        """Let trials wait again whose process is gone: those of one worker, or all that run.

        Args:
            worker: whose; None: everybody's.
            count: a trial that took its process with it so often as `MAX_DEATHS` fails instead.

        Returns:
            Their numbers.
        """
        states = load_optuna().trial.TrialState
        study_id = self.storage.get_study_id_from_name(_NAME)
        with self.lock:
            stale = [t for t in self.trials("RUNNING") if worker is None or t.user_attrs.get("worker") == worker]
            for trial in stale:
                trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
                deaths = trial.user_attrs.get("deaths", 0) + count
                self.storage.set_trial_user_attr(trial_id, "deaths", deaths)
                is_lost = deaths >= MAX_DEATHS
                self.storage.set_trial_state_values(trial_id, states.FAIL if is_lost else states.WAITING)
        return [trial.number for trial in stale]

    def run_folder(self, number: int) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.folder / f"trial-{number}")


def load_optuna() -> Any:
    """Optuna, quiet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune", "python -m scirs_neural.tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _sampler(settings: TuneConfig, number: int) -> Any:
    """The sampler of a trial: what it draws depends on the seed and on the trial's number alone."""
    samplers, seed = load_optuna().samplers, stream_seed("sampler", settings.seed, number) % 2**32
    if settings.sampler == "tpe":
        return samplers.TPESampler(seed=seed, n_startup_trials=settings.startup)
    return samplers.RandomSampler(seed=seed)


def _pruner(plan: Plan) -> Any:
    pruners, chosen = load_optuna().pruners, plan.settings.pruner
    if chosen == "auto":
        chosen = "median" if len(plan.objectives) == 1 else "none"
    if chosen == "median":
        left_alone = min(_FIRST_JUDGED, plan.settings.startup)
        return pruners.MedianPruner(n_startup_trials=left_alone, n_warmup_steps=plan.settings.warmup_epochs)
    return pruners.HyperbandPruner() if chosen == "hyperband" else pruners.NopPruner()


def check_settings(settings: TuneConfig, objectives: list[Objective], space: list[Dimension]) -> None:
    """Refuse settings of the search that are at odds.

    Raises:
        ConfigError: pruning with several objectives, or a grid of endless ranges.
    """
    if len(objectives) > 1 and settings.pruner not in ("auto", "none"):
        raise ConfigError(
            f"tune.pruner={settings.pruner} needs one objective: which of {len(objectives)} is a bad run bad at?",
            fix="tune.pruner=none, or one objective",
        )
    if settings.sampler == "grid":
        grid_points(space)
