"""Several targets in one network: a task made of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.multi_task.predictions import ManyPredictions
from scirs_neural.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor


class MultiTask(Task):
    """Several targets, each learnt and judged by a task of its own, on the outputs of one head.

    The network gives a dict of outputs by target, a tuple of them in the order of the targets, or one row of numbers
    (N, sum of what they need), which is divided among them in that order: so any network with one head will do.
    A sample may lack any of its targets: it then counts in no term, and no score, of that target.

    Args:
        spec: with several targets.
        tasks: target to the name of its task, or to a mapping of its name and options; others follow from their kind.
        weights: target to the factor of its loss in the sum; 1 if nothing is said.
        main: "target/metric" that ranks epochs; None: the main one of the first target.
    """

    name = "multi_task"
    predictions = ManyPredictions

    def __init__(
        self,
        spec: DataSpec,
        *,
        tasks: Mapping[str, str | Mapping[str, Any]] | None = None,
        weights: Mapping[str, float] | None = None,
        main: str | None = None,
    ) -> None:
        super().__init__(spec, tasks=dict(tasks or {}), weights=dict(weights or {}), main=main)
        from scirs_neural.tasks.create import create_task

        for setting, given in (("tasks", tasks), ("weights", weights)):
            for name in given or {}:
                if name not in spec.targets:
                    near = did_you_mean(name, list(spec.targets))
                    raise ConfigError(f"task.{setting}: the data has no target '{name}'", suggestions=near)
        self.parts: dict[str, Task] = {}
        for target in spec.targets:
            asked = (tasks or {}).get(target, {})
            options = {"name": asked} if isinstance(asked, str) else dict(asked)
            self.parts[target] = create_task(spec.part(target), **options)
        first, part = next(iter(self.parts.items()))
        self.main_metric = main or f"{first}/{part.main_metric}"
        names = (f"{t}/{name}" for t, p in self.parts.items() for name in (p.main_metric, *p.epoch_metrics))
        self.epoch_metrics = tuple(name for name in names if name != self.main_metric)
        self.answer_settings = {  # one of a name is for every part that has it
            name: value for part in self.parts.values() for name, value in part.answer_settings.items()
        }
        self.has_eval_loss = all(part.has_eval_loss for part in self.parts.values())

    def use_settings(self, settings: Mapping[str, Any]) -> None:
        """Hand settings of answering to the parts that have them."""
        super().use_settings(settings)
        for part in self.parts.values():
            part.use_settings({name: value for name, value in settings.items() if name in part.answer_settings})

    @property
    def mixes_samples(self) -> bool:  # type: ignore[override]  # asking a part makes its loss, which imports torch
        """Whether the loss of a part couples samples."""
        return any(part.mixes_samples for part in self.parts.values())

    def model_arguments(self) -> dict[str, Any]:
        """Those of the inputs; how many outputs each target needs, ``heads``, and all together, ``num_classes``."""
        arguments = [part.model_arguments() for part in self.parts.values()]
        shared = {key: value for held in arguments for key, value in held.items() if key != "num_classes"}
        return {**shared, "heads": self.heads, "num_classes": sum(self.heads.values())}

    @cached_property
    def heads(self) -> dict[str, int]:
        """How many outputs each target needs."""
        return {name: part.model_arguments()["num_classes"] for name, part in self.parts.items()}

    def losses(self, outputs: Any, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Terms ``<target>/<term>``."""
        weights = self.options["weights"]
        found = self._each("/", lambda name, part: part.losses(self._head(outputs, name), batch, ctx))
        return {name: value * weights.get(name.partition("/")[0], 1.0) for name, value in found.items()}

    def counts(self, batch: Batch) -> dict[str, float | None]:
        """Those of the parts; "<target>/*" stands for every other term of a target."""
        return self._each("/", lambda name, part: part.counts(batch))

    def check_outputs(self, outputs: Any, batch: Batch) -> None:
        """Refuse a network without a head for each target.

        Raises:
            ShapeError: there is none, or one that its task refuses.
        """
        for name, part in self.parts.items():
            part.check_outputs(self._head(outputs, name), batch)

    def to_tensors(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """Columns ``<target>.<column>``."""
        return self._each(".", lambda name, part: part.to_tensors(self._head(outputs, name), batch))

    def to_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Columns ``<target>.<column>``."""
        return self._each(".", lambda name, part: part.to_arrays(self._head(outputs, name), batch))

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Columns ``<target>.<column>``."""
        return self._each(".", lambda name, part: part.target_arrays(self._head(outputs, name), batch))

    def header(self) -> dict[str, Any]:
        """Of each target: the kind of its predictions, and their header; and the metric that ranks."""
        parts = self.parts.items()
        targets = {name: {"kind": part.predictions.kind, "header": part.header()} for name, part in parts}
        return {"targets": targets, "main": self.main_metric}

    def decode(self, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """For each sample the answer to each target."""
        answers = [part.decode(_of(name, columns)) for name, part in self.parts.items()]
        return [dict(zip(self.parts, row, strict=True)) for row in zip(*answers, strict=True)]

    def _head(self, outputs: Any, target: str) -> Any:
        if isinstance(outputs, Mapping) and target in outputs:
            return outputs[target]
        if isinstance(outputs, Sequence) and len(outputs) == len(self.parts):
            return outputs[list(self.parts).index(target)]
        shape: tuple[int, ...] = tuple(getattr(outputs, "shape", ()))
        if len(shape) == 2 and shape[1] == sum(self.heads.values()):
            start = sum(self.heads[name] for name in list(self.heads)[: list(self.heads).index(target)])
            return outputs[:, start : start + self.heads[target]]
        found = f"a dict of {list(outputs)}" if isinstance(outputs, Mapping) else type(outputs).__name__
        raise ShapeError(
            f"the network gives {found}, and the targets are {', '.join(self.parts)}",
            fix=f"give a dict of outputs by target, a tuple in their order, or one row of {sum(self.heads.values())}",
        )

    def _each(self, mark: str, function: Callable[[str, Task], Mapping[str, Any]]) -> dict[str, Any]:
        return {f"{name}{mark}{key}": v for name, part in self.parts.items() for key, v in function(name, part).items()}


def _of(target: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    start = f"{target}."
    return {name.removeprefix(start): column for name, column in columns.items() if name.startswith(start)}
