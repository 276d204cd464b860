"""From metric names to one collection that is updated with (probabilities, targets)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torchmetrics import Metric, MetricCollection

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.importing import resolve
from scirs_neural.metrics.function import FunctionMetric
from scirs_neural.metrics.registry import METRICS, NOT_SCALAR

# Metrics with the same state share it. torchmetrics would find such groups itself, but by comparing states after the
# first batch: a first batch that is all right makes top-1 and top-5 accuracy one metric for the rest of the run.
_SHARED_STATES = (
    ("f1", "dice", "precision", "recall"),
    ("auroc", "average_precision"),
    ("balanced_accuracy", "cohen_kappa", "matthews", "confusion_matrix", "iou"),
)


def create_metrics(
    names: Iterable[str],
    *,
    num_classes: int | None = None,
    multi_label: bool = False,
    scalar_only: bool = True,
    where: str | None = None,
) -> MetricCollection:
    """Build the metrics of these names.

    Args:
        names: of `METRICS`, or functions of the user's as ``file.py:function`` or ``package.module:function``, which
            are called with all probabilities and targets of the set as numpy arrays. A function goes by its own name
            in the collection.
        num_classes: classes or labels; of regression, outputs.
        multi_label: whether a sample has any number of classes.
        scalar_only: refuse metrics that give no single number and so cannot be logged.
        where: where the names came from, for errors.

    Raises:
        UnknownNameError: a name that nobody registered; the error has suggestions.
        ConfigError: a metric that is not defined here, or two of one name.
        MissingExtraError: a metric needs a package that is not installed.

    Example:
        >>> import torch
        >>> metrics = create_metrics(["accuracy", "f1"], num_classes=3)
        >>> metrics.update(torch.eye(3), torch.tensor([0, 1, 1]))
        >>> {name: round(value.item(), 4) for name, value in metrics.compute().items()}
        {'accuracy': 0.6667, 'f1': 0.5556}
    """
    built: dict[str, Metric] = {}
    for name in dict.fromkeys(names):
        key, metric = _create(name, num_classes, multi_label, where)
        if key in built:
            raise ConfigError(f"two metrics are called '{key}'", where=where, fix="rename the function")
        if scalar_only and key in NOT_SCALAR:
            raise ConfigError(f"the metric '{key}' is not a single number and cannot be logged", where=where)
        built[key] = metric
    groups = [shared for group in _SHARED_STATES if len(shared := [name for name in group if name in built]) > 1]
    return MetricCollection(built, compute_groups=groups or False)  # type: ignore[arg-type]


def _create(name: str, num_classes: int | None, multi_label: bool, where: str | None) -> tuple[str, Metric]:
    if ":" in name:
        function: Any = resolve(name, where=where)
        if not callable(function):
            raise ConfigError(f"'{name}' is not a function", where=where)
        key = name.rpartition(":")[2].rpartition(".")[2]
        return key, FunctionMetric(function, name)
    factory = METRICS.get(name, where=where)
    try:
        return name, factory(num_classes=num_classes, multi_label=multi_label)
    except ConfigError as error:
        raise ConfigError(error.what, where=where, fix=error.fix) from error
