"""Metrics by name, computed once on all predictions of a set: torchmetrics', and a user's functions on arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scirs_neural.core.errors import ConfigError, ScirsError
from scirs_neural.core.importing import resolve
from scirs_neural.metrics.registry import METRICS, NOT_SCALAR

WHERE = "task.metrics"


class Judged(Protocol):
    """Predictions, as far as a metric needs them: see `scirs_neural.evaluation.predictions.Predictions`."""

    def further(self, metric: str) -> Any:
        """The scorer of a metric that their kind knows by itself."""

    def arguments(self, metric: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Answers and truth, and what they are: ``num_classes``, ``multi_label``."""


@dataclass(frozen=True)
class NamedMetric:
    """A metric beside those of the predictions' kind.

    A name of `METRICS`, or a function of the user's as ``file.py:function`` or ``package.module:function``, which takes
    answers and truth as arrays and gives a number. Of several targets ``<target>/`` stands before it. Which end is good
    is said by the registry, or by the function's attribute ``higher_is_better``; larger is better if nothing is said.

    Args:
        name: as it was typed.
        where: the setting that it stands in, for errors.
        targets: the names of several targets; needed to tell a target from the folder of a file.

    Example:
        >>> NamedMetric("./mine.py:kappa").key, NamedMetric("label/auroc").key, NamedMetric("mae").better
        ('kappa', 'label/auroc', 'min')
    """

    name: str
    where: str = WHERE
    targets: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Under which name it is shown and logged."""
        metric = self._metric
        short = metric.rpartition(":")[2].rpartition(".")[2] if ":" in metric else metric
        return f"{self._target}/{short}" if self._target else short

    @property
    def better(self) -> str:
        """Which end is good: "max" or "min"."""
        return direction_of(self._metric, self.where)

    def scorer(self, pred: Judged) -> Any:
        """How it follows from weights, where the predictions' kind knows; else None."""
        return None if ":" in self._metric else pred.further(self.name)

    def __call__(self, pred: Judged) -> float:
        """Its value for all samples whose truth is known; sample weights do not count."""
        arrays, facts = pred.arguments(self.name)
        return named_metric(self._metric, arrays, where=self.where, **facts)

    @property
    def _target(self) -> str:
        before, _, after = self.name.partition("/")
        is_target = before in self.targets if self.targets else bool(after) and ":" not in self.name
        return before if is_target else ""

    @property
    def _metric(self) -> str:
        return self.name.removeprefix(f"{self._target}/") if self._target else self.name


def named_metrics(
    names: Iterable[str],
    known: Mapping[str, Any] | Sequence[str] = (),
    where: str = WHERE,
    targets: Sequence[str] = (),
) -> dict[str, NamedMetric]:
    """The metrics of these names that a kind of predictions does not have already, by the names that they are shown by.

    Args:
        names: see `NamedMetric`.
        known: metrics that need not be computed.
        where: the setting that they stand in, for errors.
        targets: the names of several targets.

    Raises:
        UnknownNameError: nobody registered a name, or a file has no such function.
        ConfigError: a metric is no single number, a name is of no function, or two metrics are shown by one name.
    """
    found: dict[str, NamedMetric] = {}
    for name in dict.fromkeys(names):
        metric = NamedMetric(name, where, tuple(targets))
        if metric.key in known:
            continue
        if metric.key in found:
            raise ConfigError(f"two metrics are called '{metric.key}'", where=where, fix="rename the function")
        if metric._metric in NOT_SCALAR:
            raise ConfigError(f"the metric '{name}' is no single number and cannot be logged", where=where)
        if ":" in name:
            _target(metric._metric, where)
        else:
            METRICS.entry(metric._metric, where=where)  # torchmetrics is not imported for it yet
        found[metric.key] = metric
    return found


def named_metric(
    name: str, arrays: Sequence[Any], *, num_classes: int = 1, multi_label: bool = False, where: str = WHERE
) -> float:
    """The value of a metric. torchmetrics is imported only for a metric of its.

    Args:
        name: of `METRICS`, or of a function.
        arrays: answers and truth, as the metric takes them.
        num_classes: classes, labels or numbers.
        multi_label: whether a sample has any number of classes.
        where: where the name came from, for errors.

    Raises:
        UnknownNameError: nobody registered the name.
        ConfigError: the metric is not defined here, or the function failed or gave no number.

    Example:
        >>> import numpy as np
        >>> round(named_metric("balanced_accuracy", [np.eye(2), np.array([0, 0])], num_classes=2), 4)
        0.5
    """
    target = _target(name, where)
    if is_factory(target):
        import torch

        try:
            metric = target(num_classes=num_classes, multi_label=multi_label)
        except ConfigError as error:
            raise ConfigError(error.what, where=where, fix=error.fix) from error
        metric.update(*(torch.tensor(array) for array in arrays))  # a copy: columns that are mapped cannot be written
        return float(metric.compute())
    try:
        value = target(*arrays)
    except ScirsError:
        raise
    except Exception as error:  # a function of a user's may raise anything
        what = f"the metric '{name}' failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        given = [f"{array.dtype} {array.shape}" if hasattr(array, "dtype") else str(type(array)) for array in arrays]
        raise ConfigError(what, where=where, fix=f"it is called with (answers, truth): {', '.join(given)}") from error
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the metric '{name}' gave {type(value).__name__}, not a number", where=where,
            fix="let it return one float for (answers, truth)",
        ) from error  # fmt: skip


def metric_key(name: str) -> str:
    """Under which name a metric is logged; see `NamedMetric.key`."""
    return NamedMetric(name).key


def direction_of(name: str, where: str = WHERE) -> str:
    """Which end of a metric is good: "max" or "min".

    Example:
        >>> direction_of("rmse"), direction_of("auroc")
        ('min', 'max')
    """
    if ":" not in name and (said := METRICS.entry(name, where=where).traits.get("better")):
        return str(said)
    return "min" if getattr(_target(name, where), "higher_is_better", None) is False else "max"


def is_factory(target: Any) -> bool:
    """Whether something is a factory ``(num_classes, multi_label) -> torchmetrics.Metric`` or a function."""
    return "num_classes" in inspect.signature(target).parameters


def _target(name: str, where: str) -> Callable[..., Any]:
    target: Any = resolve(name, where=where) if ":" in name else METRICS.get(name, where=where)
    if not callable(target):
        raise ConfigError(f"'{name}' is no function", where=where)
    return target
