"""Tensor parallelism: linear layers whose columns or rows are spread over several devices.

A pair of layers is split so that what lies between needs no exchange: the first by columns (each device has some of the
outputs), the second by rows (each device has the matching inputs, and the results are added up). All devices of such a
group see the same batches. torch's `DTensor` does the arithmetic; what is decided here is which layers.

Source: Shoeybi et al., Megatron-LM, 2019, section 3; torch.distributed.tensor.parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torchvision.models.vision_transformer import MLPBlock

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Context
from scirs_neural.layers.attention import MultiHeadAttention
from scirs_neural.layers.feed_forward import FeedForward
from scirs_neural.training.precision import choose_modules

COLWISE, ROWWISE = "trainer.tensor_parallel_colwise", "trainer.tensor_parallel_rowwise"
TOLERANCE = 1e-3  # of the output's size: other orders of adding up differ by 1e-6, a wrong plan by more than a tenth


def check_tensor_parallel(settings: TrainerConfig, num_devices: int) -> None:
    """Refuse settings that do not go with tensor parallelism, before anything is loaded.

    Raises:
        ConfigError: they do not.
    """
    size = settings.tensor_parallel
    if size == 1:
        if settings.tensor_parallel_colwise or settings.tensor_parallel_rowwise:
            raise ConfigError(f"{COLWISE} and {ROWWISE} say nothing without devices", fix="trainer.tensor_parallel=2")
        return
    if settings.strategy not in ("auto", "fsdp2"):
        raise ConfigError(
            f"trainer.tensor_parallel={size} does not go with trainer.strategy={settings.strategy}", fix="leave it out"
        )
    if num_devices % size:
        raise ConfigError(f"trainer.tensor_parallel={size} does not divide {num_devices} devices")
    if settings.compile:
        raise ConfigError("trainer.compile is untried with trainer.tensor_parallel", fix="leave one of them out")


def plan_of(network: nn.Module, settings: TrainerConfig) -> dict[str, str]:
    """Which linear layers are split, and how: those that the user names, else those of known blocks.

    Known are this package's `FeedForward` and attention layers, and the feed-forward part of torch's and torchvision's
    transformers.

    Returns:
        "colwise" or "rowwise" by dotted name, in the network's order.

    Raises:
        ConfigError: a pattern means nothing that can be split, or there is nothing to split.
    """
    size, columns, rows = settings.tensor_parallel, settings.tensor_parallel_colwise, settings.tensor_parallel_rowwise
    chosen = dict.fromkeys(choose_modules(network, columns, COLWISE), "colwise")
    chosen |= dict.fromkeys(choose_modules(network, rows, ROWWISE), "rowwise")
    for name, style in chosen.items():
        part = network.get_submodule(name)
        if not isinstance(part, nn.Linear):
            kind = type(part).__name__
            raise ConfigError(f"'{name}' is no linear layer but {kind}, which cannot be split", where=_setting(style))
        width, ends = (part.out_features, "outputs") if style == "colwise" else (part.in_features, "inputs")
        if width % size:
            what = f"'{name}' has {width} {ends}, which {size} devices cannot share"
            raise ConfigError(what, where=_setting(style))
    if not chosen:
        for name, part in network.named_modules():
            chosen |= {f"{name}.{inner}".lstrip("."): style for inner, style in _known(part, size).items()}
    if not chosen:
        raise ConfigError(
            f"trainer.tensor_parallel={size}: no layer of this network is known to be one that can be split",
            fix=f"name pairs of linear layers: {COLWISE}=['.*up'] {ROWWISE}=['.*down']",
        )
    return chosen


def _known(part: nn.Module, size: int) -> dict[str, str]:
    """What of a block can be split over so many devices, each with its whole share."""
    if isinstance(part, FeedForward):
        is_gated = part.up.out_features != part.down.in_features  # its halves would not lie on one device
        return {} if is_gated or part.down.in_features % size else {"up": "colwise", "down": "rowwise"}
    if isinstance(part, MultiHeadAttention):
        heads = [part.num_heads, part.k_proj.out_features // part.head_dim]
        projections = {"q_proj": "colwise", "k_proj": "colwise", "v_proj": "colwise", "out_proj": "rowwise"}
        return {} if any(count % size for count in heads) else projections
    if isinstance(part, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        return {} if part.linear2.in_features % size else {"linear1": "colwise", "linear2": "rowwise"}
    if isinstance(part, MLPBlock):
        return {} if part[3].in_features % size else {"0": "colwise", "3": "rowwise"}
    return {}


def split(module: Any, settings: TrainerConfig, mesh: Any) -> dict[str, str]:
    """Split a module's network over the devices of a mesh, and check that it computes what it did.

    Args:
        module: with a ``model``; of a `Module`, made-up samples are sent through it before and after.
        settings: say how many devices, and what to split.
        mesh: torch's, with the dimensions "data_parallel" and "tensor_parallel".

    Returns:
        See `plan_of`.

    Raises:
        ConfigError: nothing can be split, or the network would compute something else.
    """
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    network: nn.Module = module.model
    plan = plan_of(network, settings)
    if any(is_split(parameter) for parameter in network.parameters()):
        return plan  # Lightning asks for it at each fit, validation and test
    styles: dict[str, Callable[[], Any]] = {"colwise": ColwiseParallel, "rowwise": RowwiseParallel}
    network.to(mesh.device_type)
    before = _probe(module)
    parallelize_module(network, mesh["tensor_parallel"], {name: styles[style]() for name, style in plan.items()})
    after = _probe(module)
    if before is not None and (after is None or not _agree(before, after)):
        raise ConfigError(
            "split like this, the network computes something else: "
            + ", ".join(f"{name} {style}" for name, style in list(plan.items())[:6]),
            where=f"{COLWISE}, {ROWWISE}",
            fix="layers go in pairs: first colwise, then rowwise, with nothing but elementwise layers between",
        )
    return plan


def is_split(tensor: Tensor) -> bool:
    """Whether a parameter or gradient is spread over devices."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def by_mesh(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors, sorted by how they are spread: torch's functions over many take those of one kind only."""
    groups: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        mesh: Any = getattr(tensor, "device_mesh", None)
        groups.setdefault(mesh, []).append(tensor)
    return list(groups.values())


def _probe(module: Any) -> Tensor | None:
    """What the network gives for two made-up samples, as one row; None if it cannot be asked."""
    if not hasattr(module, "pipeline"):
        return None
    network, task = module.model, module.task
    device, stream = next(network.parameters()).device, torch.Generator().manual_seed(0)
    batch = {
        name: torch.randn(value.shape, generator=stream).to(device) if value.is_floating_point() else value.to(device)
        for name, value in module.pipeline.example(2).items() if isinstance(value, Tensor)
    }  # fmt: skip
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            output = task.answer(network, {"id": ["0", "1"], **batch}, Context())
    except RuntimeError:  # of layers that do not fit each other any more
        return None
    finally:
        network.train(was_training)
    found = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    if any(is_split(leaf) for leaf in found):
        return torch.empty(0)
    return torch.cat([leaf.flatten().float() for leaf in found]) if found else None


def _agree(before: Tensor, after: Tensor) -> bool:
    if after.shape != before.shape:
        return False
    return bool((before - after).abs().max() <= TOLERANCE * before.abs().max().clamp_min(1e-12))


def _setting(style: str) -> str:
    return COLWISE if style == "colwise" else ROWWISE
