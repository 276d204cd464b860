"""The part of a run's report that is about several targets: the panels of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from scirs_neural.plots import page
from scirs_neural.plots.panel import Easel, sections_of

if TYPE_CHECKING:
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.tasks.multi_task.predictions import ManyPredictions


def target_panels(evaluation: Evaluation, pred: ManyPredictions, easel: Easel) -> Sequence[page.Section]:
    """The panels of each target, one target after the other."""
    sections = []
    for name, part in pred.parts.items():
        before = f"{name}/"
        own = replace(
            evaluation,
            kind=part.kind,
            main=part.main_metric_of(part.header),
            metrics={k.removeprefix(before): v for k, v in evaluation.metrics.items() if k.startswith(before)},
            traits={k.removeprefix(before): v for k, v in evaluation.traits.items() if k.startswith(before)},
            details=evaluation.details["targets"][name],
        )
        for section in sections_of(own, part, easel.within(name)):
            sections.append(replace(section, anchor=f"{name}-{section.anchor}", title=f"{name}: {section.title}"))
    return sections
