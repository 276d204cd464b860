"""An evaluation on the terminal."""

from __future__ import annotations

from math import isfinite

from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.evaluation.report import Evaluation

MAX_CLASSES = 30


def show_evaluation(evaluation: Evaluation, console: Console, *, title: str) -> None:
    """Print the scores with their 95 % intervals, the classes, and the worst errors."""
    rows = [
        [name, score.value, f"{score.low:.4f} to {score.high:.4f}" if score.low is not None else None]
        for name, score in evaluation.metrics.items()
    ]
    terminal.table(
        console, ["metric", "value", "95 % interval"], rows, title=f"{title}: {evaluation.samples:,} samples"
    )
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
