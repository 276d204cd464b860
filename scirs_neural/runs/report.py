"""The page that a run leaves behind: ``report.html`` and the plots in it, made from the run's folder alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.core.errors import RefusedError, StorageError
from scirs_neural.core.paths import atomic_write
from scirs_neural.core.terminal import count, duration, number, percent
from scirs_neural.data.pipeline import field_of
from scirs_neural.evaluation.predictions import MetricTraits, Predictions
from scirs_neural.evaluation.report import Evaluation, evaluate
from scirs_neural.plots import page
from scirs_neural.plots.curves import learning_rate, training_curves
from scirs_neural.plots.images import input_grid
from scirs_neural.plots.panel import Easel, Show, cell, sections_of
from scirs_neural.runs.next_steps import next_steps
from scirs_neural.runs.record import RunRecord

_TIMES = {"train_sec": "Training time", "sec_per_epoch": "Time an epoch", "sec_per_fold": "Time a fold"}
_SPOKEN = {"f1": "macro F1", "log_loss": "log loss", "brier": "Brier score", "top5_accuracy": "top-5 accuracy",
           "r2": "R2", "mae": "mean absolute error", "rmse": "RMSE"}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """The predictions for a split with their evaluation."""

    split: str
    pred: Predictions
    evaluation: Evaluation


def write_report(run_dir: str | Path, *, judged: Judged | None = None, show: Show | None = None) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into a run's folder.

    What the run did not leave (test predictions, a batch of inputs) is left out with a note.

    Args:
        run_dir: the run's folder.
        judged: what the page is about, if it is evaluated already; None evaluates the folder's predictions.
        show: from a sample's id to its picture or text, for the worst errors; None opens ids that are image files.

    Returns:
        The page's path.

    Raises:
        DataError: the folder is no run's, or a file in it is damaged.
        StorageError: the page cannot be written.
    """
    run = RunRecord(Path(run_dir))
    judged = judged or _judged(run)
    split = "" if judged is None else judged.split.replace("_", "-")
    easel = Easel(run.path / "plots", show or file_image, split)
    title = f"{_name(run, 'model')} on {_name(run, 'data')}"
    head = [page.paragraph(f"Run {run.name}", muted=True)]
    panels: Sequence[page.Section] = ()
    if judged is not None:
        evaluation = judged.evaluation
        score, traits = evaluation.metrics[evaluation.main], evaluation.traits[evaluation.main]
        note = f"{split} {_spoken(evaluation.main)}, {evaluation.samples:,} samples"
        if evaluation.units != evaluation.samples:
            note += f" of {evaluation.units:,} independent units"
        if evaluation.weighted:
            note += f", weighted by {run.weighted_by}"
        if score.low is not None and score.high is not None:
            note += f"; 95 % interval {_range(score.low, score.high, traits)}"
        head.append(page.big_score(_shown(score.value, traits), note))
        panels = sections_of(evaluation, judged.pred, easel)
    of_one = not run.summary.get("folds")
    sections = [
        _summary(run),
        *_folds(run, judged),
        _scores(split, judged, run.weighted_by),
        *([_curves(run, easel)] if of_one else []),
        *panels,
        *([_inputs(run, easel)] if of_one else []),
        _settings(run),
        _next(run),
    ]
    path = run.path / "report.html"
    atomic_write(path, page.page(title, head, sections))
    return path


def file_image(sample: str) -> np.ndarray | None:
    """The picture of a sample whose id is an image file, small; None if it is none."""
    from scirs_neural.guard.image import opened_image

    if not Path(sample).is_file():
        return None
    try:
        with opened_image(sample) as image:
            image.thumbnail((160, 160))
            return np.asarray(image.convert("RGB"))
    except (RefusedError, StorageError):
        return None


def _judged(run: RunRecord) -> Judged | None:
    for split in ("out_of_fold", "test", "val"):
        pred = run.predictions(split)
        if pred is not None and len(pred):
            return Judged(split, pred, evaluate(pred))
    return None


