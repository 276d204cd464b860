"""Using a trained network on raw inputs: the same from a run, from a package, and in Python. Imports no Lightning."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from scirs_neural.core.errors import CheckpointError, DataError, StorageError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.data.registry import PIPELINES
from scirs_neural.data.spec import DataSpec
from scirs_neural.runs.build import load_trained, make_network, make_task
from scirs_neural.tasks.collect import answers
from scirs_neural.tasks.create import create_task
from scirs_neural.tasks.task import Task

if TYPE_CHECKING:
    from scirs_neural.config.schema import RunConfig
    from scirs_neural.runs.folder import RunFolder
    from scirs_neural.serialization import Package

_ERROR = "#error"  # of a raw sample that could not be read
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Prediction:
    """The answer to one sample.

    Args:
        source: the file, or the number of the sample in what was given.
        answer: plain data, as the task decodes it: of classification ``{"class", "probability", "top"}``; None where
            the sample could not be used.
        error: why it could not.
    """

    source: str
    answer: Any
    error: DataError | None = None


class Predictor:
    """A trained network with its task and its data's pipeline.

    Args:
        task: decodes the network's answers.
        model: the network, with its weights.
        settings: of answering, in place of the task's own: threshold, top_k, …
    """

    def __init__(self, task: Task, model: nn.Module, settings: Mapping[str, Any] | None = None) -> None:
        if settings:
            task = copy(task)
            task.use_settings(settings)
        self.task, self.model = task, model
        self.pipeline: Pipeline = PIPELINES.get(task.spec.pipeline)(task.spec)

    def predict(self, inputs: Any, **how: Any) -> list[Prediction]:
        """Answer raw inputs; the arguments are those of `stream`."""
        return list(self.stream(inputs, **how))

    def stream(
        self, inputs: Any, *, batch_size: int = 64, num_workers: int = 0, skip_bad: bool = False
    ) -> Iterator[Prediction]:
        """Answer raw inputs one after the other, in their order: for more than memory holds.

        Args:
            inputs: whatever `Pipeline.read` takes, or a list of `Path`, each read by itself.
            batch_size: samples at a time.
            num_workers: threads that read samples while the network looks at earlier ones. The answers are the same.
            skip_bad: give a sample or file that cannot be used as a `Prediction` with an error, and go on.

        Raises:
            DataError: the inputs are none, or a sample cannot be used.
        """
        ready = read_ahead(self._encoded, self._read(inputs), num_workers, ahead=2 * batch_size)
        while chunk := list(islice(ready, batch_size)):
            if not skip_bad:
                for _, row in chunk:
                    if isinstance(row, DataError):
                        raise row
            yield from self._answered(chunk)

    def _read(self, inputs: Any) -> Iterator[Mapping[str, Any]]:
        """Raw samples; what cannot be read is one that holds its error."""
        fields = ", ".join(f"{name} ({held.describe()})" for name, held in self.pipeline.inputs.items())
        if inputs is None or isinstance(inputs, bool | int | float):
            raise DataError(f"{inputs} is no input", fix=f"give {fields}")
        are_files = (
            isinstance(inputs, list | tuple) and len(inputs) > 0 and all(isinstance(one, Path) for one in inputs)
        )
        for one in inputs if are_files else [inputs]:
            try:
                yield from self.pipeline.read(one)
            except (DataError, CheckpointError, StorageError) as error:
                bad = error if isinstance(error, DataError) else DataError(error.what, where=error.where, fix=error.fix)
                yield {ID: str(one) if isinstance(one, str | Path) else "inputs", _ERROR: bad}
            except TypeError as error:
                raise DataError(f"this is no input: {error}", fix=f"give {fields}") from error

    def _encoded(self, raw: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | DataError]:
        """The key of the batch that a sample may be in, and its fields as numbers, or why it has none."""
        try:
            if _ERROR in raw:
                raise raw[_ERROR]
            return self.pipeline.batch_key(raw), self.pipeline.encode(raw)
        except DataError as error:
            error.where = error.where or str(raw[ID])
            return str(raw[ID]), error

    def _answered(self, chunk: list[tuple[Any, dict[str, Any] | DataError]]) -> Iterator[Prediction]:
        made: dict[int, Prediction] = {}
        groups: dict[Any, list[int]] = {}
        for place, (key, row) in enumerate(chunk):
            if isinstance(row, DataError):
                made[place] = Prediction(key, None, row)
            else:
                groups.setdefault(key, []).append(place)
        for places in groups.values():
            rows = [chunk[place][1] for place in places]
            batch = self._batch(rows)
            ((_, columns, _),) = answers(self.task, self.model, [batch], Context(settings=self.task.settings))
            for place, answer in zip(places, self.task.decode(columns), strict=True):
                made[place] = Prediction(batch[ID][places.index(place)], answer)
        yield from (made[place] for place in range(len(chunk)))

    def _batch(self, rows: list[Any]) -> Batch:
        columns = {name: [row[name] for row in rows] for name in self.pipeline.inputs}
        ctx = Context(settings=self.task.settings)
        return self.pipeline.batch([row[ID] for row in rows], columns, ctx, range(len(rows)))


def read_ahead(function: Callable[[T], R], items: Iterable[T], num_workers: int, ahead: int) -> Iterator[R]:
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


def flat(answer: Any) -> dict[str, Any]:
    """An answer as one row of a table: names with numbers beside them become two columns each.

    Example:
        >>> flat({"class": "cat", "top": [["cat", 0.9], ["dog", 0.1]]})
        {'class': 'cat', 'top_1': 'cat', 'top_1_value': 0.9, 'top_2': 'dog', 'top_2_value': 0.1}
        >>> flat(["red", "old"]), flat({"size": {"height": 1.5}})
        ({'answer': 'red|old'}, {'size.height': 1.5})
    """
    if not isinstance(answer, Mapping):
        return flat({"answer": answer})
    row: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, Mapping):
            row |= {f"{key}.{name}": held for name, held in flat(value).items()}
        elif isinstance(value, list | tuple) and value and all(_is_pair(item) for item in value):
            for place, (name, number) in enumerate(value, start=1):
                row |= {f"{key}_{place}": name, f"{key}_{place}_value": number}
        elif isinstance(value, list | tuple):
            row[key] = "|".join(map(str, value))
        else:
            row[key] = value
    return row


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str) and not isinstance(item[1], str)
    )


def run_predictor(folder: RunFolder, config: RunConfig, model: nn.Module | None = None) -> Predictor:
    """The network of a finished run, with its best weights. Its data is not touched.

    Args:
        folder: the run's.
        config: the run's.
        model: the user's own network, if the run was of one.

    Raises:
        CheckpointError: the run has no weights, or they are of another network.
    """
    summary = folder.read_summary()
    task = make_task(config, DataSpec.from_dict(summary["data"], str(folder.summary)))
    task.use_settings(summary.get("answer", {}))
    if model is None:
        model = make_network(config, task, load=False)  # the run's checkpoint holds them, published ones may be gone
    model = load_trained(config, model, folder.checkpoint())
    return Predictor(task, model.eval())


def package_predictor(package: Package, settings: Mapping[str, Any] | None = None) -> Predictor:
    """The network of a package.

    Raises:
        CheckpointError: the package does not say what its network takes and answers.
    """
    if package.spec is None:
        raise CheckpointError(
            "the package lacks the description of its data, or its task",
            where=str(package.path),
            fix="save it with spec=",
        )
    task = create_task(package.spec) if package.task_record is None else package.make_task()
    return Predictor(task, package.model, {**package.answer, **(settings or {})})
