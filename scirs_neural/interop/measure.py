"""Variants of one model side by side: the rows of every table of compression, export and benchmark."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean

Score = Callable[[list[Any]], Mapping[str, tuple[float, float, float]]]


@dataclass(frozen=True)
class Measurement:
    """One variant.

    Args:
        name: of the variant.
        score: metric to (value, low, high); empty without a score.
        max_difference: largest absolute difference of any output from the reference's.
        relative_difference: the same over the reference's largest absolute output.
        label_agreement: fraction of samples with the reference's most probable class; None where there are no classes.
        size_bytes: of parameters and buffers, or of its file; None where neither is known.
        latency_sec: median of one batch.
        latency_ratio: (median, low, high) of its time over the reference's in the same round.
        peak_memory_bytes: the most that torch allocated at once beyond what there was; None if torch allocates nothing.
    """

    name: str
    score: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    max_difference: float = 0.0
    relative_difference: float = 0.0
    label_agreement: float | None = None
    size_bytes: int | None = None
    latency_sec: float = 0.0
    latency_ratio: tuple[float, float, float] = (1.0, 1.0, 1.0)
    peak_memory_bytes: int | None = None


def measure(
    variants: Mapping[str, Callable[..., Any]],
    samples: Sequence[Any],
    *,
    reference: str,
    score: Score | None = None,
    sizes: Mapping[str, int | str | Path] | None = None,
    class_axis: int = 1,
    rounds: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Measure variants of one model on the same samples.

    They take turns in alternating order (A B C, C B A), so that a machine that slows down hits all of them alike.

    Args:
        variants: name to what is called with a batch: a network in evaluation mode, or any function.
        samples: batches: a tensor, or a tuple of what the variants are called with.
        reference: the variant that the others are compared with.
        score: from the outputs of every batch to metrics: name to (value, low, high).
        sizes: of variants that are no networks: bytes, or the file or folder that holds them.
        class_axis: of the outputs, for `label_agreement`.
        rounds: how many turns each variant takes to be timed.
        clock: gives seconds; `time.process_time` on a machine that others use too.

    Raises:
        ConfigError: there is no such reference, no sample, or a network is not in evaluation mode.

    Example:
        >>> net = nn.Linear(4, 2).eval()
        >>> one, two = measure({"net": net, "half": nn.Linear(4, 2).eval()}, [torch.ones(3, 4)], reference="net")
        >>> one.label_agreement, one.size_bytes, two.max_difference > 0
        (1.0, 40, True)
    """
    if reference not in variants:
        raise ConfigError(f"no variant is called '{reference}'", suggestions=did_you_mean(reference, list(variants)))
    if not samples:
        raise ConfigError("there are no samples to measure on")
    for name, net in variants.items():
        if isinstance(net, nn.Module) and net.training and not isinstance(net, torch.fx.GraphModule):
            raise ConfigError(f"the variant '{name}' is in training mode", fix="call .eval()")
    batches = [batch if isinstance(batch, tuple) else (batch,) for batch in samples]
    with torch.no_grad():
        outputs = {name: [variant(*batch) for batch in batches] for name, variant in variants.items()}
        times = _times(variants, batches, rounds, clock)
        peaks = {name: _peak_memory(variant, batches[0]) for name, variant in variants.items()}
    expected = [_arrays(output) for output in outputs[reference]]

    def row(name: str) -> Measurement:
        arrays = [_arrays(output) for output in outputs[name]]
        return Measurement(
            name, dict(score(outputs[name])) if score else {}, *_differences(arrays, expected),
            _label_agreement(arrays, expected, class_axis), _size(variants[name], (sizes or {}).get(name)),
            float(np.median(times[name])), _ratio(times[name], times[reference]), peaks[name],
        )  # fmt: skip

    return [row(name) for name in variants]


