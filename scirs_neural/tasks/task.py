"""The contract of a task: what is asked of a network, apart from the network itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import check_version
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.spec import DataSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scirs_neural.evaluation.predictions import Predictions

ALL_OTHERS = "*"


@dataclass(frozen=True)
class Phase:
    """One optimizer's turn.

    Args:
        name: of the phase, as ``ctx.phase`` has it.
        parameters: prefix of the names of the network's parameters that it moves; "" means all.
        every: it takes place in every so many steps.
    """

    name: str = "main"
    parameters: str = ""
    every: int = 1


@dataclass(frozen=True)
class Graph:
    """One exportable module: tensors by name in, tensors by name out.

    Args:
        module: called with the inputs in order; gives a tuple of the outputs in order.
        inputs: name to an example.
        outputs: names.
        dynamic: input to {axis: name} of the axes whose length may differ.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


class Task:
    """What is asked of a network: how it is called, what it is to minimise, what it answers, how answers are judged.

    A plain object: it holds no network, no optimizer, and nothing of Lightning's; one generic module of the engine
    hosts every task. The module of a task imports no torch at its top, so that `decode` and its predictions work
    without it. Losses and un-scaling are computed in float32 or wider, whatever the network computes in.

    Registered in `scirs_neural.tasks.registry.TASKS` under its name, or by an entry point ``scirs_neural.task``. With
    the trait ``targets``, the kinds of the data's targets that it is for, it is chosen by itself for such data.

    Args:
        spec: the data's description.
        **options: of the task, plain data: they are kept with every run and package.

    Attributes:
        name: under which it is registered.
        version: of its record.
        predictions: the class of the predictions that hold its columns; it imports no torch.
        main_metric: the metric of its predictions that ranks epochs.
        mixes_samples: the loss couples the samples of a batch, as a contrastive loss does.
        has_eval_loss: `losses` can be computed from outputs in evaluation mode.
        epoch_metrics: further metrics of its predictions that are shown after each epoch.
        answer_settings: names and defaults of the settings of answering (``answer.*``): threshold, steps, prompts.
        settings: those that are in use; see `use_settings`.
        reason: why it is this task, in a few words.
    """

    name: str
    version: ClassVar[int] = 1
    predictions: type[Predictions]
    main_metric: str
    epoch_metrics: Sequence[str] = ()
    mixes_samples: bool = False
    has_eval_loss: bool = True
    answer_settings: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})
    reason: str = ""

    def __init__(self, spec: DataSpec, **options: Any) -> None:
        self.spec, self.options = spec, options

    def use_settings(self, settings: Mapping[str, Any]) -> None:
        """Answer with other settings than the defaults.

        Raises:
            ConfigError: the task has no setting of that name.
        """
        for name in settings:
            if name not in self.answer_settings:
                known = ", ".join(self.answer_settings)
                raise ConfigError(
                    f"the task '{self.name}' has no setting of answering '{name}'", where=f"answer.{name}",
                    suggestions=did_you_mean(name, list(self.answer_settings)),
                    fix=f"it has {known}" if known else "it has none",
                )  # fmt: skip
        self.settings = {**self.settings, **settings}

    def fitted_settings(self, predictions: Predictions) -> dict[str, Any]:
        """Settings of answering that are to follow from predictions of the validation set ("auto")."""
        return {}

    def model_arguments(self) -> dict[str, Any]:
        """What a network must be built with to fit the data: ``num_classes``, ``in_channels``, …."""
        from scirs_neural.data.pipeline import Pipeline

        fields = Pipeline(self.spec)
        found: dict[str, Any] = {}
        for held in (*fields.inputs.values(), *fields.targets.values()):
            found |= held.model_arguments()
        return found

    def phases(self) -> Sequence[Phase]:
        """The optimizers, in the order in which they take their turns in a step."""
        return (Phase(),)

    def forward(self, model: nn.Module, batch: Batch, ctx: Context) -> Any:
        """The network's outputs in training, of which losses are made: it is called with the inputs in order."""
        return model(*(batch[name] for name in self.spec.inputs))

    def losses(self, outputs: Any, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Terms of the loss by name, each a mean over ``counts(batch)[term]`` items.

        What it gives for a term without items is not used.
        """
        raise NotImplementedError

    def counts(self, batch: Batch) -> Mapping[str, float | None]:
        """Of how many items each term is a mean, from the batch alone, which is still on the CPU; None: it is a sum.

        "*" stands for every term that is not named, "a/*" for every other one whose name begins with "a/". The engine
        weighs the parts of a step by them, so that the gradient is that of the whole, however it is cut into parts,
        batches and ranks.
        """
        return {ALL_OTHERS: len(batch["id"])}

    def check_outputs(self, outputs: Any, batch: Batch) -> None:
        """Refuse a network by what it gives for an example, before any training; it has no values (meta tensors).

        Raises:
            ShapeError: it is not what the task needs.
        """

    def answer(self, model: nn.Module, batch: Batch, ctx: Context) -> Any:
        """The outputs of which answers are made: of `forward`, or of generation or sampling. Sees no targets."""
        return self.forward(model, batch, ctx)

    def to_tensors(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """The last part of an answer, which belongs into an exported graph: softmax, un-scaling. Traceable.

        A column ``x`` beside a column ``x.length`` (N,) is ragged: padded here, cut to its lengths in `to_arrays`.

        Shape: (N, …) each.
        """
        raise NotImplementedError

    def to_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """The columns of the predictions: an array (N, …), a list of N arrays (ragged), or a list of N texts."""
        held = {name: _array(tensor) for name, tensor in self.to_tensors(outputs, batch).items()}
        lengths = {name.removesuffix(".length"): n for name, n in held.items() if name.endswith(".length")}
        whole = {name: array for name, array in held.items() if not name.endswith(".length")}
        return {
            name: [row[:n] for row, n in zip(array, lengths[name], strict=True)] if name in lengths else array
            for name, array in whole.items()
        }

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Further columns where targets are known: the truth, or statistics a sample where answers are too large."""
        return {}

    def header(self) -> dict[str, Any]:
        """What is true of all predictions: class names, units. Plain data."""
        return {}

    def decode(self, columns: Mapping[str, Any]) -> list[Any]:
        """Answers as JSON has them, one a sample. numpy only."""
        raise NotImplementedError

    def graphs(self, model: nn.Module, batch: Batch) -> dict[str, Graph]:
        """The exportable parts by name: by default `answer` and `to_tensors` in one, over all inputs of the batch."""
        from scirs_neural.tasks.graph import answer_graph

        return {"main": Graph(*answer_graph(self, model, batch))}

    def record(self) -> dict[str, Any]:
        """The task as plain data, from which it is made again."""
        return {"name": self.name, "version": self.version, "options": dict(self.options)}

    @classmethod
    def check(cls, record: Mapping[str, Any], where: str) -> None:
        """Hold a record that came out of a file to this task.

        Raises:
            CheckpointError: it is of another version, or not as `record` gives it.
        """
        check_version("task", cls.name, record, cls.version, where)


def count_of(counts: Mapping[str, float | None], term: str) -> float | None:
    """The count of a term among `Task.counts`.

    Example:
        >>> counts = {"*": 8, "price/*": 3, "label/loss": 5}
        >>> [count_of(counts, term) for term in ("label/loss", "price/loss", "penalty")]
        [5, 3, 8]
    """
    if term in counts:
        return counts[term]
    head, mark, _ = term.rpartition("/")
    every = f"{head}/{ALL_OTHERS}"
    return counts[every] if mark and every in counts else counts[ALL_OTHERS]


def without_half(outputs: Tensor) -> Tensor:
    """Outputs in float32 or wider."""
    return outputs if outputs.dtype.itemsize >= 4 else outputs.float()


def _array(tensor: Tensor) -> Any:
    import torch

    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).cpu().numpy()
