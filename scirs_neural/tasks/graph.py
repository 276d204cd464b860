"""A task's answer as one exportable module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from scirs_neural.data.context import Batch, Context

if TYPE_CHECKING:
    from scirs_neural.tasks.task import Task


class Answer(nn.Module):
    """A network with its task's `answer` and `to_tensors`: the inputs of a batch in, the columns of answers out."""

    def __init__(self, task: Task, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.task, self.model, self.names = task, model, tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The columns in order, of the inputs in order."""
        batch: Batch = dict(zip(self.names, inputs, strict=True))
        return tuple(self.task.to_tensors(self.task.answer(self.model, batch, Context()), batch).values())


def answer_graph(
    task: Task, model: nn.Module, batch: Batch
) -> tuple[Answer, dict[str, Tensor], list[str], Mapping[str, Mapping[int, str]]]:
    """The fields of a `Graph`: `Answer` over all tensors among the inputs of a batch; its sample axis is dynamic."""
    names = [name for name in task.spec.inputs if isinstance(batch.get(name), Tensor)]
    columns = list(task.to_tensors(task.answer(model, batch, Context()), batch))
    inputs = {name: batch[name] for name in names}
    return (Answer(task, model, names), inputs, columns, {name: {0: "n"} for name in names})
