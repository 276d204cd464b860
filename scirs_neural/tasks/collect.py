"""The one inference loop: a network's answers to batches, as predictions. Needs torch, not Lightning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import DataError
from scirs_neural.core.paths import replacing_folder, storage_errors
from scirs_neural.data.context import Batch, Context
from scirs_neural.evaluation.columns import Column, as_column, join
from scirs_neural.evaluation.predictions import WEIGHT, Predictions
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.evaluation.storage import HEADER, PredictionsWriter
from scirs_neural.tasks.task import Task


def collect(
    task: Task,
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    ctx: Context | None = None,
    with_targets: bool = True,
    units: Mapping[str, str] | None = None,
    folder: Path | None = None,
    each: Callable[[Any, Batch], None] | None = None,
) -> Predictions:
    """Answer every sample of some batches.

    Evaluation mode and no gradients; the mode of every module is put back. Batches go to the device of the network.

    Args:
        task: how the network is called, and what columns its answers have.
        model: the network.
        batches: see `scirs_neural.data.pipeline.Pipeline`.
        ctx: stage, seed and settings of answering.
        with_targets: whether the batches hold targets, and the predictions shall hold the truth.
        units: a sample's id to what it belongs to (patient, document, series), which is drawn as a whole for
            intervals: see `scirs_neural.data.module.DataModule.units`.
        folder: where the columns are written as they come, so that memory does not grow with the number of samples; the
            predictions that are returned lie there. None keeps them in memory.
        each: called with the outputs and the batch (on the network's device), for a loss beside the answers.

    Raises:
        DataError: there is no batch, or batches have different columns.
        StorageError: the folder cannot be written.
    """
    parts = answers(task, model, batches, ctx or Context(), with_targets, units, each)
    if folder is None:
        return _in_memory(task, parts)
    with storage_errors(folder.parent, "make the folder"):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder, HEADER) as temporary:
        count = 0
        with PredictionsWriter(temporary) as writer:
            for ids, columns, belongs in parts:
                writer.append(ids, columns, belongs)
                count += len(ids)
            if not count:
                raise _nothing()
            writer.finish(task.predictions, task.header())
    return load_predictions(folder)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients for a block; the mode of every module before it is put back."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, was in before:
            module.training = was


def to_device(value: Any, device: torch.device) -> Any:
    """A batch, or a part of one, with its tensors on a device.

    Example:
        >>> to_device({"id": ["a"], "x": [torch.zeros(1)]}, torch.device("meta"))["x"][0].device.type
        'meta'
    """
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: to_device(held, device) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(held, device) for held in value)
    return value


def device_of(model: nn.Module) -> torch.device:
    """Where a network's first parameter (or buffer) lies; the CPU without any."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


Part = tuple[list[str], dict[str, Column], list[str] | None]


def answers(
    task: Task,
    model: nn.Module,
    batches: Iterable[Batch],
    ctx: Context,
    with_targets: bool = False,
    units: Mapping[str, str] | None = None,
    each: Callable[[Any, Batch], None] | None = None,
) -> Iterator[Part]:
    """Ids, columns and units of each batch, as they come; see `collect`."""
    device = device_of(model)
    for given in batches:
        with evaluating(model):  # only while it answers: between batches the caller may do anything
            batch = to_device(given, device)
            outputs = task.answer(model, batch, ctx)
            columns = dict(task.to_arrays(outputs, batch))
            if with_targets:
                columns |= task.target_arrays(outputs, batch)
            if each is not None:
                each(outputs, batch)
        if with_targets and isinstance(weight := batch.get(WEIGHT), Tensor):
            columns.setdefault(WEIGHT, weight.double().cpu().numpy())
        made = {name: as_column(values) for name, values in columns.items()}
        for name, column in made.items():
            if len(column) != len(batch["id"]):
                raise DataError(f"the task gives {len(column)} entries of '{name}' for {len(batch['id'])} samples")
        yield batch["id"], made, None if units is None else [units[name] for name in batch["id"]]


def _in_memory(task: Task, parts: Iterator[Part]) -> Predictions:
    ids: list[str] = []
    units: list[str] = []
    held: dict[str, list[Column]] = {}
    for names, columns, belongs in parts:
        ids += names
        units += names if belongs is None else belongs
        for name, column in columns.items():
            held.setdefault(name, []).append(column)
    if not ids:
        raise _nothing()
    joined = {name: join(columns) for name, columns in held.items()}
    return task.predictions(ids, joined, task.header(), None if units == ids else units)


def _nothing() -> DataError:
    return DataError("there is nothing to answer: no batch")
