"""Answers to raw inputs, as a user hands them to ``predict``: read, encoded, put into batches, decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from torch import nn

from scirs_neural.data.context import Context
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.tasks.collect import device_of, evaluating, to_device
from scirs_neural.tasks.task import Task

T = TypeVar("T")
R = TypeVar("R")


def answers(
    task: Task,
    model: nn.Module,
    inputs: Any,
    *,
    pipeline: Pipeline | None = None,
    batch_size: int = 64,
    num_workers: int = 0,
) -> Iterator[tuple[str, Any]]:
    """What a network answers to samples, one after the other.

    Args:
        task: decodes the answers; its ``settings`` are those of answering.
        model: in any mode, which is kept.
        inputs: of data with one input, a value or any iterable of values, as its field reads them; of several inputs, an
            iterable of mappings.
        pipeline: of the data; None makes that of the task's spec.
        batch_size: samples at a time.
        num_workers: threads that read and encode samples while the network looks at earlier ones. The answers are the
            same, in the same order, and so is the first error.

    Yields:
        What the sample is called, and its answer.

    Raises:
        DataError: a value is none of its field's kind, or cannot be read.
    """
    pipe = pipeline or pipeline_of(task)
    ctx = Context("predict", settings=task.settings)
    queue: list[dict[str, Any]] = []

    def flush() -> Iterator[tuple[str, Any]]:
        ids = [row[ID] for row in queue]
        columns = {name: [row[name] for row in queue] for name in pipe.inputs}
        with evaluating(model):
            batch = to_device(pipe.batch(ids, columns, ctx, range(len(ids))), device_of(model))
            decoded = task.decode(task.to_arrays(task.answer(model, batch, ctx), batch))
        queue.clear()
        yield from zip(ids, decoded, strict=True)

    key: Any = None
    for row, found in in_order(lambda raw: (pipe.encode(raw), pipe.batch_key(raw)), read(pipe, inputs), num_workers,
                               ahead=2 * batch_size):  # fmt: skip
        if queue and (found != key or len(queue) == batch_size):
            yield from flush()
        key = found
        queue.append(row)
    if queue:
        yield from flush()


def pipeline_of(task: Task) -> Pipeline:
    """The pipeline of a task's data."""
    from scirs_neural.data.registry import PIPELINES

    made: Pipeline = PIPELINES.get(task.spec.pipeline)(task.spec)
    return made


def read(pipeline: Pipeline, inputs: Any) -> Iterator[dict[str, Any]]:
    """The raw samples in what a user gives, each with an "id"."""
    if len(pipeline.inputs) == 1:
        ((name, field),) = pipeline.inputs.items()
        for sample, value in field.read(inputs):
            yield {ID: sample, name: value}
        return
    for number, raw in enumerate([inputs] if isinstance(inputs, Mapping) else inputs):
        yield {ID: str(number), **raw}


def in_order(function: Callable[[T], R], items: Iterable[T], num_workers: int, ahead: int) -> Iterator[R]:
    """What a function gives for each item, in their order, made by threads that are never far ahead."""
    if num_workers == 0:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
