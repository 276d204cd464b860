"""What tasks of one target with one loss share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import WEIGHT
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.tasks.criterion import Criterion


class Supervised(Task):
    """A task of one target, one row of outputs a sample, and a loss of both.

    Args:
        spec: with one target.
        loss: a name of `scirs_neural.losses`, ``file.py:Class``, or a list of weighted terms; "auto": the task's own.
        metrics: names of further metrics, or ``file.py:function``.
        **options: of the task.

    Attributes:
        automatic_loss: what "auto" means.
        is_of_classes: floating-point targets are probabilities of classes, a row a sample.
        names_in: what the target's description calls the names of the outputs.
    """

    automatic_loss: ClassVar[str]
    is_of_classes: ClassVar[bool] = False
    names_in: ClassVar[str] = "classes"

    def __init__(self, spec: DataSpec, *, loss: Any = "auto", metrics: Sequence[str] = (), **options: Any) -> None:
        super().__init__(spec, loss=loss, metrics=list(metrics), **options)
        self.description, self.target = spec.target, next(iter(spec.targets))

    @property
    def output_names(self) -> Sequence[str]:
        """What each output of the network stands for."""
        names: Sequence[str] = self.description[self.names_in]
        return names

    @property
    def mixes_samples(self) -> bool:  # type: ignore[override]  # making the loss imports torch
        """Whether the loss couples the samples of a batch."""
        return self.criterion.mixes_samples

    @cached_property
    def criterion(self) -> Criterion:
        """The loss, made at its first use."""
        from scirs_neural.tasks.criterion import Criterion

        chosen, options = self.options["loss"], self.loss_options()
        if options and not isinstance(chosen, str):
            name = next(iter(options))
            raise ConfigError(f"task.{name} is for a loss given by name", fix="put it into the loss's own options")
        return Criterion(self.automatic_loss if chosen == "auto" else chosen, of_classes=self.is_of_classes, **options)

    def loss_options(self) -> dict[str, Any]:
        """Options of the loss that follow from the task's."""
        return {}

    def prepared_target(self, batch: Batch) -> Tensor:
        """The targets as the loss takes them."""
        target: Tensor = batch[self.target]
        return target

    def losses(self, outputs: Tensor, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """The terms of the loss, each a mean over the targets that are known."""
        return self.criterion.terms(outputs, self.prepared_target(batch), batch.get(WEIGHT))

    def counts(self, batch: Batch) -> dict[str, float | None]:
        """How many targets are known, or the sum of their weights."""
        return self.criterion.counts(batch[self.target], batch.get(WEIGHT))

    def check_outputs(self, outputs: Any, batch: Batch) -> None:
        """Refuse outputs that are not one row a sample, as wide as the target needs.

        Raises:
            ShapeError: they are not.
        """
        wanted, shape = len(self.output_names), getattr(outputs, "shape", None)
        if shape is None or tuple(shape) != (len(batch["id"]), wanted):
            found = type(outputs).__name__ if shape is None else tuple(shape[1:])
            is_row = isinstance(found, tuple) and len(found) == 1
            raise ShapeError(
                f"the network gives {found} for a sample, '{self.spec.name}' needs ({wanted},)",
                fix=f"build it with num_classes={wanted}" if is_row else "a network that gives one row a sample",
            )


def top_answers(row: Any, names: Sequence[str], count: int) -> list[list[Any]]:
    """The names of the largest numbers of a row, with those, largest first.

    Example:
        >>> import numpy as np
        >>> top_answers(np.array([0.1, 0.7, 0.2]), ["a", "b", "c"], 2)
        [['b', 0.7], ['c', 0.2]]
    """
    import numpy as np

    return [[names[place], float(row[place])] for place in np.argsort(-row, kind="stable")[:count]]
