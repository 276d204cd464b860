"""An evaluation on the terminal."""

from __future__ import annotations

import shlex
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.evaluation.report import Evaluation
from scirs_neural.runs.next_steps import next_steps

if TYPE_CHECKING:
    from scirs_neural.runs.cross_validation import CrossValidated

MAX_CLASSES = 30


def show_cross_validation(found: CrossValidated, console: Console) -> None:
    """Print every fold, the figures over all of them, and what to type next."""
    names = list(found.spreads)[:3]
    rows = [
        [fold["folder"], *(fold["test"][name] for name in names), fold["samples"]["test"], fold["epochs"]]
        for fold in found.summary["folds"]
    ]
    console.print()
    terminal.table(console, ["fold", *names, "samples", "epochs"], rows)
    console.print()
    spread = [
        [name, f"{held.mean:.4f} ± {held.std:.4f}", f"{held.low:.4f} to {held.high:.4f}"]
        for name, held in found.spreads.items()
    ]
    terminal.table(console, ["over the folds", "mean ± std", "95 % interval of the mean"], spread)
    console.print()
    main, folder = found.out_of_fold.main, _short(found.folder.path)
    pooled, facts = found.out_of_fold.metrics[main], {}
    if found.together is not None:
        best = found.together.metrics[found.together.main]
        within = f" ({best.low:.4f} to {best.high:.4f})" if best.low is not None else ""
        facts["together"] = f"test {main} of the folds' nets together {best.value:.4f}{within}"
    shown = {
        "score": {
            "name": f"out-of-fold {main}", "value": pooled.value, "low": pooled.low, "high": pooled.high,
            "samples": found.out_of_fold.samples,
        },
        "facts": facts,
        "folder": str(folder),
        "written": {
            "report.html": "everything about the cross-validation, on one page",
            "summary.json": "its figures, of each fold and of all",
            "predictions/out_of_fold.npz": "every sample, by the net that had not seen it",
            found.summary["folds"][0]["folder"]: "a run folder a fold",
        },
        "next": {
            **next_steps(folder, found.summary),
            "against another": f"python -m scirs_neural.compare {shlex.quote(str(folder))} OTHER --split out_of_fold",
        },
    }  # fmt: skip
    terminal.summary(console, shown)


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def show_evaluation(evaluation: Evaluation, console: Console, *, title: str) -> None:
    """Print the scores with their 95 % intervals, the classes, and the worst errors."""
    rows = [
        [name, score.value, f"{score.low:.4f} to {score.high:.4f}" if score.low is not None else None]
        for name, score in evaluation.metrics.items()
    ]
    terminal.table(
        console, ["metric", "value", "95 % interval"], rows, title=f"{title}: {evaluation.samples:,} samples"
    )
    if not evaluation.per_class:
        return
    console.print()
    worst_first = sorted(evaluation.per_class, key=lambda c: c.f1 if isfinite(c.f1) else 2.0)[:MAX_CLASSES]
    kept = evaluation.per_class if len(evaluation.per_class) <= MAX_CLASSES else worst_first
    classes = [[c.name, c.precision, c.recall, c.f1, c.support] for c in kept]
    of = f" (the {MAX_CLASSES} worst of {len(evaluation.per_class)})" if kept is worst_first else ""
    terminal.table(console, ["class", "precision", "recall", "f1", "samples"], classes, title=f"classes{of}")
    for column in dict.fromkeys(part.column for part in evaluation.slices):
        console.print()
        parts = [
            [part.value, part.right, f"{part.low:.4f} to {part.high:.4f}", part.metrics["f1"], part.samples]
            for part in evaluation.slices
            if part.column == column
        ]
        terminal.table(console, [column, "right", "95 % interval", "f1", "samples"], parts, title=f"slices by {column}")
    if evaluation.worst:
        console.print()
        errors = [[w.id, w.target, w.predicted, terminal.percent(w.confidence)] for w in evaluation.worst[:5]]
        terminal.table(console, ["sample", "true", "predicted", "confidence"], errors, title="worst errors")
