"""``cv=5``: one run a fold under one parent folder, and what they are worth together.

The folds divide the training samples. Each fold's run is a run like any other, whose test split is its part: its
``config.yaml`` says so (``data.folds``), so it can be looked at, judged and run again alone. Its best epoch is chosen
on validation samples taken from the other parts, so a part is seen by nothing that decides. What the data holds out as
its test split stays out of all folds; at the end the folds' nets answer it together.

The parent folder: ``fold-1 … fold-5`` (``repeat-2-fold-1 …`` with repeats), ``predictions/out_of_fold`` (every sample
once; ``out_of_fold-2`` … for further repeats), ``predictions/test`` (the folds' networks together, where their answers
have a mean), ``evaluation-*.json``, ``summary.json``, ``report.html``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from scirs_neural.config.compose import vary
from scirs_neural.config.imports import import_strings
from scirs_neural.config.overrides import as_override
from scirs_neural.config.saved import words_for
from scirs_neural.config.schema import CrossValidationConfig, FoldConfig, RunConfig
from scirs_neural.core.errors import CheckpointError, ConfigError, DataError, ScirsError, raise_all
from scirs_neural.core.paths import atomic_write, refuse_links
from scirs_neural.data.module import DataModule
from scirs_neural.data.spec import DataSpec
from scirs_neural.evaluation.fold_statistics import FoldStatistics, over_folds
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.evaluation.report import Evaluation
from scirs_neural.guard.text import read_json
from scirs_neural.runs.build import make_data, make_task
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.predictor import run_predictor
from scirs_neural.runs.record import RunRecord, differences
from scirs_neural.runs.train import RunResult, train_run
from scirs_neural.tasks.collect import collect
from scirs_neural.tasks.judging import judge
from scirs_neural.tasks.task import Task

OUT_OF_FOLD = "out_of_fold"
_MAX_SHOWN = 3


@dataclass(frozen=True)
class CrossValidated:
    """A cross-validation that has ended.

    Args:
        folder: the parent of the folds' runs.
        statistics: metrics over the folds by name.
        pooled: the predictions of all folds of the first repeat: every sample by the network that had not seen it.
        out_of_fold: the same, judged.
        together: the folds' networks on the test split, judged; None if there is none, or their answers have no mean.
        summary: as in ``summary.json``.
    """

    folder: RunFolder
    statistics: dict[str, FoldStatistics]
    pooled: Predictions
    out_of_fold: Evaluation
    together: Evaluation | None
    summary: dict[str, Any]


def cross_validate(
    config: RunConfig, console: Console, *, after_run: Callable[[RunResult, Console], object] | None = None
) -> CrossValidated:
    """Run every fold that has not ended yet, and put together what they found.

    Args:
        config: with ``cv.folds``; ``trainer.resume`` names the parent folder of one that was broken off, or is auto.
        console: where progress is reported.
        after_run: called with each fold's finished run and a silent console, such as to write its report.

    Raises:
        ConfigError: a setting of the grid is wrong, or the resumed cross-validation is another one. Nothing is run.
        DataError: there are too few samples for the folds.
    """
    config = on_one_device(config)
    points = check_grid(config)
    outer = make_data(config)
    folder = _begin(config)
    folds = list(plan(config))
    rows = []
    for number, (name, of_fold) in enumerate(folds, start=1):
        run = RunFolder(folder.path / name)
        if run.summary.is_file():
            console.print(f"[{number}/{len(folds)}] {name}: finished before", soft_wrap=True)
        else:
            console.print(f"[{number}/{len(folds)}] {name}", soft_wrap=True)
            chosen = _choose(of_fold, points, run, console, config.cv.inner) if points else of_fold
            done = _run(chosen, run, console)
            if after_run is not None:
                after_run(done, Console(quiet=True))
        rows.append(run)
    return _put_together(config, outer, folder, rows)


def check_cross_validation(config: RunConfig) -> RunConfig:
    """Look at the grid and the folds without running anything; the configuration of the first fold.

    Raises:
        ConfigError: a setting of the grid is wrong, or several devices were asked for.
    """
    config = on_one_device(config)
    check_grid(config)
    if config.trainer.resume not in (None, "auto"):
        RunFolder.find(str(config.trainer.resume))
    return next(plan(config))[1]


def plan(config: RunConfig) -> Iterator[tuple[str, RunConfig]]:
    """The folds of a configuration: the name of each, and its configuration before anything is chosen within it."""
    cv = config.cv
    for repeat, index in product(range(cv.repeats), range(cv.folds)):
        name = f"fold-{index + 1}" if cv.repeats == 1 else f"repeat-{repeat + 1}-fold-{index + 1}"
        yield name, _within(config, FoldConfig(index=index, of=cv.folds, repeat=repeat))


def check_grid(config: RunConfig) -> list[dict[str, Any]]:
    """Every combination of the grid's values: setting to value. None without a grid.

    Raises:
        ConfigError: a combination is wrong; all of them are looked at.
    """
    grid = config.cv.grid
    if not grid:
        return []
    if empty := [key for key, values in grid.items() if not values]:
        fix = "give a list: {optimizer.lr:[0.01,0.001]}"
        raise ConfigError(f"cv.grid has no value for {', '.join(empty)}", fix=fix)
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    faults: list[ScirsError] = []
    for point in points:
        for key in point:
            if key.partition(".")[0] in ("cv", "paths", "seed") or key.startswith(("data.folds", "trainer.resume")):
                fix = "choose among settings that a fold learns with"
                faults.append(ConfigError(f"cv.grid cannot choose '{key}'", fix=fix))
        try:
            _at(config, point)
        except ConfigError as error:
            faults.append(error)
    raise_all(faults)
    return points


def on_one_device(
    config: RunConfig,
    who: str = "cross-validation trains each run",
    instead: str = ", or run one fold alone: data.folds=[{index:0,of:5}]",
) -> RunConfig:
    """The same configuration with one device a run: many runs share this process.

    Args:
        config: of all runs.
        who: wants it, for the error.
        instead: what else can be done, for the error.

    Raises:
        ConfigError: several devices or machines were asked for.
    """
    asked, nodes = config.trainer.devices, config.trainer.num_nodes
    if nodes > 1 or not (asked in ("auto", 1, "1") or (isinstance(asked, list) and len(asked) == 1)):
        what = f"{who} on one device, not trainer.devices={asked}, trainer.num_nodes={nodes}"
        raise ConfigError(what, fix=f"leave both out{instead}")
    one = asked if isinstance(asked, list) else 1
    return config.model_copy(update={"trainer": config.trainer.model_copy(update={"devices": one})})


def _begin(config: RunConfig) -> RunFolder:
    resumed = config.trainer.resume
    folder = RunFolder.of(config, f"{config.data.name}-{Path(config.model.name.partition(':')[0]).stem}-cv")
    if resumed in (None, "auto"):
        folder.begin(config)
        return folder
    refuse_links(folder.path)
    before = RunRecord(folder.path).config
    now = config.model_dump(mode="json")
    for one in (before, now):
        one.get("trainer", {}).pop("resume", None)
        one.pop("paths", None)
    changed = sorted(differences({"before": before, "now": now}))
    if changed:
        more = f" and {len(changed) - _MAX_SHOWN} others" if len(changed) > _MAX_SHOWN else ""
        raise ConfigError(
            f"the cross-validation in '{resumed}' had other settings: {', '.join(changed[:_MAX_SHOWN])}{more}",
            fix=f"python -m scirs_neural.train --from {resumed} trainer.resume={resumed}{words_for(folder.config)}",
        )
    return folder


def _within(config: RunConfig, fold: FoldConfig) -> RunConfig:
    data = config.data.model_copy(update={"folds": [*config.data.folds, fold]})
    trainer = config.trainer.model_copy(update={"resume": None})
    return config.model_copy(update={"data": data, "trainer": trainer, "cv": CrossValidationConfig()})


def _at(config: RunConfig, point: dict[str, Any]) -> RunConfig:
    return vary(config, [as_override(key, value) for key, value in point.items()], config_groups())


def _run(config: RunConfig, run: RunFolder, console: Console, splits: tuple[str, ...] = ("val", "test")) -> RunResult:
    """Train one run in its folder, from its newest checkpoint if it was broken off."""
    run.path.mkdir(parents=True, exist_ok=True)
    if run.last.is_file():
        config = config.model_copy(update={"trainer": config.trainer.model_copy(update={"resume": str(run.path)})})
    return train_run(config, console=console, folder=run, splits=splits)


def _choose(fold: RunConfig, points: list[dict[str, Any]], run: RunFolder, console: Console, parts: int) -> RunConfig:
    """The fold's configuration at the point of the grid that is best within the fold's own training samples."""
    kept = run.path / "choice.json"
    if not kept.is_file():
        tried = []
        for number, point in enumerate(points, start=1):
            found = []
            for index in range(parts):
                inner = RunFolder(run.path / f"choice-{number}" / f"inner-{index + 1}")
                if not inner.summary.is_file():
                    console.print(f"{run.path.name}, choice {number} of {len(points)}, part {index + 1} of {parts}")
                    _run(_within(_at(fold, point), FoldConfig(index=index, of=parts)), inner, console, ("test",))
                found.append(load_predictions(inner.predictions("test")))
            first, scores = found[0], _over_folds(found, parts)
            tried.append({"settings": point, "scores": {name: asdict(held) for name, held in scores.items()}})
        main = first.main_metric_of(first.header)
        sign = 1 if first.metrics_of(first.header)[main] == "max" else -1
        best = max(range(len(tried)), key=lambda i: sign * tried[i]["scores"][main]["mean"])
        run.path.mkdir(parents=True, exist_ok=True)
        atomic_write(kept, json.dumps({"by": main, "chosen": points[best], "tried": tried}, indent=1) + "\n")
    chosen: dict[str, Any] = read_json(kept, allow_nan=True)["chosen"]
    if json.dumps(chosen) not in map(json.dumps, points):  # the file's own settings are not followed
        raise CheckpointError(f"the choice is none of cv.grid: {chosen!r}", where=str(kept), fix=f"remove {kept}")
    settings = ", ".join(f"{key}={value}" for key, value in chosen.items())
    console.print(f"{run.path.name}: chosen {settings}", soft_wrap=True)
    return _at(fold, chosen)


def _over_folds(parts: Sequence[Predictions], folds: int) -> dict[str, FoldStatistics]:
    """The metrics over the folds, the one that ranks first."""
    first = parts[0]
    main = first.main_metric_of(first.header)
    found = over_folds([part.score() for part in parts], folds, first.traits_of(first.header))
    return {main: found[main], **found}


def _put_together(config: RunConfig, outer: DataModule, folder: RunFolder, runs: list[RunFolder]) -> CrossValidated:
    cv, task = config.cv, make_task(config, outer.spec)
    parts = [load_predictions(run.predictions("test")) for run in runs]
    found = _over_folds(parts, cv.folds)
    pooled, judged = [], []
    for repeat in range(cv.repeats):
        pooled.append(_pooled(parts[repeat * cv.folds : (repeat + 1) * cv.folds]))
        name = OUT_OF_FOLD if repeat == 0 else f"{OUT_OF_FOLD}-{repeat + 1}"
        judged.append(_judge(task, pooled[-1], name, folder))
    together = None
    if outer.spec.sizes["test"] and parts[0].columns_of("averaged"):
        typed = [text for _, text in import_strings(config.model_dump())]
        answers = [_answers(run, outer, typed) for run in runs]
        together = _judge(task, type(answers[0]).average(answers), "test", folder)
    summary = _summary(config, outer, runs, found, judged, together)
    folder.write_summary(summary)
    return CrossValidated(folder, found, pooled[0], judged[0], together, summary)


def _pooled(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of the folds of one repeat as one set.

    Raises:
        DataError: two folds tested one sample.
    """
    try:
        return type(parts[0]).concat(parts)
    except DataError as error:
        raise DataError(f"the folds do not fit together: {error.what}", fix="run the folds anew") from error


