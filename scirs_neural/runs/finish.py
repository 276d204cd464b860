"""How a run ends: its figures with intervals, the report, sample images, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.core.errors import DataError
from scirs_neural.core.paths import atomic_write, from_here
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.evaluation.report import Evaluation
from scirs_neural.plots.panel import Show
from scirs_neural.runs.next_steps import next_steps
from scirs_neural.runs.record import RunRecord
from scirs_neural.runs.report import Judged, write_report
from scirs_neural.runs.train import RunResult
from scirs_neural.tasks.judging import judge

NUM_SAMPLES = 8


def finish(done: RunResult, console: Console) -> Evaluation | None:
    """Judge the test predictions, write report and samples, and print how the run ended.

    Args:
        done: the run.
        console: where to print.

    Returns:
        The judgement of the test set, or of the validation set where there is no test set; None without either.
    """
    folder = done.folder
    split = next((s for s in ("test", "val") if folder.predictions(s).exists()), None)
    judged = None
    if split is not None:
        pred = load_predictions(folder.predictions(split))
        judged = Judged(split, pred, judge(done.task, pred))
        atomic_write(folder.path / f"evaluation-{split}.json", judged.evaluation.to_json() + "\n")
        _save_samples(done, split)
    write_report(folder.path, judged=judged, show=None if split is None else _show(done, split))
    evaluation = None if judged is None else judged.evaluation
    terminal.summary(console, _summary(done, evaluation, split))
    return evaluation


def _summary(done: RunResult, evaluation: Evaluation | None, split: str | None) -> dict[str, Any]:
    summary, place = done.summary, from_here(done.folder.path)
    shown: dict[str, Any] = {}
    if evaluation is not None:
        main = evaluation.metrics[evaluation.main]
        by = f", weighted by {RunRecord(done.folder.path).weighted_by}," if evaluation.weighted else ""
        shown["score"] = {
            "name": f"{split} {evaluation.main}{by}", "value": main.value, "low": main.low, "high": main.high,
            "samples": evaluation.samples, "percent": evaluation.traits[evaluation.main].percent,
        }  # fmt: skip
    best, timing = summary["best"], summary["timing"]
    facts: dict[str, Any] = {}
    if best:
        facts["best epoch"] = f"{best['epoch']} of {summary['epochs']}, {best['metric']} {best['value']:.4f}"
    else:
        facts["weights"] = f"of the last epoch, {summary['epochs']}: no epoch was ranked"
    facts["time"] = f"{terminal.duration(timing['train_sec'])}, {terminal.duration(timing['sec_per_epoch'])} an epoch"
    skipped = {name: count for name, count in summary["skipped_samples"].items() if count}
    if skipped:
        facts["skipped"] = [f"{count} unreadable samples of the {name} split" for name, count in skipped.items()]
    if summary["warnings"]:
        facts["warnings"] = [f"{count} x {text}" for text, count in summary["warnings"].items()]
    shown["facts"] = facts
    shown["folder"] = str(place)
    shown["written"] = {
        "report.html": "everything about the run, on one page",
        "summary.json": "its figures",
        "metrics.csv": "one row an epoch",
        "config.yaml": "the whole configuration",
        "checkpoints/": f"{summary['weights']['checkpoint']}, the weights that were judged; what training goes on from",
        "predictions/": "the answer to every sample",
    }
    shown["next"] = next_steps(place, summary)
    return shown


def _save_samples(done: RunResult, split: str) -> None:
    """A few samples of the split as files, named by their class, to try the run on; a kind of input may have none."""
    if len(done.data.pipeline.inputs) != 1:
        return
    (field,) = done.data.pipeline.inputs.values()
    dataset = done.data.dataset(split)
    values = {}
    for index in np.unique(np.linspace(0, len(dataset) - 1, NUM_SAMPLES).astype(int)).tolist():
        raw = dataset.raw(index)
        values["-".join([str(index), *_class_names(done.data.spec.targets, raw)])] = raw[field.name]
    folder = done.folder.path / "samples"
    folder.mkdir(exist_ok=True)
    field.write_samples(values, folder)
    if not any(folder.iterdir()):
        folder.rmdir()


def _class_names(targets: Mapping[str, Mapping[str, Any]], raw: Mapping[str, Any]) -> list[str]:
    """The names of a sample's classes, where its targets are single classes; safe in the name of a file."""
    found = []
    for name, spec in targets.items():
        value, classes = raw.get(name), spec.get("classes") or ()
        if isinstance(value, int | np.integer) and 0 <= value < len(classes):
            found.append(Path(str(classes[int(value)])).name)
    return found


def _show(done: RunResult, split: str) -> Show:
    """From a sample's id to its picture or text."""
    dataset = done.data.dataset(split)
    place = {str(name): index for index, name in enumerate(dataset.ids)}

    def show(name: str) -> Any:
        try:
            return dataset.show(place[name])
        except (KeyError, DataError):  # it is gone since
            return None

    return show
