"""The gradient of a loss that couples the samples of a step, with one part of the step in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_flatten, tree_unflatten

from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Batch
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.layers.penalties import collect_penalties
from scirs_neural.plugins.order import overrides
from scirs_neural.tasks.task import ALL_OTHERS, count_of
from scirs_neural.training.module import PENALTY, Counts, Module


def check_cacheable(module: Module, world_size: int) -> None:
    """Refuse a step that would have another gradient than that of one batch.

    Raises:
        ConfigError: with what it cannot be cut.
    """
    what = f"the loss of the task '{module.task.name}' couples the samples of a step, which cannot be cut"
    whole = "one batch a step: a larger data.batch_size, trainer.accumulate_grad_batches=1, trainer.devices=1"
    if world_size > 1:
        raise ConfigError(f"{what} over several devices", fix=whole)
    if any(isinstance(part, _BatchNorm) and part.training for part in module.model.modules()):
        raise ConfigError(f"{what} where BatchNorm couples them too", fix=f"{whole}; or a network with GroupNorm")
    if any(plugin.taps() or overrides(plugin, "losses") for plugin in module.plugins):
        raise ConfigError(f"{what} beside a plugin with losses of its own", fix=whole)


def backward_through_cache(
    trainer: L.Trainer,
    module: Module,
    parts: Sequence[tuple[Batch, Counts]],
    shares: Sequence[Mapping[str, Any] | None],
    batch_idx: int,
    seed: Callable[[int], None],
    begin: Callable[[], None],
) -> dict[str, Tensor]:
    """Add the gradient of the loss of all parts together to the network's parameters; the terms of that loss.

    All outputs are computed without a graph; the loss gives their gradient; then each part is computed again and takes
    what belongs to it. Every part must be computed twice alike, hence the seeds.

    Args:
        trainer: whose precision it is computed in.
        module: has the network and the task.
        parts: batches, with their counts.
        shares: of the terms in each part; here of the layers' penalties only.
        batch_idx: of the step.
        seed: seeds a part, by its number.
        begin: called before gradients are added up.

    Source: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, 2021 (GradCache).
    """
    task, model, ctx, precision = module.task, module.model, module.context(batch_idx), trainer.precision_plugin

    def run(place: int) -> tuple[list[Any], Any]:
        seed(place)
        with precision.forward_context():
            return tree_flatten(task.forward(model, parts[place][0], ctx))

    with torch.no_grad():
        found = [run(place) for place in range(len(parts))]
    wholes = []
    for values in zip(*(leaves for leaves, _ in found), strict=True):
        first = values[0]
        if isinstance(first, Tensor):
            whole = torch.cat(values) if first.ndim else first
            first = whole.detach().requires_grad_(whole.is_floating_point())
        wholes.append(first)
    with precision.forward_context():
        terms = task.losses(
            tree_unflatten(wholes, found[0][1]), joined([batch for batch, _ in parts], module.pipeline), ctx
        )
        loss = torch.stack([value.float() for value in terms.values()]).sum()
    begin()
    precision.pre_backward(loss, module).backward()
    start = 0
    for place, (batch, _) in enumerate(parts):
        leaves, _ = run(place)
        size, pairs = len(batch[ID]), []
        for output, whole in zip(leaves, wholes, strict=True):
            if isinstance(output, Tensor) and output.requires_grad and whole.grad is not None:
                if output.ndim:
                    pairs.append((output, whole.grad[start : start + size]))
                elif place == 0:
                    pairs.append((output, whole.grad))
        if module.has_penalties:
            share: Any = count_of(shares[place] or {ALL_OTHERS: 1.0}, PENALTY)
            penalty = collect_penalties(model) * share
            pairs.append((penalty, torch.ones_like(penalty)))
        torch.autograd.backward([output for output, _ in pairs], [gradient for _, gradient in pairs])
        start += size
    precision.post_backward(loss, module)
    return {name: value.detach() for name, value in terms.items()}


def joined(batches: Sequence[Batch], pipeline: Pipeline) -> Batch:
    """Batches as one: what `Pipeline.split` takes apart."""
    whole: Batch = {}
    for name, first in batches[0].items():
        values = [batch[name] for batch in batches]
        axis = pipeline.sample_axis.get(name, 0)
        if isinstance(first, dict) and ID in first:
            whole[name] = joined(values, pipeline)
        elif axis is None:
            whole[name] = first
        elif isinstance(first, Tensor):
            whole[name] = torch.cat(values, dim=axis)
        elif isinstance(first, dict):
            whole[name] = {key: torch.cat([value[key] for value in values]) for key in first}
        else:
            whole[name] = [item for value in values for item in value]
    return whole
