"""The part of a run's report that is about labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scirs_neural.plots import page
from scirs_neural.plots.confusion import label_counts
from scirs_neural.plots.panel import Easel
from scirs_neural.tasks.classification.panels import of_classes

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation


def label_panels(evaluation: Evaluation, pred: Predictions, easel: Easel) -> Sequence[page.Section]:
    """Label counts, labels, reliability and worst errors."""
    counts = label_counts(evaluation.details["confusion"], evaluation.details["classes"])
    drawn = easel.draw("confusion", counts, "How often each label was found, missed and invented.")
    confusion = page.Section("confusion", "Labels found and missed", [drawn])
    return of_classes(evaluation, easel, confusion, multi_label=True)
