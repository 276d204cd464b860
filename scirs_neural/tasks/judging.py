"""A task's predictions judged by all that was asked for: the metrics of their kind, and those that the task names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.report import Evaluation, evaluate
from scirs_neural.metrics.named import NamedMetric, named_metrics
from scirs_neural.tasks.task import Task


def judge(
    task: Task, pred: Predictions, *, slices: Mapping[str, Sequence[str]] | None = None, seed: int = 0
) -> Evaluation:
    """Every metric with its interval, those in ``task.metrics`` too; see `evaluate`."""
    return evaluate(pred, slices=slices, further=further_metrics(task), seed=seed)


def further_metrics(task: Task) -> dict[str, NamedMetric]:
    """The metrics in ``task.metrics`` that its predictions do not have anyway.

    Raises:
        UnknownNameError: nobody registered one.
        ConfigError: one is no single number, or is of no function.
    """
    kind, header = task.predictions, task.header()
    return named_metrics(task.options.get("metrics", ()), kind.metrics_of(header), targets=kind.targets_of(header))


def further_scores(task: Task, pred: Predictions) -> dict[str, float]:
    """The values of these metrics, without intervals."""
    weights = (np.ones(len(pred)) if pred.weight is None else pred.weight)[None]
    found = {}
    for name, metric in further_metrics(task).items():
        scorer = metric.scorer(pred)
        found[name] = metric(pred) if scorer is None else float(scorer(weights)[name][0])
    return found
