"""From predictions to an evaluation: every metric with its 95 % interval, slices, and what the kind tells beside."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Protocol

import numpy as np

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.evaluation.columns import Texts, take
from scirs_neural.evaluation.intervals import (
    LEVEL,
    MIN_RESAMPLES,
    NUM_RESAMPLES,
    as_blocks,
    interval,
    resampled,
    wilson,
)
from scirs_neural.evaluation.predictions import MetricTraits, Predictions, Table, codes_of
from scirs_neural.evaluation.scorers import Additive, Ranked, Scorer, leaves

WEIGHTED = "scores are weighted by the samples' weights; the confusion and the numbers of samples are counts"
_MAX_INTERVALS = 50  # values of a column up to which each has a bootstrap of its own
_AFFORDABLE_SEC = 0.01  # of one call of a user's metric, up to which it is called again on resamples
_AFFORDABLE_SLICES = 2_000_000_000  # samples times slices that a scorer of anything is asked for


@dataclass(frozen=True)
class Score:
    """A metric's value and the bounds of its 95 % interval, where it has one; else ``note`` says why not."""

    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Slice:
    """How the samples with one value of a column fared.

    Args:
        column: the column.
        value: what these samples have in it.
        samples: how many there are.
        metrics: as for all samples, by name; the main one has an interval, unless there are very many slices.
    """

    column: str
    value: str
    samples: int
    metrics: dict[str, Score]


