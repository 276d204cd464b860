"""What is done with all plugins of a run, in the order of their stages: prepare, rebuild, finalize."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import CheckpointError, ConfigError, ParityError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.context import Batch, Context
from scirs_neural.plugins.plugin import Plugin

if TYPE_CHECKING:
    from torch import nn

    from scirs_neural.data.pipeline import Pipeline
    from scirs_neural.tasks.task import Task

NUM_SAMPLES = 8
"""Of how many samples the answers are compared around each plugin's `finalize`."""


def overrides(plugin: Plugin, name: str) -> bool:
    """Whether a plugin has something of its own to do there."""
    return getattr(type(plugin), name) is not getattr(Plugin, name)


def prepare_all(plugins: Sequence[Plugin], model: nn.Module, task: Task, example: Batch, seed: int = 0) -> nn.Module:
    """The network that is trained, from a fresh one.

    Args:
        plugins: in order.
        model: the fresh network.
        task: how it is called.
        example: two made-up samples.
        seed: of the run: what a plugin draws at random depends on it and on the plugin's name alone.
    """
    for plugin in plugins:
        with _seeded("prepare", seed, plugin.name):
            model = _network(plugin, plugin.prepare(model, task, example))
    return model


def records_of(plugins: Sequence[Plugin], *, state: bool = False) -> list[dict[str, Any]]:
    """Name, version and record of each plugin, as checkpoints have them; with what each remembers, if that is asked."""
    return [
        {"name": plugin.name, "version": plugin.version, "record": plugin.record()}
        | ({"state": plugin.state_dict()} if state else {})
        for plugin in plugins
    ]


def same_records(plugins: Sequence[Plugin], records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether records say that a network was changed just as the plugins have changed theirs."""
    import torch
    from torch.utils._pytree import tree_flatten

    def flat(held: Sequence[Mapping[str, Any]]) -> tuple[list[Any], Any]:
        return tree_flatten([(one["name"], one["version"], one["record"]) for one in held])

    (mine, shape), (theirs, other) = flat(records_of(plugins)), flat(records)
    return shape == other and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(mine, theirs, strict=True)
    )


def rebuild_all(plugins: Sequence[Plugin], model: nn.Module, records: Sequence[Mapping[str, Any]]) -> nn.Module:
    """A fresh network as records have it.

    Raises:
        CheckpointError: the records are of other plugins, or of another version of one.
    """
    by_name = {plugin.name: plugin for plugin in plugins}
    saved = [str(held["name"]) for held in records]
    what = "the checkpoint is of a run"
    if missing := [name for name in saved if name not in by_name]:
        raise CheckpointError(f"{what} with the plugin '{missing[0]}'", fix=f"plugins=[{missing[0]}]")
    for plugin in plugins:
        if plugin.name not in saved and overrides(plugin, "prepare"):
            raise CheckpointError(f"{what} without the plugin '{plugin.name}'", fix="begin a new run")
    for held in records:
        plugin = by_name[str(held["name"])]
        if held.get("version", 1) != plugin.version:
            raise CheckpointError(
                f"the record of the plugin '{plugin.name}' has version {held['version']}, this is {plugin.version}"
            )
        model = _network(plugin, plugin.rebuild(model, held["record"]))
    return model


def load_states(plugins: Sequence[Plugin], records: Sequence[Mapping[str, Any]]) -> None:
    """Give plugins back what they remembered."""
    states = {held["name"]: held["state"] for held in records if held.get("state")}
    for plugin in plugins:
        if plugin.name in states:
            plugin.load_state_dict(states[plugin.name])


def finalize_all(
    plugins: Sequence[Plugin],
    model: nn.Module,
    task: Task,
    batches: Callable[[], Iterable[Batch]],
    pipeline: Pipeline | None = None,
) -> nn.Module:
    """The network that is shipped: each plugin finalizes it, the last one first, and the answers must agree.

    Args:
        plugins: in order.
        model: with its best weights.
        task: how it is called.
        batches: makes a pass over batches without augmentation; they are brought to where the network is.
        pipeline: of the data; None makes that of the task's spec.

    Raises:
        ParityError: a plugin changed the answers by more than its tolerance.
    """
    from scirs_neural.data.registry import PIPELINES
    from scirs_neural.tasks.collect import device_of, to_device

    network = [model.eval()]

    def on_device() -> Iterator[Batch]:
        return (to_device(batch, device_of(network[0])) for batch in batches())

    few: Batch | None = None
    for plugin in reversed(plugins):
        if not overrides(plugin, "finalize"):
            continue
        if few is None:
            first = next(iter(batches()))
            few = (pipeline or PIPELINES.get(task.spec.pipeline)(task.spec)).split(
                first, -(-len(first["id"]) // NUM_SAMPLES)
            )[0]
        before = _answers(task, network[0], few)
        network[0] = _network(plugin, plugin.finalize(network[0], on_device, task)).eval()
        _check_answers(plugin, before, _answers(task, network[0], few))
    return network[0]


def relative_change(before: Any, after: Any) -> float:
    """By how much a column of answers changed: numbers relative to the largest of them, texts as the part of them.

    Args:
        before: an array (N, …), a list of N arrays, or a list of N texts.
        after: likewise.

    Example:
        >>> import numpy as np
        >>> relative_change(np.array([1.0, -4.0]), np.array([1.0, -5.0])), relative_change(["a", "b"], ["a", "c"])
        (0.25, 0.5)
    """
    import numpy as np

    if len(before) != len(after):
        return float("inf")
    if isinstance(before, list) and all(isinstance(value, str) for value in before):
        return float(np.mean([a != b for a, b in zip(before, after, strict=True)])) if before else 0.0
    if isinstance(before, list):
        if any(np.shape(a) != np.shape(b) for a, b in zip(before, after, strict=True)):
            return float("inf")
        before, after = (np.concatenate([np.ravel(a) for a in value] or [np.zeros(0)]) for value in (before, after))
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if old.shape != new.shape or not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return float("inf")
    known = np.isfinite(old)
    if not known.any():
        return 0.0
    return float(np.abs(new - old)[known].max() / max(1e-12, np.abs(old[known]).max()))


def _answers(task: Task, model: nn.Module, batch: Batch) -> dict[str, Any]:
    from scirs_neural.tasks.collect import device_of, evaluating, to_device

    with evaluating(model):
        here = to_device(batch, device_of(model))
        return dict(task.to_arrays(task.answer(model, here, Context(settings=task.settings)), here))


def _check_answers(plugin: Plugin, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name, values in before.items():
        change = relative_change(values, after[name])
        if not change <= plugin.tolerance:
            raise ParityError(
                f"finalizing the plugin '{plugin.name}' changed the answers: column '{name}' by {change:.2g}, "
                f"and {plugin.tolerance:g} is allowed",
                where=f"plugins.{plugin.name}",
                fix="plugins are finalized last first: what its `finalize` relies on must still be on the network",
            )


def _network(plugin: Plugin, made: Any) -> nn.Module:
    from torch import nn

    if not isinstance(made, nn.Module):
        raise ConfigError(f"the plugin '{plugin.name}' gave a {type(made).__name__}, not a network")
    return made


@contextlib.contextmanager
def _seeded(*key: object) -> Iterator[None]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(*key) % 2**63)
        yield
