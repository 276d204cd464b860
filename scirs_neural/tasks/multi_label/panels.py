"""The part of a run's report that is about labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scirs_neural.core.terminal import percent
from scirs_neural.plots import page
from scirs_neural.plots.calibration import reliability_diagram
from scirs_neural.plots.confusion import label_counts
from scirs_neural.plots.panel import Easel, class_tables, mistakes

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation


def label_panels(evaluation: Evaluation, pred: Predictions, easel: Easel) -> Sequence[page.Section]:
    """Label counts, labels, reliability and worst errors."""
    details = evaluation.details
    counts = label_counts(details["confusion"], details["classes"])
    error = evaluation.metrics["calibration_error"].value
    reliability = reliability_diagram(details["reliability"], error=error, multi_label=True)
    in_bins = f"Fraction that is there against probability in {len(details['reliability'])} bins"
    gap = f"{in_bins}; the mean gap is {percent(error)}."
    alt = "How often each label was found, missed and invented."
    return (
        page.Section("confusion", "Labels found and missed", [easel.draw("confusion", counts, alt)]),
        page.Section("classes", "Labels", class_tables(details["per_class"])),
        page.Section("reliability", "Reliability", [easel.draw("reliability", reliability, gap)]),
        page.Section("errors", "Worst errors", mistakes(details["worst"], evaluation.samples, easel)),
    )
