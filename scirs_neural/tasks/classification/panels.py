"""The part of a run's report that is about classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scirs_neural.core.terminal import percent
from scirs_neural.plots import page
from scirs_neural.plots.calibration import reliability_diagram
from scirs_neural.plots.confusion import confusion_matrix, most_confused
from scirs_neural.plots.panel import Easel, class_tables, mistakes

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation


def class_panels(evaluation: Evaluation, pred: Predictions, easel: Easel) -> Sequence[page.Section]:
    """Confusion, classes, reliability and worst errors."""
    details = evaluation.details
    names, counts = details["classes"], details["confusion"]
    triples = counts["true"], counts["predicted"], counts["count"]
    pairs = [f"{names[t]} taken for {names[p]} {n} times" for t, p, n in most_confused(*triples, 3)]
    alt = f"Confusion matrix. Most frequent: {'; '.join(pairs)}." if pairs else "Confusion matrix without confusions."
    drawn = easel.draw("confusion", confusion_matrix(*triples, names), alt)
    return of_classes(evaluation, easel, page.Section("confusion", "Confusion", [drawn]))


def of_classes(
    evaluation: Evaluation, easel: Easel, confusion: page.Section, *, multi_label: bool = False
) -> Sequence[page.Section]:
    """What panels of one class and of several labels share: scores, reliability and worst errors below confusion."""
    details, error = evaluation.details, evaluation.metrics["calibration_error"].value
    what = "Fraction that is there against probability" if multi_label else "Accuracy against confidence"
    gap = f"{what} in {len(details['reliability'])} bins; the mean gap is {percent(error)}."
    reliability = reliability_diagram(details["reliability"], error=error, multi_label=multi_label)
    classes = class_tables(details["per_class"])
    if evaluation.weighted:
        count = page.paragraph("Counts of samples, whatever they weigh.")
        confusion = page.Section(confusion.anchor, confusion.title, [*confusion.parts, count])
        classes.append(page.paragraph("Precision, recall and F1 are weighted by the samples' weights, counts are not."))
    return (
        confusion,
        page.Section("classes", "Labels" if multi_label else "Classes", classes),
        page.Section("reliability", "Reliability", [easel.draw("reliability", reliability, gap)]),
        page.Section("errors", "Worst errors", mistakes(details["worst"], evaluation.samples, easel)),
    )