def _summary(run: RunRecord) -> page.Section:
    model, data = _part(run, "model"), _part(run, "data")
    best, timing = _part(run, "best"), _part(run, "timing")
    size = [f"{model['num_params']:,} parameters"] if model.get("num_params") else []
    size += [f"{count(model['macs'])} multiply-adds a sample"] if model.get("macs") else []
    fields = [] if run.spec is None else [("Input", run.spec.inputs), ("Target", run.spec.targets)]
    rows = [
        ("Model", ", ".join([_name(run, "model"), *size])),
        ("Data", ", ".join(filter(None, [_name(run, "data"), data.get("description")]))),
        ("Samples", ", ".join(f"{split} {n:,}" for split, n in (data.get("sizes") or {}).items())),
        *((what, _fields(held)) for what, held in fields),
        ("About the data", "; ".join(run.summary.get("notes") or ())),
        ("Task", _part(run, "task").get("name")),
        ("Licence of the data", data.get("licence")),
        ("Weights", "" if best.get("epoch") else f"of {_part(run, 'weights').get('of', '')}".removesuffix("of ")),
        (
            "Best epoch",
            f"{number(best['epoch'])}, {best.get('metric')} {number(best.get('value'))}" if best.get("epoch") else "",
        ),
        ("Seed", number(run.config["seed"]) if "seed" in run.config else ""),
        *((_TIMES.get(what, _spoken(what)), duration(sec)) for what, sec in timing.items() if "sec" in what),
        ("Warnings", ", ".join(f"{n} x {text}" for text, n in _part(run, "warnings").items())),
        ("Skipped samples", ", ".join(f"{n:,} of {split}" for split, n in _part(run, "skipped_samples").items() if n)),
    ]
    return page.Section("summary", "Summary", [page.table((), [row for row in rows if row[1]])])


def _fields(fields: Mapping[str, Mapping[str, Any]]) -> str:
    """Inputs or targets in words, with the names of the first classes or numbers."""
    described = []
    for name, spec in fields.items():
        names = [str(held) for held in spec.get("classes") or spec.get("names") or ()]
        first = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        described.append(f"{name}: {field_of(name, spec).describe()}" + (f" ({first})" if names else ""))
    return "; ".join(described)


def _scores(split: str, judged: Judged | None, weighted_by: str) -> page.Section:
    if judged is None:
        note = "The run left no predictions of its test or validation set, so there are no scores with intervals here."
        return page.Section("scores", "Scores", [page.paragraph(note, muted=True)])
    evaluation = judged.evaluation
    rows, without = [], []
    for name, score in evaluation.metrics.items():
        traits = evaluation.traits[name]
        within, end = _range(score.low, score.high, traits), "higher" if traits.better == "max" else "lower"
        rows.append((_spoken(name), _shown(score.value, traits), within or "-", end))
        if score.note:
            without.append(
                f"The {_spoken(name)} has no {'interval' if score.value == score.value else 'value'}: {score.note}."
            )
    drawn = evaluation.settings.get("drawn", evaluation.units)
    of = f" of {evaluation.units:,} independent units" if evaluation.units != evaluation.samples else ""
    blocks = f", drawing {drawn:,} random blocks" if drawn < evaluation.units else ""
    note = (
        f"Of {evaluation.samples:,} {split} samples{of}. Intervals: Wilson's for plain fractions of samples, else the "
        f"percentile bootstrap with {evaluation.settings['num_resamples']:,} resamples{blocks}."
    )
    if split == "val":
        note += " The validation set chose the best epoch, so these figures flatter."
    notes = [page.paragraph(text, muted=True) for text in (note, *without, *evaluation.notes)]
    head = "value" if not evaluation.weighted else f"value, weighted by {weighted_by}"
    table = page.table(("metric", head, "95 % interval", "better"), rows, numeric=(1, 2))
    return page.Section("scores", "Scores", [table, *notes])


def _folds(run: RunRecord, judged: Judged | None) -> Sequence[page.Section]:
    """What each fold of a cross-validation found, and all of them together."""
    folds = run.summary.get("folds")
    if not folds:
        return ()
    traits = {} if judged is None else judged.evaluation.traits
    statistics = _part(run, "scores")
    names = list(statistics)
    chosen = [", ".join(f"{key}={value}" for key, value in fold.get("chosen", {}).items()) for fold in folds]
    head = ["fold", *map(_spoken, names), *(["chosen"] if any(chosen) else [])]
    rows = [
        [
            fold["folder"],
            *(_shown(fold["test"][name], traits.get(name)) for name in names),
            *([what] if any(chosen) else []),
        ]
        for fold, what in zip(folds, chosen, strict=True)
    ]
    over = [
        (
            _spoken(k),
            f"{number(s['mean'], fixed=True)} ± {number(s['std'], fixed=True)}",
            _range(s["low"], s["high"], traits.get(k)) or "-",
        )
        for k, s in statistics.items()
    ]
    parts = [
        page.table(head, rows, numeric=range(1, len(names) + 1)),
        page.table(("over the folds", "mean ± std", "95 % interval of the mean"), over, numeric=(1, 2)),
        page.paragraph("The interval allows for the samples that the folds share (Nadeau and Bengio 2003)."),
    ]
    together = _part(run, "ensemble")
    if together:
        name = (
            judged.evaluation.main
            if judged is not None and judged.evaluation.main in together
            else next(iter(together))
        )
        score = together[name]
        said = (
            f"The folds' networks together on the test set: {_spoken(name)} {_shown(score['value'], traits.get(name))}"
        )
        within = _range(score["low"], score["high"], traits.get(name))
        parts.append(page.paragraph(f"{said}, 95 % interval {within}." if within else f"{said}."))
    return [page.Section("folds", "Folds", parts)]


