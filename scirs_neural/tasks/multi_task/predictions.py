"""Predictions of several targets, each of a kind of its own. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.predictions import WEIGHT, MetricTraits, Predictions, Table
from scirs_neural.evaluation.registry import PREDICTIONS
from scirs_neural.evaluation.scorers import Scorer, Several


class ManyPredictions(Predictions):
    """Columns ``<target>.<column>``; metrics are called ``<target>/<metric>``.

    Header: ``targets``, name to {"kind": of its predictions, "header": of its predictions}; and ``main``, the metric
    that ranks, where it is not that of the first target.
    """

    kind = "multi_task"
    panels = "scirs_neural.tasks.multi_task.panels:target_panels"

    @classmethod
    def metrics_of(cls, header: Mapping[str, Any]) -> Mapping[str, str]:
        """The metrics of all targets."""
        return {name: traits.better for name, traits in cls.traits_of(header).items()}

    @classmethod
    def main_metric_of(cls, header: Mapping[str, Any]) -> str:
        """The one that the header names, or that of the first target."""
        if header.get("main"):
            return str(header["main"])
        name, kind = next(iter(_kinds(header).items()))
        return f"{name}/{kind.main_metric_of(_header(header, name))}"

    @cached_property
    def parts(self) -> dict[str, Predictions]:
        """The predictions of each target."""
        found = {}
        for name, kind in _kinds(self.header).items():
            before = f"{name}."
            columns = {key.removeprefix(before): held for key, held in self.columns.items() if key.startswith(before)}
            if WEIGHT in self.columns:
                columns[WEIGHT] = self.columns[WEIGHT]
            found[name] = kind(self.ids, columns, _header(self.header, name), self.units)
        return found

    @classmethod
    def traits_of(cls, header: Mapping[str, Any]) -> Mapping[str, MetricTraits]:
        """What is known of the metrics of all targets."""
        return {
            f"{name}/{metric}": traits
            for name, part in _kinds(header).items()
            for metric, traits in part.traits_of(_header(header, name)).items()
        }

    @classmethod
    def targets_of(cls, header: Mapping[str, Any]) -> Sequence[str]:
        """The names of the targets."""
        return list(_kinds(header))

    def check(self) -> None:
        """Hold the columns of each target to its kind."""
        list(self.parts)  # each is checked when it is made

    def columns_of(self, role: Literal["truth", "averaged"]) -> tuple[str, ...]:
        """The names of the columns of a role, of all targets."""
        return tuple(f"{name}.{column}" for name, part in self.parts.items() for column in part.columns_of(role))

    def scorer(self) -> Scorer:
        """The scorers of all targets."""
        return Several([(f"{name}/", part.scorer()) for name, part in self.parts.items()])

    def further(self, metric: str) -> Scorer | None:
        """That of a target: ``<target>/<metric>``."""
        name, _, metric = metric.partition("/")
        found = self._part(name, metric).further(metric)
        return None if found is None else Several([(f"{name}/", found)])

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Those of a target: ``<target>/<metric>``."""
        name, _, metric = metric.partition("/")
        return self._part(name, metric).arguments(metric)

    def outcomes(self) -> dict[str, np.ndarray]:
        """Those of all targets."""
        return {f"{name}/{k}": v for name, part in self.parts.items() for k, v in part.outcomes().items()}

    def per_sample(self) -> dict[str, np.ndarray]:
        """Those of all targets."""
        return {f"{name}/{k}": v for name, part in self.parts.items() for k, v in part.per_sample().items()}

    def notes(self) -> list[str]:
        """Those of all targets."""
        return [f"{name}: {note}" for name, part in self.parts.items() for note in part.notes()]

    def describe(self) -> dict[str, Any]:
        """By target."""
        return {"targets": {name: part.describe() for name, part in self.parts.items()}}

    def tables(self, details: Mapping[str, Any]) -> Sequence[Table]:
        """Those of all targets."""
        return [
            Table(f"{name}: {table.title}", table.head, table.rows)
            for name, part in self.parts.items()
            for table in part.tables(details["targets"][name])
        ]

    def _part(self, name: str, metric: str) -> Predictions:
        if name not in self.parts or not metric:
            raise DataError(
                f"a metric of several targets is called target/metric, not '{name}'", suggestions=list(self.parts)
            )
        return self.parts[name]


def _kinds(header: Mapping[str, Any]) -> dict[str, type[Predictions]]:
    held = header.get("targets")
    if not isinstance(held, Mapping) or not held:
        raise DataError("predictions of several targets do not say which")
    return {name: PREDICTIONS.get(part["kind"]) for name, part in held.items()}


def _header(header: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = header["targets"][name].get("header", {})
    return found
