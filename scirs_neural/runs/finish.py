"""How a run ends: its figures with intervals, the report, sample images, and what to type next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.core.paths import atomic_write
from scirs_neural.evaluation.numbers import load_predictions
from scirs_neural.evaluation.report import Evaluation, evaluate_predictions
from scirs_neural.runs.next_steps import next_steps
from scirs_neural.runs.report import write_report
from scirs_neural.runs.train import RunResult

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
    split = next((s for s in ("test", "val") if folder.predictions(s).is_file()), None)
    evaluation = None
    if split is not None:
        evaluation = evaluate_predictions(load_predictions(folder.predictions(split)))
        atomic_write(folder.path / f"evaluation-{split}.json", evaluation.to_json() + "\n")
        if done.data.spec.input["kind"] == "image":
            _save_samples(done, split)
    write_report(folder.path, images=_image_source(done, split))
    terminal.summary(console, _summary(done, evaluation, split))
    return evaluation


def _summary(done: RunResult, evaluation: Evaluation | None, split: str | None) -> dict[str, Any]:
    summary, place = done.summary, _short(done.folder.path)
    shown: dict[str, Any] = {}
    if evaluation is not None:
        main = evaluation.metrics[evaluation.main]
        shown["score"] = {
            "name": f"{split} {evaluation.main}", "value": main.value, "low": main.low, "high": main.high,
            "samples": evaluation.samples,
        }  # fmt: skip
    best, timing = summary["best"], summary["timing"]
    facts: dict[str, Any] = {}
    if best:
        facts["best epoch"] = f"{best['epoch']} of {summary['epochs']}, {best['metric']} {best['value']:.4f}"
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
        "checkpoints/": "best.ckpt and last.ckpt",
        "predictions/": "class probabilities of every sample",
    }
    shown["next"] = next_steps(place, summary)
    return shown


def _save_samples(done: RunResult, split: str) -> None:
    """A few images of the split as files, named by their true class, to try the run on."""
    samples = done.folder.path / "samples"
    samples.mkdir(exist_ok=True)
    dataset = done.data.dataset(split)
    for index in np.unique(np.linspace(0, len(dataset) - 1, NUM_SAMPLES).astype(int)).tolist():
        target = dataset.targets[index]
        label = done.data.spec.target["classes"][int(target)] if target.ndim == 0 else "several"
        (held,) = done.data.pipeline.inputs.values()
        held.write_samples({f"{index}-{Path(label).name}": dataset.raw(index)[held.name]}, samples)


def _image_source(done: RunResult, split: str | None) -> Callable[[str], np.ndarray] | None:
    if split is None or done.data.spec.input["kind"] != "image":
        return None
    dataset = done.data.dataset(split)
    place = {str(name): index for index, name in enumerate(dataset.ids)}
    return lambda name: np.asarray(dataset.show(place[name]))


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
