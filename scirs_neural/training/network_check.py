"""Whether a network and its loss fit the data, found without values and before any heavy work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from scirs_neural.core.errors import ConfigError, ScirsError, ShapeError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.models.meta import failing_layer, run_on_meta
from scirs_neural.tasks.task import Task


def check_network(task: Task, model: nn.Module, pipeline: Pipeline) -> None:
    """Run a network once without values, where that is possible, and its loss of zeros.

    Raises:
        ShapeError: it does not take the data's inputs, or does not give what the task needs.
        ConfigError: there is no such loss, or it does not fit the targets.
    """
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        return  # a lazy layer learns its shape from the first batch
    batch = tree_map_only(Tensor, lambda t: t.to("meta"), pipeline.example(2))
    shapes = ", ".join(
        f"{name} {tuple(batch[name].shape[1:])}" for name in task.spec.inputs if hasattr(batch[name], "shape")
    )

    def forward(network: Any) -> Any:
        return task.forward(network, batch, Context("train"))

    try:
        outputs = run_on_meta(model, forward)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        if "meta" in str(error):
            return  # a forward pass that looks at values cannot be checked without them
        raise ShapeError(
            f"the network cannot take the inputs of '{task.spec.name}' ({shapes}): {str(error).splitlines()[0]}",
            where=failing_layer(model, forward),
        ) from error
    task.check_outputs(outputs, batch)
    _check_loss(task, outputs, batch)


def _check_loss(task: Task, outputs: Any, batch: Batch) -> None:
    """Compute the loss once, of zeros, so that one that does not exist or fit is found before training."""

    def zeros(like: Any) -> Any:
        return tree_map_only(Tensor, lambda t: torch.zeros(t.shape, dtype=t.dtype, device="cpu"), like)

    try:
        task.losses(zeros(outputs), zeros(batch), Context("train"))
    except ScirsError:
        raise
    except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError) as error:
        if "meta" not in str(error):  # of a loss that holds tensors, while the network is built without memory
            what = str(error).splitlines()[0]
            raise ConfigError(
                f"the loss cannot be computed for '{task.spec.name}': {what}", where="task.loss"
            ) from error