def table_of(measurements: Sequence[Measurement]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows for `scirs_neural.core.terminal.table`."""
    metrics = list(measurements[0].score)
    rows, heads = [], ["variant", *metrics, "same label", "difference", "size", "time", "ratio of times", "peak memory"]
    for one in measurements:
        scores = [f"{v:.4g} ({lo:.4g} to {hi:.4g})" for v, lo, hi in (one.score[name] for name in metrics)]
        ratio, low, high = one.latency_ratio
        same = "" if one.label_agreement is None else terminal.percent(one.label_agreement)
        times = [
            f"{1000 * one.latency_sec:.3g} ms",
            f"{ratio:.3g} ({low:.3g} to {high:.3g})",
            _bytes(one.peak_memory_bytes),
        ]
        rows.append([one.name, *scores, same, f"{one.relative_difference:.2g}", _bytes(one.size_bytes), *times])
    return heads, rows


def _times(variants: Mapping[str, Any], batches: list[Any], rounds: int, clock: Any) -> dict[str, np.ndarray]:
    """Seconds of each turn, by variant (rounds,)."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(-2, rounds):  # two to warm up
        for name in list(variants) if turn % 2 else list(variants)[::-1]:
            start = clock()
            variants[name](*batches[turn % len(batches)])
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn >= 0:
                times[name].append(clock() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


def _ratio(times: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """Median of the ratios of all rounds, with its percentile bootstrap interval."""
    ratios, random = times / np.maximum(others, 1e-12), np.random.default_rng(0)
    drawn = np.median(ratios[random.integers(0, len(ratios), (1000, len(ratios)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def _peak_memory(variant: Callable[..., Any], batch: tuple[Any, ...]) -> int | None:
    """The largest sum of what torch's allocator gave and took back during one call."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler writes to the terminal otherwise
    with torch.autograd.profiler.profile(use_kineto=True, profile_memory=True) as profile:
        variant(*batch)
    changes = [event.nbytes() for event in profile.kineto_results.events() if event.name() == "[memory]"]
    return int(np.cumsum(changes).max()) if changes else None


def _size(variant: Callable[..., Any], known: int | str | Path | None) -> int | None:
    if isinstance(known, str | Path):
        return sum(file.stat().st_size for file in (Path(known), *Path(known).rglob("*")) if file.is_file())
    if known is not None or not isinstance(variant, nn.Module):
        return known
    tensors = {tensor.data_ptr(): tensor.nbytes for tensor in (*variant.parameters(), *variant.buffers())}
    return sum(tensors.values())


def _arrays(output: Any) -> list[np.ndarray]:
    """The tensors or arrays of an output in order, as float64."""
    output = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(output, list | tuple):
        return [array for part in output for array in _arrays(part)]
    return [np.asarray(output.detach().cpu().double() if isinstance(output, Tensor) else output, dtype=np.float64)]


def _differences(arrays: list[list[np.ndarray]], expected: list[list[np.ndarray]]) -> tuple[float, float]:
    """Largest absolute difference, and that over the largest reference; infinite where shapes differ, or one is NaN."""
    largest = scale = 0.0
    for ones, others in zip(arrays, expected, strict=True):
        if [one.shape for one in ones] != [other.shape for other in others]:
            return float("inf"), float("inf")
        for one, other in zip(ones, others, strict=True):
            apart = np.abs(np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, one - other))
            largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))
            scale = max(scale, float(np.abs(other[np.isfinite(other)]).max(initial=0.0)))
    return largest, largest / scale if scale else largest and float("inf")


def _label_agreement(arrays: list[list[np.ndarray]], expected: list[list[np.ndarray]], axis: int) -> float | None:
    """Of the first output."""
    firsts = [(one[0], other[0]) for one, other in zip(arrays, expected, strict=True) if one and other]
    if any(one.shape != other.shape or one.ndim <= axis or one.shape[axis] < 2 for one, other in firsts):
        return None
    same = [(one.argmax(axis) == other.argmax(axis)).ravel() for one, other in firsts]
    return float(np.concatenate(same).mean()) if same else None


def _bytes(count: int | None) -> str:
    return "" if count is None else f"{terminal.count(count)}B"
