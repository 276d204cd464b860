"""A task's predictions judged by all that was asked for: the metrics of their kind, and those that the task names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.report import Evaluation, evaluate
from scirs_neural.metrics.named import NamedMetric, named_metrics
from scirs_neural.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

_TRIED, _TRIED_NUMBERS = 32, 2_000_000  # samples, and numbers of their answers, that a metric is tried with


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


def further_scores(task: Task, pred: Predictions, failed: dict[str, str] | None = None) -> dict[str, float]:
    """The values of these metrics, without intervals.

    Args:
        task: names them.
        pred: what they are of.
        failed: takes the reason of each that fails; None: that is an error.

    Raises:
        ConfigError: one fails.
    """
    weights = (np.ones(len(pred)) if pred.weight is None else pred.weight)[None]
    found = {}
    for name, metric in further_metrics(task).items():
        scorer = metric.scorer(pred)
        try:
            found[name] = metric(pred) if scorer is None else float(scorer(weights)[name][0])
        except ConfigError as error:
            if failed is None:
                raise
            failed[name] = error.what
    return found


def try_metrics(task: Task, model: nn.Module, pipeline: Pipeline) -> None:
    """Call each of these metrics once, on made-up answers and truth, so that one that fails is found before training.

    Nothing is called for a network that cannot be run without values.

    Args:
        task: names them.
        model: the network, which may be on the meta device.
        pipeline: of the data.

    Raises:
        UnknownNameError: nobody registered one.
        ConfigError: one fails, is no single number, or is of no function.
    """
    if not further_metrics(task):
        return
    import torch
    from torch import Tensor
    from torch.utils._pytree import tree_leaves, tree_map_only

    from scirs_neural.models.meta import run_on_meta

    generator = torch.Generator().manual_seed(0)

    def answered(batch: Batch) -> Any:
        unseen = tree_map_only(Tensor, lambda t: t.to("meta"), batch)
        return run_on_meta(model, lambda network: task.answer(network, unseen, Context("val", settings=task.settings)))

    def made_up(like: Tensor) -> Tensor:
        values = torch.randn(like.shape, generator=generator)
        return values.to(like.dtype) if like.is_floating_point() else torch.zeros(like.shape, dtype=like.dtype)

    most = max((len(held.spec.get("classes", ())) for held in pipeline.targets.values()), default=0)
    try:
        sizes = [t.numel() for t in tree_leaves(answered(pipeline.example(2))) if isinstance(t, Tensor)]
        count = max(2, min(max(_TRIED, 2 * most), 2 * _TRIED_NUMBERS // max([1, *sizes])))
        batch = pipeline.example(count)
        outputs = tree_map_only(Tensor, made_up, answered(batch))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):
        return  # what does not fit the data is said by `check_network`
    columns = {**task.to_arrays(outputs, batch), **task.target_arrays(outputs, batch)}
    with warnings.catch_warnings(action="ignore"):  # of values that are made up
        further_scores(task, task.predictions(batch[ID], columns, task.header()))
