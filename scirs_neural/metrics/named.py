"""One metric by name, on all predictions and targets of a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.importing import resolve
from scirs_neural.metrics.registry import METRICS

_EXAMPLE = {"pearson": 1, "spearman": 1}  # classes or outputs that a metric is defined for; else any number is


def named_metric(
    name: str, arrays: Sequence[Any], *, num_classes: int, multi_label: bool = False, where: str = "task.metrics"
) -> float:
    """The value of a metric of `METRICS`, or of a function of the user's, as ``file.py:function``.

    torchmetrics is imported only for a metric of its.

    Args:
        name: of the metric.
        arrays: answers and targets, as the metric takes them.
        num_classes: classes, labels or numbers.
        multi_label: whether a sample has any number of classes.
        where: where the name came from, for errors.

    Raises:
        UnknownNameError: nobody registered the name.
        ConfigError: the metric is not defined here, or the function gave no number.

    Example:
        >>> import numpy as np
        >>> round(named_metric("balanced_accuracy", [np.eye(2), np.array([0, 0])], num_classes=2), 4)
        0.5
    """
    if ":" in name:
        value = resolve(name, where=where)(*arrays)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the metric '{name}' gave {type(value).__name__}, not a number", where=where,
                fix="let it return one float for (answers, targets)",
            ) from error  # fmt: skip
    import torch

    from scirs_neural.metrics.collection import create_metrics

    metric = create_metrics([name], num_classes=num_classes, multi_label=multi_label, where=where)[name]
    metric.update(*(torch.from_numpy(array) for array in arrays))
    return float(metric.compute())


def metric_key(name: str) -> str:
    """Under which name a metric is logged: a function goes by its own.

    Example:
        >>> metric_key("./mine.py:kappa"), metric_key("f1")
        ('kappa', 'f1')
    """
    return name.rpartition(":")[2].rpartition(".")[2] if ":" in name else name


def direction_of(name: str, where: str = "task.metrics") -> str:
    """Whether a metric is to be "max" or "min", as torchmetrics or an attribute ``higher_is_better`` says.

    Example:
        >>> direction_of("mae"), direction_of("auroc")
        ('min', 'max')
    """
    if ":" in name:
        better = getattr(resolve(name, where=where), "higher_is_better", True)
    else:
        better = METRICS.get(name, where=where)(num_classes=_EXAMPLE.get(name, 10)).higher_is_better
    return "min" if better is False else "max"