def _judge(task: Task, pred: Predictions, name: str, folder: RunFolder) -> Evaluation:
    pred.save(folder.predictions(name))
    evaluation = judge(task, pred)
    atomic_write(folder.path / f"evaluation-{name}.json", evaluation.to_json() + "\n")
    return evaluation


def _answers(run: RunFolder, outer: DataModule, allow: list[str]) -> Predictions:
    """What a fold's network answers for the test split that was kept out of all folds."""
    path = run.predictions("outer_test")
    if not path.exists():
        spec = DataSpec.from_dict(run.read_summary()["data"])
        use = run_predictor(run, run.read_config(config_groups(), allow=allow))
        outer.use_spec(spec)  # each network's inputs are scaled as its own training samples say
        loader, units = outer.eval_dataloader("test"), outer.units("test")
        collect(use.task, use.model, loader, units=units).save(path)
    return load_predictions(path)


def _summary(
    config: RunConfig,
    outer: DataModule,
    runs: list[RunFolder],
    found: dict[str, FoldStatistics],
    judged: list[Evaluation],
    together: Evaluation | None,
) -> dict[str, Any]:
    ended = [run.read_summary() for run in runs]
    folds = []
    for place, (run, one) in enumerate(zip(runs, ended, strict=True)):
        choice = run.path / "choice.json"
        folds.append({
            "folder": run.path.name, "best": one["best"], "val": one["val"], "epochs": one["epochs"],
            "test": {name: _finite(held.values[place]) for name, held in found.items()},
            "samples": one["data"]["sizes"],
            **({"chosen": read_json(choice, allow_nan=True)["chosen"]} if choice.is_file() else {}),
        })  # fmt: skip
    seconds = sum(one["timing"]["train_sec"] for one in ended)
    val = {name: float(np.mean([one["val"][name] for one in ended])) for name in ended[0]["val"]}
    main = next(iter(found))  # the one that ranks
    return {
        "name": f"{outer.spec.name}-{config.model.name}-cv",
        "seed": config.seed,
        "model": ended[0]["model"],
        "data": outer.spec.to_dict(),
        "cv": config.cv.model_dump(mode="json"),
        "folds": folds,
        "best": {"metric": f"val/{main}", "value": val.get(main)},
        "val": val,
        "test": {name: _finite(held.mean) for name, held in found.items()},
        "scores": {name: {k: _finite(v) for k, v in asdict(held).items()} for name, held in found.items()},
        "out_of_fold": [evaluation.to_dict()["metrics"] for evaluation in judged],
        "ensemble": together.to_dict()["metrics"] if together else {},
        "epochs": sum(one["epochs"] for one in ended),
        "timing": {"train_sec": round(seconds, 2), "sec_per_fold": round(seconds / len(runs), 2)},
        "warnings": dict(sum((Counter(one["warnings"]) for one in ended), Counter())),
    }  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
