"""The contract of a plugin: something that is done to a training run, and that may change the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from scirs_neural.core.registry import check_version
from scirs_neural.data.context import Batch, Context

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from scirs_neural.tasks.task import Task

STRUCTURE, ADAPTERS, MASKS, NUMERICS, LOSSES, AVERAGES = 10, 20, 30, 40, 50, 60
"""Stages: plugins prepare in this order, and are finalized in reverse."""


class Plugin:
    """Something that is done to a training run. Not a callback: it may change the network.

    Registered in `scirs_neural.plugins.registry.PLUGINS` under its name, or by an entry point ``scirs_neural.plugin``.

    Args:
        **options: plain data, each with a default: to rebuild a network it is made without any.

    Attributes:
        name: under which it is registered.
        version: of its record.
        stage: place in the order; see `STRUCTURE` and those after it.
        before: names of plugins of the same stage that come later.
        after: names of plugins of the same stage that come earlier.
        conflicts: names of plugins that it cannot run beside.
        tolerance: largest relative change of the answers that `finalize` may make.
    """

    name: str
    version: ClassVar[int] = 1
    stage: ClassVar[int] = LOSSES
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    conflicts: ClassVar[tuple[str, ...]] = ()
    tolerance: float = 1e-4

    def __init__(self, **options: Any) -> None:
        self.options = options

    def prepare(self, model: nn.Module, task: Task, example: Batch) -> nn.Module:
        """The network that is trained, from a fresh one: before the optimizer is made.

        Random numbers are seeded for it. A run that goes on from a checkpoint calls `rebuild` instead.

        Args:
            model: as the plugins before it left it; of ``--check`` on the meta device.
            task: how it is called.
            example: two made-up samples.
        """
        return model

    def modules(self) -> nn.Module | None:
        """Further trained parameters (an adversarial head, a projection): in checkpoints, never in packages."""
        return None

    def taps(self) -> Sequence[str]:
        """Names of modules of the network whose outputs `losses` wants to see."""
        return ()

    def rows(self, ctx: Context) -> Sequence[Mapping[str, Any]]:
        """Further raw samples for this step, each with an "id": a function of the context.

        The pipeline encodes them, without augmentation; they arrive in `losses` and `counts` as the batch
        ``batch[<plugin's name>]``, which is missing from parts of a step that got none.
        """
        return ()

    def losses(
        self, outputs: Any, batch: Batch, taps: Mapping[str, Tensor], model: nn.Module, ctx: Context
    ) -> dict[str, Tensor]:
        """Further terms of the loss, each a mean over ``counts(batch)[term]`` items."""
        return {}

    def counts(self, batch: Batch) -> dict[str, float]:
        """Of how many items each of its terms is a mean, 0 where there are none; the default: the number of samples."""
        return {}

    def at_epoch(self, model: nn.Module, ctx: Context) -> nn.Module | None:
        """Before an epoch, at a step boundary. It may change the network; it gives another one, or None.

        Where parameters are other ones afterwards, the optimizer is made anew: its state is kept by name for parameters
        whose shape has not changed, `map_state` may say how the others follow, and the schedule of the learning rate
        goes on. Random numbers come from the context.
        """
        return None

    def map_state(self, name: str, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """The optimizer's state of a parameter whose shape `at_epoch` has changed; None starts anew."""
        return None

    def after_step(self, model: nn.Module, ctx: Context) -> None:
        """After an optimizer step."""

    def after_epoch(self, model: nn.Module, ctx: Context) -> None:
        """After the last step of an epoch, before the network is validated."""

    def shown(self, model: nn.Module) -> nn.Module:
        """The network that is validated, ranked and kept, such as an average."""
        return model

    def may_rank(self, ctx: Context) -> bool:
        """Whether the epoch that has just ended may be the best one."""
        return True

    def finalize(self, model: nn.Module, batches: Callable[[], Iterable[Batch]], task: Task) -> nn.Module:
        """The network that is shipped, from the best one. What `prepare` put on comes off here, last first.

        Args:
            model: with its best weights, in evaluation mode.
            batches: makes a pass over training batches without augmentation, for calibration.
            task: for the loss of a batch.
        """
        return model

    def record(self) -> dict[str, Any]:
        """What must be done to a fresh network so that it takes the present weights: plain data and tensors.

        It stands in every checkpoint and in the package. Empty: nothing; then a package needs no such plugin.
        """
        return {}

    @classmethod
    def check(cls, record: Mapping[str, Any], where: str) -> None:
        """Hold a record that came out of a file, ``{"name", "version", "record"}``, to this plugin.

        Raises:
            CheckpointError: it is of another version, or not as `record` gives it.
        """
        check_version("plugin", record["name"], record, cls.version, where)

    def rebuild(self, model: nn.Module, record: Mapping[str, Any]) -> nn.Module:
        """A fresh network as the record has it: its modules and the shapes of its tensors.

        It gets its weights afterwards. It may lie on the meta device: before memory is taken for a file's network, its
        names and shapes are held to the file's.
        """
        return model

    def artifacts(self, folder: Path) -> Mapping[str, Path]:
        """Files beside the network, such as an int8 graph, written into a folder at the end: name to path."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What the plugin itself must remember, as plain data and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
