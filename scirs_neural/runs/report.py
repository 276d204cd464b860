"""The page that a run leaves behind: ``report.html`` and the plots in it, made from the run's folder alone."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scirs_neural.core.errors import RefusedError, StorageError
from scirs_neural.core.paths import atomic_write, storage_errors
from scirs_neural.core.terminal import count, duration, number, percent
from scirs_neural.evaluation import Evaluation, evaluate_predictions
from scirs_neural.plots import page
from scirs_neural.plots.calibration import reliability_diagram
from scirs_neural.plots.confusion import confusion_matrix, label_counts, most_confused
from scirs_neural.plots.curves import learning_rate, training_curves
from scirs_neural.plots.images import ImageSource, input_grid, worst_errors
from scirs_neural.plots.style import png
from scirs_neural.runs.next_steps import next_steps
from scirs_neural.runs.record import RunRecord

SHARES = ("accuracy", "balanced_accuracy", "top5_accuracy", "exact_match", "calibration_error")
_TIMES = {"train_sec": "Training time", "sec_per_epoch": "Time an epoch", "sec_per_fold": "Time a fold"}
_CSS_PX = 96
_MAX_CLASSES = 40  # classes in the open table; all of them are in the folded one
_MAX_MISTAKES = 20


def write_report(run_dir: str | Path, *, images: ImageSource | None = None) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into a run's folder.

    What the run did not leave (test predictions, a batch of inputs) is left out with a note.

    Args:
        run_dir: the run's folder.
        images: from a sample's id to its picture, for the worst errors; None opens ids that are image files.

    Returns:
        The page's path.

    Raises:
        DataError: the folder is no run's, or a file in it is damaged.
        StorageError: the page cannot be written.
    """
    run = RunRecord(Path(run_dir))
    split, evaluation = _evaluation(run)
    title = f"{_name(run, 'model')} on {_name(run, 'data')}"
    head = [page.paragraph(f"Run {run.name}", muted=True)]
    if evaluation is not None:
        score = evaluation.metrics[evaluation.main]
        note = f"{split} {_spoken(evaluation.main)}, {evaluation.samples:,} samples"
        if score.low is not None and score.high is not None:
            note += f"; 95 % interval {_shown(evaluation.main, score.low)} to {_shown(evaluation.main, score.high)}"
        head.append(page.big_score(_shown(evaluation.main, score.value), note))
    sections = [
        _summary(run),
        *_folds(run),
        _scores(split, evaluation),
        *([] if run.summary.get("folds") else [_curves(run)]),
        *(
            _evaluated(run, split, evaluation, images or file_image)
            if evaluation is not None and evaluation.per_class
            else ()
        ),
        *([] if run.summary.get("folds") else [_inputs(run)]),
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


def _evaluation(run: RunRecord) -> tuple[str, Evaluation | None]:
    for split in ("out_of_fold", "test", "val"):
        pred = run.predictions(split)
        if pred is not None and len(pred):
            return split.replace("_", "-"), evaluate_predictions(pred)
    return "", None


def _summary(run: RunRecord) -> page.Section:
    model, data = _part(run, "model"), _part(run, "data")
    best, timing = _part(run, "best"), _part(run, "timing")
    size = [f"{model['num_params']:,} parameters"] if model.get("num_params") else []
    size += [f"{count(model['macs'])} multiply-adds a sample"] if model.get("macs") else []
    classes = list(data.get("classes") or ())
    shown = ", ".join(classes[:12]) + (", …" if len(classes) > 12 else "")
    rows = [
        ("Model", ", ".join([_name(run, "model"), *size])),
        ("Data", ", ".join(filter(None, [_name(run, "data"), data.get("description")]))),
        ("Samples", ", ".join(f"{split} {n:,}" for split, n in (data.get("sizes") or {}).items())),
        ("Classes", f"{len(classes)}: {shown}" if classes else ""),
        ("Licence of the data", data.get("licence")),
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


def _scores(split: str, evaluation: Evaluation | None) -> page.Section:
    if evaluation is None:
        note = "The run left no predictions of its test or validation set, so there are no scores with intervals here."
        return page.Section("scores", "Scores", [page.paragraph(note, muted=True)])
    rows = [
        (_spoken(name), _shown(name, score.value), _range(name, score.low, score.high))
        for name, score in evaluation.metrics.items()
    ]
    note = (
        f"Of {evaluation.samples:,} {split} samples. Intervals: Wilson's for shares of samples, else the percentile "
        f"bootstrap with {evaluation.settings['num_resamples']:,} resamples."
    )
    if split == "val":
        note += " The validation set chose the best epoch, so these figures flatter."
    return page.Section(
        "scores",
        "Scores",
        [page.table(("score", "value", "95 % interval"), rows, numeric=(1, 2)), page.paragraph(note, muted=True)],
    )


def _folds(run: RunRecord) -> Sequence[page.Section]:
    """What each fold of a cross-validation found, and all of them together."""
    folds = run.summary.get("folds")
    if not folds:
        return ()
    spreads = _part(run, "scores")
    names = list(spreads)
    chosen = [", ".join(f"{key}={value}" for key, value in fold.get("chosen", {}).items()) for fold in folds]
    head = ["fold", *map(_spoken, names), *(["chosen"] if any(chosen) else [])]
    rows = [
        [fold["folder"], *(_range_cell(name, fold["test"][name]) for name in names), *([what] if any(chosen) else [])]
        for fold, what in zip(folds, chosen, strict=True)
    ]
    spread = [
        (
            _spoken(k),
            f"{number(s['mean'], fixed=True)} ± {number(s['std'], fixed=True)}",
            _range(k, s["low"], s["high"]),
        )
        for k, s in spreads.items()
    ]
    parts = [
        page.table(head, rows, numeric=range(1, len(names) + 1)),
        page.table(("over the folds", "mean ± std", "95 % interval of the mean"), spread, numeric=(1, 2)),
        page.paragraph("The interval allows for the samples that the folds share (Nadeau and Bengio 2003)."),
    ]
    together = _part(run, "ensemble")
    if together:
        name, score = next(iter(together.items()))
        said = f"The folds' nets together on the test set: {_spoken(name)} {_shown(name, score['value'])}"
        parts.append(page.paragraph(f"{said}, 95 % interval {_range(name, score['low'], score['high'])}."))
    return [page.Section("folds", "Folds", parts)]


def _range_cell(name: str, value: float | None) -> str:
    return "-" if value is None else _shown(name, value)


def _curves(run: RunRecord) -> page.Section:
    if not run.history:
        return page.Section("curves", "Training", [page.paragraph("There is no metrics.csv.", muted=True)])
    history = {run.name: run.history}
    best = _part(run, "best").get("epoch")
    figure = training_curves(history, best=None if best is None else {run.name: best})
    epochs = len(next(iter(run.history.values())))
    parts = [_plot(run, "curves", figure, f"Losses and metrics over {epochs} epochs. {_last_values(run.history)}")]
    if any(name.startswith("lr") for name in run.history):
        parts.append(_plot(run, "learning_rate", learning_rate(history), "The learning rate over the epochs."))
    rows = [[_cell(value) for value in row] for row in zip(*run.history.values(), strict=True)]
    caption = "metrics.csv, which counts epochs from 0"
    table = page.table(list(run.history), rows, numeric=range(1, len(run.history)), caption=caption)
    return page.Section("curves", "Training", [*parts, page.folded("The numbers", table)])


def _evaluated(run: RunRecord, split: str, evaluation: Evaluation, images: ImageSource) -> Sequence[page.Section]:
    if evaluation.multi_label:
        confusion, alt = label_counts(evaluation.confusion, evaluation.classes), "Labels found, missed and invented."
    else:
        confusion, alt = confusion_matrix(evaluation.confusion, evaluation.classes), _confusion_in_words(evaluation)
    error = evaluation.metrics["calibration_error"].value
    reliability = reliability_diagram(evaluation.reliability, error=error, multi_label=evaluation.multi_label)
    gap = f"Accuracy against confidence in 15 bins; the mean gap is {percent(error)}."
    return (
        page.Section("confusion", "Confusion", [_plot(run, "confusion", confusion, alt)]),
        page.Section("classes", "Classes", _class_tables(evaluation)),
        page.Section("reliability", "Reliability", [_plot(run, "reliability", reliability, gap)]),
        page.Section("errors", "Worst errors", _mistakes(run, split, evaluation, images)),
    )


def _class_tables(evaluation: Evaluation) -> list[str]:
    head = ("class", "precision", "recall", "F1", "samples")

    def table(rows: Sequence[Any], caption: str = "") -> str:
        cells = [(c.name, _cell(c.precision), _cell(c.recall), _cell(c.f1), f"{c.support:,}") for c in rows]
        return page.table(head, cells, numeric=(1, 2, 3, 4), caption=caption)

    if len(evaluation.per_class) <= _MAX_CLASSES:
        return [table(evaluation.per_class)]
    worst = sorted(evaluation.per_class, key=lambda c: c.f1 if math.isfinite(c.f1) else 2.0)[:_MAX_CLASSES]
    caption = f"The {_MAX_CLASSES} classes with the lowest F1"
    return [table(worst, caption), page.folded(f"All {len(evaluation.per_class)} classes", table(evaluation.per_class))]


def _mistakes(run: RunRecord, split: str, evaluation: Evaluation, images: ImageSource) -> list[str]:
    if not evaluation.worst:
        return [page.paragraph(f"Not one of the {evaluation.samples:,} {split} samples is wrong.")]
    shown = evaluation.worst[:_MAX_MISTAKES]
    rows = [(m.id, m.target, m.predicted, percent(m.confidence)) for m in shown]
    table = page.table(("sample", "true", "predicted", "confidence"), rows, numeric=(3,))
    pictures = {m.id: images(m.id) for m in shown}
    if all(picture is None for picture in pictures.values()):
        return [page.paragraph("The pictures of these samples are not at hand.", muted=True), table]
    figure = worst_errors(shown, pictures.get)
    alt = f"The {len(shown)} wrong samples with the highest confidence; the table below names them."
    return [_plot(run, "worst_errors", figure, alt), page.folded("As a table", table)]


def _inputs(run: RunRecord) -> page.Section:
    batch, pre = run.input_batch(), _part(run, "data").get("preprocess")
    if batch is None or not pre or batch["images"].ndim != 4:
        return page.Section("inputs", "Inputs", [page.paragraph("The run kept no batch of inputs.", muted=True)])
    classes = _part(run, "data").get("classes") or ()
    figure = input_grid(batch["images"], mean=pre["mean"], std=pre["std"], targets=batch["targets"], classes=classes)
    alt = "Training images after augmentation: as pictures, and as the normalised values that the net gets."
    return page.Section("inputs", "Inputs", [_plot(run, "inputs", figure, alt)])


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
    if any((run.path / "predictions").glob("*.npz")):
        compare = f"python -m scirs_neural.compare {shlex.quote(str(run.path))} OTHER_RUN"
        commands["compare it with another on the same samples"] = compare
    if not commands:
        return page.Section("next", "Next", [page.paragraph("Nothing: the run has no predictions yet.", muted=True)])
    text = "\n".join(f"# {what}\n{command}" for what, command in commands.items())
    return page.Section("next", "Next", [page.code(text)])


def _plot(run: RunRecord, name: str, figure: Figure, alt: str) -> str:
    content = png(figure)
    path = run.path / "plots" / f"{name}.png"
    with storage_errors(path.parent, "make the folder"):
        path.parent.mkdir(exist_ok=True)
    atomic_write(path, content)
    return page.picture(content, alt, width=round(figure.get_figwidth() * _CSS_PX))


def _part(run: RunRecord, name: str) -> Mapping[str, Any]:
    part = run.summary.get(name)
    return part if isinstance(part, Mapping) else {}


def _name(run: RunRecord, what: str) -> str:
    configured = run.config.get(what)
    name = _part(run, what).get("name") or (configured.get("name") if isinstance(configured, Mapping) else None)
    return str(name or f"a {what}")


def _spoken(name: str) -> str:
    return {"f1": "macro F1", "log_loss": "log loss", "brier": "Brier score", "top5_accuracy": "top-5 accuracy"}.get(
        name, name.replace("_", " ")
    )


def _shown(name: str, value: float) -> str:
    return percent(value) if name in SHARES else number(value, fixed=True)


def _range(name: str, low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{_shown(name, low)} to {_shown(name, high)}"


def _cell(value: float | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return number(int(value)) if float(value).is_integer() and abs(value) >= 2 else number(value, fixed=True)


def _last_values(history: Mapping[str, Sequence[float | None]]) -> str:
    last = {name: [v for v in column if v is not None][-1:] for name, column in history.items() if "/" in name}
    return "At the end: " + ", ".join(f"{name} {number(value[0])}" for name, value in last.items() if value) + "."


def _confusion_in_words(evaluation: Evaluation) -> str:
    pairs = most_confused(evaluation.confusion, 3)
    names = [f"{evaluation.classes[t]} taken for {evaluation.classes[p]} {n} times" for t, p, n in pairs]
    return f"Confusion matrix. Most frequent: {'; '.join(names)}." if names else "Confusion matrix without confusions."
