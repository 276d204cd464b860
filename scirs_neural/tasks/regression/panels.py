"""The part of a run's report that is about numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scirs_neural.core.terminal import number
from scirs_neural.plots import page
from scirs_neural.plots.numbers import MAX_OUTPUTS, predicted_against_true, residuals
from scirs_neural.plots.panel import MAX_MISTAKES, Easel, cell

if TYPE_CHECKING:
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.tasks.regression.predictions import NumberPredictions


def number_panels(evaluation: Evaluation, pred: NumberPredictions, easel: Easel) -> Sequence[page.Section]:
    """Predicted against true, how errors are spread, the outputs, and the samples that are furthest off."""
    target, numbers, names = pred.target, pred.numbers, pred.names
    of = f" The first {MAX_OUTPUTS} of {len(names)} outputs." if len(names) > MAX_OUTPUTS else ""
    scatter, spread = predicted_against_true(target, numbers, names), residuals(target, numbers, names)
    parts = [
        easel.draw("predicted_against_true", scatter, f"Predicted against true numbers of {len(pred):,} samples.{of}")
    ]
    parts.append(easel.draw("residuals", spread, f"How often the network is off by how much.{of}"))
    sections = [page.Section("numbers", "Predictions", parts)]
    if len(names) > 1:
        rows = [
            (o.name, cell(o.r2), number(o.mae), number(o.rmse), f"{o.support:,}")
            for o in evaluation.details["per_output"]
        ]
        table = page.table(("output", "R2", "mean absolute error", "RMSE", "samples"), rows, numeric=(1, 2, 3, 4))
        sections.append(page.Section("outputs", "Outputs", [table]))
    worst = evaluation.details["worst"][:MAX_MISTAKES]
    cells = [(m.id, m.output, number(m.target), number(m.predicted), number(m.predicted - m.target)) for m in worst]
    table = page.table(("sample", "output", "true", "predicted", "error"), cells, numeric=(2, 3, 4))
    nothing = page.paragraph(f"Not one of the {len(pred):,} {easel.split} samples is off.")
    return [*sections, page.Section("errors", "Worst errors", [table if cells else nothing])]