def _curves(run: RunRecord, easel: Easel) -> page.Section:
    if not run.history:
        return page.Section("curves", "Training", [page.paragraph("There is no metrics.csv.", muted=True)])
    history = {run.name: run.history}
    best = _part(run, "best").get("epoch")
    figure = training_curves(history, best=None if best is None else {run.name: best})
    epochs = len(next(iter(run.history.values())))
    parts = [easel.draw("curves", figure, f"Losses and metrics over {epochs} epochs. {_last_values(run.history)}")]
    if any(name.startswith("lr") for name in run.history):
        parts.append(easel.draw("learning_rate", learning_rate(history), "The learning rate over the epochs."))
    shown = {
        name: [
            str(int(v) + (name == "epoch")) if name in ("epoch", "step") and v is not None else cell(v) for v in held
        ]
        for name, held in run.history.items()
    }
    rows = list(zip(*shown.values(), strict=True))
    caption = "Epochs from 1; metrics.csv counts them from 0"
    table = page.table(list(shown), rows, numeric=range(1, len(shown)), caption=caption)
    return page.Section("curves", "Training", [*parts, page.folded("The numbers", table)])


def _inputs(run: RunRecord, easel: Easel) -> page.Section:
    """The first training batch, where it is of pictures that were normalised."""
    batch, inputs = run.input_batch(), {} if run.spec is None else run.spec.inputs
    spec: Mapping[str, Any] = next((held for held in inputs.values() if "mean" in held and "std" in held), {})
    if batch is None or not spec or batch["images"].ndim != 4:
        return page.Section("inputs", "Inputs", [page.paragraph("The run kept no batch of pictures.", muted=True)])
    targets: Mapping[str, Any] = next(iter(run.spec.targets.values()), {}) if run.spec is not None else {}
    classes = targets.get("classes") or ()
    figure = input_grid(batch["images"], mean=spec["mean"], std=spec["std"], targets=batch["targets"], classes=classes)
    alt = "Training images after augmentation: as pictures, and as the normalised values that the network gets."
    return page.Section("inputs", "Inputs", [easel.draw("inputs", figure, alt)])


def _settings(run: RunRecord) -> page.Section:
    parts = []
    for name, title in (
        ("config.yaml", "Configuration"),
        ("command.txt", "Command"),
        ("environment.json", "Environment"),
    ):
        path = run.path / name
        if path.is_file():
            parts.append(page.folded(title, page.code(path.read_text(encoding="utf-8", errors="replace").strip())))
    return page.Section("settings", "Settings", parts or [page.paragraph("None were kept.", muted=True)])


def _next(run: RunRecord) -> page.Section:
    commands = next_steps(run.path, run.summary) if "sizes" in _part(run, "data") else {}
    if run.splits:
        compare = f"python -m scirs_neural.compare {shlex.quote(str(run.path))} OTHER_RUN"
        commands["compare it with another on the same samples"] = compare
    if not commands:
        return page.Section("next", "Next", [page.paragraph("Nothing: the run has no predictions yet.", muted=True)])
    text = "\n".join(f"# {what}\n{command}" for what, command in commands.items())
    return page.Section("next", "Next", [page.code(text)])


def _part(run: RunRecord, name: str) -> Mapping[str, Any]:
    part = run.summary.get(name)
    return part if isinstance(part, Mapping) else {}


def _name(run: RunRecord, what: str) -> str:
    configured = run.config.get(what)
    name = _part(run, what).get("name") or (configured.get("name") if isinstance(configured, Mapping) else None)
    return str(name or f"a {what}")


def _spoken(name: str) -> str:
    target, slash, metric = name.rpartition("/")
    return f"{target}{slash}{_SPOKEN.get(metric, metric.replace('_', ' '))}"


def _shown(value: float | None, traits: MetricTraits | None) -> str:
    if value is None or value != value:
        return "-"
    return percent(value) if traits is not None and traits.percent else number(value, fixed=True)


def _range(low: float | None, high: float | None, traits: MetricTraits | None) -> str:
    return "" if low is None or high is None else f"{_shown(low, traits)} to {_shown(high, traits)}"


def _last_values(history: Mapping[str, Sequence[float | None]]) -> str:
    last = {name: [v for v in column if v is not None][-1:] for name, column in history.items() if "/" in name}
    return "At the end: " + ", ".join(f"{name} {number(value[0])}" for name, value in last.items() if value) + "."
