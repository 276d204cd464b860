"""An evaluation on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from rich.console import Console

from scirs_neural.core import terminal
from scirs_neural.core.paths import from_here
from scirs_neural.evaluation.report import Evaluation, Score, Slice
from scirs_neural.runs.next_steps import next_steps

if TYPE_CHECKING:
    from scirs_neural.runs.cross_validation import CrossValidated

MAX_SLICES = 60


def show_cross_validation(found: CrossValidated, console: Console) -> None:
    """Print every fold, the figures over all of them, and what to type next."""
    names = list(found.statistics)[:3]
    rows = [
        [fold["folder"], *(fold["test"][name] for name in names), fold["samples"]["test"], fold["epochs"]]
        for fold in found.summary["folds"]
    ]
    console.print()
    terminal.table(console, ["fold", *names, "samples", "epochs"], rows)
    console.print()
    over = [
        [name, f"{held.mean:.4f} ± {held.std:.4f}", f"{held.low:.4f} to {held.high:.4f}"]
        for name, held in found.statistics.items()
    ]
    terminal.table(console, ["over the folds", "mean ± std", "95 % interval of the mean"], over)
    console.print()
    main, folder = found.out_of_fold.main, from_here(found.folder.path)
    pooled, facts = found.out_of_fold.metrics[main], {}
    if found.together is not None:
        best = found.together.metrics[found.together.main]
        within = f" ({_within(best)})" if best.low is not None else ""
        facts["together"] = f"test {main} of the folds' networks together {best.value:.4f}{within}"
    shown = {
        "score": {
            "name": f"out-of-fold {main}", "value": pooled.value, "low": pooled.low, "high": pooled.high,
            "samples": found.out_of_fold.samples, "percent": found.out_of_fold.traits[main].percent,
        },
        "facts": facts,
        "folder": str(folder),
        "written": {
            "report.html": "everything about the cross-validation, on one page",
            "summary.json": "its figures, of each fold and of all",
            "predictions/out_of_fold": "every sample, by the network that had not seen it",
            found.summary["folds"][0]["folder"]: "a run folder a fold",
        },
        "next": {
            **next_steps(folder, found.summary),
            "against another": f"python -m scirs_neural.compare {shlex.quote(str(folder))} OTHER --split out_of_fold",
        },
    }  # fmt: skip
    terminal.summary(console, shown)


def show_evaluation(evaluation: Evaluation, console: Console, *, title: str) -> None:
    """Print the metrics with their 95 % intervals, the slices, and what the kind of predictions tells beside."""
    rows = [[name, _finite(score.value), _within(score) or None] for name, score in evaluation.metrics.items()]
    of = "" if evaluation.units == evaluation.samples else f" of {evaluation.units:,} independent units"
    heads = ["metric", "value", "95 % interval"]
    terminal.table(console, heads, rows, title=f"{title}: {evaluation.samples:,} samples{of}")
    without = [
        f"{name} has no {'interval' if isfinite(score.value) else 'value'}: {score.note}"
        for name, score in evaluation.metrics.items()
        if score.note
    ]
    for note in (*without, *evaluation.notes):
        console.print(note, style="dim", soft_wrap=True)
    for column in dict.fromkeys(part.column for part in evaluation.slices):
        console.print()
        _show_slices([part for part in evaluation.slices if part.column == column], evaluation, console)
    for table in evaluation.tables:
        console.print()
        terminal.table(console, table.head, table.rows, title=table.title)


def _show_slices(parts: Sequence[Slice], evaluation: Evaluation, console: Console) -> None:
    """The slices of one column; of very many those with the worst main metric."""
    main, others = evaluation.main, [name for name in evaluation.metrics if name != evaluation.main][:2]
    others = [name for name in others if name in parts[0].metrics]
    column, of = parts[0].column, ""
    if len(parts) > MAX_SLICES:
        sign = 1 if evaluation.traits[main].better == "max" else -1
        parts = sorted(parts, key=lambda part: _or_last(sign * part.metrics[main].value))[:MAX_SLICES]
        of = f" (the {MAX_SLICES} worst of {len(evaluation.slices)})"
    rows = [
        [
            part.value, _finite(part.metrics[main].value), _within(part.metrics[main]) or "-",
            *(_finite(part.metrics[name].value) for name in others), part.samples,
        ]
        for part in parts
    ]  # fmt: skip
    terminal.table(console, [column, main, "95 % interval", *others, "samples"], rows, title=f"slices by {column}{of}")


def _within(score: Score) -> str:
    return "" if score.low is None or score.high is None else f"{score.low:.4f} to {score.high:.4f}"


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _or_last(value: float) -> float:
    return value if isfinite(value) else float("inf")