class FurtherMetric(Protocol):
    """A metric that is not among those of the predictions' kind: see `scirs_neural.metrics.NamedMetric`."""

    @property
    def better(self) -> str:
        """Which end is good: "max" or "min"."""

    def scorer(self, pred: Predictions) -> Scorer | None:
        """How it follows from weights, where the kind of predictions knows."""

    def __call__(self, pred: Predictions) -> float:
        """Its value."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a set of predictions is worth.

    Args:
        kind: of the predictions.
        samples: how many there were.
        units: how many of them are independent.
        metrics: by name.
        main: the name of the metric that ranks.
        traits: what is known of each metric.
        details: what the kind tells beside metrics, such as confusion, classes and worst errors.
        tables: what the terminal shows below the metrics.
        notes: what must be known to read the metrics rightly.
        failed: of each further metric that failed, why.
        weighted: samples have weights of their own, which differ.
        settings: how the intervals were made.
        slices: of each column that was asked for, in the order of its values.
    """

    kind: str
    samples: int
    units: int
    metrics: dict[str, Score]
    main: str
    traits: dict[str, MetricTraits]
    details: dict[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    failed: dict[str, str] = field(default_factory=dict)
    weighted: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None, sets of counts stay sparse."""
        return _plain({
            "kind": self.kind, "samples": self.samples, "units": self.units, "main": self.main,
            "metrics": {
                name: {**asdict(score), "better": self.traits[name].better} for name, score in self.metrics.items()
            },
            **self.details, "notes": list(self.notes), "settings": self.settings, "slices": self.slices,
        })  # fmt: skip

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)


def evaluate(
    pred: Predictions,
    *,
    slices: Mapping[str, Sequence[str]] | None = None,
    further: Mapping[str, FurtherMetric] | None = None,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> Evaluation:
    """Judge a set of predictions by its scorer.

    Plain fractions of independent samples that count alike have Wilson's interval, other metrics a percentile bootstrap
    over the predictions' units. A metric without an interval says why it has none.

    Args:
        pred: the predictions.
        slices: columns of the data by name, one value a sample: the samples of each value are scored by themselves.
        further: metrics beside those of the kind, by name.
        seed: of the bootstrap.
        num_resamples: of the bootstrap: 2,000 put the bounds of a 95 % interval on 50 draws each.

    Raises:
        DataError: there are no samples, or no truth to judge them by.

    Example:
        >>> from scirs_neural.tasks.classification.predictions import ClassPredictions
        >>> columns = {"probabilities": [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], "target": [0, 1, 1, 0]}
        >>> found = evaluate(ClassPredictions("abcd", columns, {"classes": ["cat", "dog"]}))
        >>> found.metrics["accuracy"].value, found.details["worst"][0].id
        (0.75, 'c')
    """
    if not len(pred):
        raise DataError("there is nothing to evaluate: no samples")
    traits = dict(pred.traits_of(pred.header))
    scorer = pred.scorer()
    codes, groups = as_blocks(*pred.unit_codes(), seed=seed)
    drawn, reasons = resampled(scorer, codes, groups, weight=pred.weight, seed=seed, num_resamples=num_resamples)
    shares = plain_fractions(pred)
    values = pred.score()
    metrics = {}
    for name in [*(name for name in traits if name in values), *(values.keys() - traits.keys())]:
        traits.setdefault(name, MetricTraits("max"))
        metrics[name] = _score(values[name], traits[name], shares.get(name), drawn.get(name), reasons.get(name, ""))
    failed: dict[str, str] = {}
    for name, metric in (further or {}).items():
        traits[name] = MetricTraits(metric.better)
        try:
            metrics[name] = _further(name, metric, pred, codes, groups, seed, num_resamples)
        except ConfigError as error:  # one of a user's: the other figures stand
            failed[name] = error.what
            metrics[name] = Score(math.nan, note="it failed")
    weighted = pred.weight is not None and bool((pred.weight != pred.weight[0]).any())
    notes = [*([WEIGHTED] if weighted else []), *pred.notes(), *failed.values()]
    if pred.weight is not None:
        uncounted = [name for name, metric in (further or {}).items() if metric.scorer(pred) is None]
        notes += [f"{name} does not count the samples' weights" for name in uncounted]
    details = pred.describe()
    found = [part for column, held in (slices or {}).items() for part in slice_scores(pred, column, held, seed=seed)]
    return Evaluation(
        kind=pred.kind,
        samples=len(pred),
        units=pred.unit_codes()[1],
        metrics=metrics,
        main=pred.main_metric_of(pred.header),
        traits=traits,
        details=details,
        tables=pred.tables(details),
        notes=notes,
        failed=failed,
        weighted=weighted,
        settings={"level": LEVEL, "num_resamples": num_resamples, "seed": seed, "drawn": groups},
        slices=found,
    )


def plain_fractions(pred: Predictions) -> dict[str, np.ndarray]:
    """Metrics that are shares of samples, where samples are independent and count alike: right or wrong (N,)."""
    alike = pred.weight is None or bool((pred.weight == pred.weight[0]).all())
    return dict(pred.outcomes()) if alike and pred.unit_codes()[1] == len(pred) else {}


def slice_scores(pred: Predictions, column: str, values: Sequence[str], *, seed: int = 0) -> list[Slice]:
    """The scores of the samples of each value of a column, in one pass over the samples.

    Raises:
        DataError: the column has another length.
    """
    if len(values) != len(pred):
        raise DataError(f"the column '{column}' has {len(values)} values for {len(pred)} samples")
    names = sorted(set(values))
    number = {name: i for i, name in enumerate(names)}
    codes = np.fromiter((number[value] for value in values), dtype=np.int64, count=len(values))
    counts = np.bincount(codes, minlength=len(names))
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    found: dict[str, np.ndarray] = {}
    for prefix, leaf in leaves(pred.scorer()):
        found |= {prefix + k: v for k, v in _of_each(leaf, codes, len(names), members, pred.weight).items()}
    main = pred.main_metric_of(pred.header)
    bounds = _slice_intervals(pred, main, members, seed) if main in found else [None] * len(names)
    return [
        Slice(column, name, int(counts[i]), {
            metric: Score(float(held[i]), *((bounds[i] or ()) if metric == main else ()))
            for metric, held in found.items()
        })
        for i, name in enumerate(names)
    ]  # fmt: skip


def _score(
    value: float, traits: MetricTraits, share: np.ndarray | None, drawn: np.ndarray | None, reason: str
) -> Score:
    if math.isnan(value):
        return Score(value, note="it is not defined for these samples")
    if share is not None:
        known = share[~np.isnan(share)]
        return Score(value, *wilson(float(known.sum()), len(known)))
    if traits.no_interval:
        return Score(value, note=traits.no_interval)
    bounds = None if drawn is None else interval(drawn, traits)
    return (
        Score(value, note=reason or "it is seldom defined for resamples") if bounds is None else Score(value, *bounds)
    )


def _of_each(
    leaf: Scorer, codes: np.ndarray, count: int, members: list[np.ndarray], weight: np.ndarray | None
) -> Mapping[str, np.ndarray]:
    if isinstance(leaf, Additive):
        return leaf.of_each_group(codes, count, weight)
    if isinstance(leaf, Ranked):
        parts = [leaf.of_some(index)(_ones(index, weight)) for index in members]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if count * len(codes) > _AFFORDABLE_SLICES:
        return {name: np.full(count, np.nan) for name in leaf(np.ones((1, len(codes))))}
    rows = [leaf(((codes == i) * (1.0 if weight is None else weight))[None]) for i in range(count)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _ones(index: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.ones((1, len(index))) if weight is None else weight[index][None]


def _slice_intervals(
    pred: Predictions, main: str, members: list[np.ndarray], seed: int
) -> list[tuple[float, float] | None]:
    share = plain_fractions(pred).get(main)
    if share is not None:
        known = [held[~np.isnan(held)] for held in (share[index] for index in members)]
        return [wilson(float(held.sum()), len(held)) if len(held) else None for held in known]
    owner = next(((p, leaf) for p, leaf in leaves(pred.scorer()) if main in _named(p, leaf, len(pred))), None)
    if len(members) > _MAX_INTERVALS or owner is None or not isinstance(owner[1], Additive):
        return [None] * len(members)
    units, traits = pred.unit_codes()[0], pred.traits_of(pred.header)[main]
    found = []
    for index in members:
        codes, groups = as_blocks(*codes_of(units[index].tolist()), seed=seed)
        part, weight = owner[1].of_some(index), None if pred.weight is None else pred.weight[index]
        drawn = resampled(part, codes, groups, weight=weight, seed=seed)[0]
        found.append(interval(drawn[main.removeprefix(owner[0])], traits))
    return found


def _named(prefix: str, leaf: Scorer, count: int) -> set[str]:
    return {prefix + name for name in leaf(np.ones((1, count)))}


def _further(
    name: str, metric: FurtherMetric, pred: Predictions, codes: np.ndarray, groups: int, seed: int, num_resamples: int
) -> Score:
    """A metric that is computed once, and on resamples where that is affordable."""
    scorer = metric.scorer(pred)
    if scorer is not None:
        weight = np.ones(len(pred)) if pred.weight is None else pred.weight
        value = float(scorer(weight[None])[name][0])
        drawn, reasons = resampled(scorer, codes, groups, weight=pred.weight, seed=seed, num_resamples=num_resamples)
        return _score(value, MetricTraits(metric.better), None, drawn.get(name), reasons.get(name, ""))
    began = time.perf_counter()
    value = metric(pred)
    if time.perf_counter() - began > _AFFORDABLE_SEC:
        return Score(value, note="computing it anew for resamples takes too long")
    random = np.random.default_rng(stream_seed("bootstrap", seed))
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=groups))[:-1])
    drawn_values = []
    for _ in range(min(MIN_RESAMPLES, num_resamples)):
        index = np.concatenate([members[g] for g in random.integers(0, groups, groups).tolist()])
        try:
            drawn_values.append(metric(_again(pred, index)))
        except ConfigError:  # not defined for every resample
            drawn_values.append(math.nan)
    return _score(value, MetricTraits(metric.better), None, np.array(drawn_values), "")


def _again(pred: Predictions, index: np.ndarray) -> Predictions:
    """Some samples, which may be there several times, under other names."""
    columns = {name: take(column, index) for name, column in pred.columns.items()}
    return type(pred)(Texts.of([str(i) for i in range(len(index))]), columns, pred.header)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
