"""How a search ended: the table of trials, the best or the Pareto front, what mattered, and what to type next."""

from __future__ import annotations

import csv
import io
import json
import shlex
from typing import Any

from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.paths import atomic_write, from_here
from scirs_neural.tuning.storage import Study, load_optuna

_SHOWN = 10
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting", "RUNNING": "running"}


def conclude(study: Study) -> dict[str, Any]:
    """Put together how a search ended, and keep it as ``summary.json`` and ``trials.csv``.

    Raises:
        ConfigError: not one trial was completed.
    """
    plan, optuna = study.plan, load_optuna()
    rows = [_row(study, trial) for trial in study.trials()]
    complete = study.trials("COMPLETE")
    if not complete:
        reasons = [trial.user_attrs["error"] for trial in study.trials() if "error" in trial.user_attrs]
        raise ConfigError(
            f"not one of {len(rows)} trials was completed{f': {reasons[-1]}' if reasons else ''}",
            where=str(study.folder),
            fix="another search space, or tune.pruner=none",
        )
    front = study.optuna.best_trials if len(plan.objectives) > 1 else [study.optuna.best_trial]
    front = sorted(front, key=lambda t: t.values[0], reverse=plan.objectives[0].mode == "max")
    importance = {}
    for place, objective in enumerate(plan.objectives):
        try:
            importance[objective.name] = optuna.importance.get_param_importances(
                study.optuna,
                evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
                target=lambda trial, place=place: trial.values[place],
            )
        except (ValueError, RuntimeError):  # one trial, or none that differs from the others
            importance[objective.name] = {}
    summary = {
        "objectives": {objective.name: objective.mode for objective in plan.objectives},
        "trials": rows,
        "states": {word: sum(row["state"] == word for row in rows) for word in dict.fromkeys(_STATES.values())},
        "best": [_row(study, trial) for trial in front],
        "importance": importance,
        "next": train_command(study, front[0]),
    }
    atomic_write(study.folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    atomic_write(study.folder / "trials.csv", _as_csv(rows))
    return summary


def train_command(study: Study, trial: Any) -> str:
    """The command that trains with a trial's settings."""
    chosen = [f"{key}={value}" for key, value in _settings(study, trial).items()]
    directory = ["--config-dir", study.plan.config_dir] if study.plan.config_dir else []
    return shlex.join(["python", "-m", "scirs_neural.train", *directory, *study.plan.fixed, *chosen])


def show(study: Study, summary: dict[str, Any], console: Console) -> None:
    """Print the best trials, what mattered, and what to type next."""
    names, keys = list(summary["objectives"]), [dimension.key for dimension in study.plan.space]
    several = len(names) > 1
    ranked = [row for row in summary["trials"] if row["state"] == "complete"]
    ranked.sort(key=lambda row: row["values"][names[0]], reverse=summary["objectives"][names[0]] == "max")
    shown = summary["best"] if several else ranked[:_SHOWN]
    title = f"the Pareto front: {len(shown)} trials that no other beats" if several else f"the best {len(shown)} trials"
    console.print()
    cells = [
        [row["folder"], *(row["values"][name] for name in names), *(row["settings"][key] for key in keys)]
        for row in shown
    ]
    terminal.table(console, ["trial", *names, *keys], cells, title=title)
    for name, found in summary["importance"].items():
        if found:
            console.print()
            rows = [[key, terminal.percent(share)] for key, share in found.items()]
            terminal.table(console, ["setting", "importance"], rows, title=f"what decides {name}")
    best, folder = summary["best"][0], from_here(study.folder)
    counts = ", ".join(f"{count} {word}" for word, count in summary["states"].items() if count)
    console.print()
    figures = ", ".join(f"{name} {terminal.number(best['values'][name], fixed=True)}" for name in names)
    terminal.summary(
        console,
        {
            "facts": {"best": f"{best['folder']}: {figures}", "trials": counts},
            "folder": str(folder),
            "written": {
                "trials.csv": "every trial",
                "summary.json": "the same, with importances",
                "trial-…/": "a run folder a trial",
            },
            "next": {
                "train with the best settings": summary["next"],
                "search on": f"python -m scirs_neural.tune --resume {folder}{study.plan.words} "
                f"tune.trials={2 * study.plan.num_trials}",
            },
        },
    )


def _row(study: Study, trial: Any) -> dict[str, Any]:
    took = (
        (trial.datetime_complete - trial.datetime_start) if trial.datetime_complete and trial.datetime_start else None
    )
    last = trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None
    names = [objective.name for objective in study.plan.objectives]
    values = dict(zip(names, trial.values, strict=True)) if trial.values else {names[0]: last}
    return {
        "number": trial.number,
        "state": _STATES[trial.state.name],
        "values": values,
        "settings": _settings(study, trial),
        "sec": None if took is None else round(took.total_seconds(), 2),
        "folder": study.run_folder(trial.number).path.name,
        **({"error": trial.user_attrs["error"]} if "error" in trial.user_attrs else {}),
    }


def _settings(study: Study, trial: Any) -> dict[str, str]:
    """The settings that a trial chose, in Hydra's grammar."""
    found = {}
    for dimension in study.plan.space:
        value = trial.params.get(dimension.key)
        found[dimension.key] = value if isinstance(value, str) else repr(value)
    return found


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    values, settings = list(rows[0]["values"]), list(rows[0]["settings"])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", *values, *settings, "sec", "folder"])
    for row in rows:
        figures = [row["values"].get(name) for name in values]
        writer.writerow([row["number"], row["state"], *figures, *row["settings"].values(), row["sec"], row["folder"]])
    return text.getvalue()
