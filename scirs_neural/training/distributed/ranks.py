"""Several processes that train one network: who they are, what they agree on, and how one of them goes on alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import distributed as dist
from torch import nn

from scirs_neural.config.schema import TrainerConfig


def is_first() -> bool:
    """Whether this process is the one that writes and prints: rank 0, or alone."""
    rank: Any = getattr(rank_zero_only, "rank", 0)
    return int(rank or 0) == 0


def launcher() -> ClusterEnvironment | None:
    """What started this process as one of several (torchrun, srun), if anything did."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect():
            found = kind()
            return found if found.world_size() > 1 else None
    return None


def with_launched(settings: TrainerConfig) -> TrainerConfig:
    """The settings with as many devices and nodes as a launcher started processes, where they are left open.

    Under ``torchrun --nproc-per-node=2`` nothing need be said twice.
    """
    found = launcher()
    if not isinstance(found, TorchElasticEnvironment):
        return settings
    local = int(os.environ.get("LOCAL_WORLD_SIZE", found.world_size()))
    known: dict[str, Any] = {"devices": local} if settings.devices == "auto" else {}
    if settings.num_nodes == 1:
        known["num_nodes"] = max(1, found.world_size() // local)
    return settings.model_copy(update=known)


def broadcast_from_rank_zero(make: Callable[[], str]) -> str:
    """What rank 0 makes of it, on every rank that a launcher started; else what this process makes.

    Ranks that Lightning starts itself inherit what was made before from their parent's environment.
    """
    found = launcher()
    if found is None:
        return make()
    if not dist.is_initialized():
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = found.main_address, str(found.main_port)
        if torch.cuda.is_available():
            torch.cuda.set_device(found.local_rank())
        dist.init_process_group(rank=found.global_rank(), world_size=found.world_size())
    held: list[Any] = [make() if found.global_rank() == 0 else None]
    dist.broadcast_object_list(held, src=0, device=torch.device("cpu"))
    return str(held[0])


def end_other_ranks() -> None:
    """End every process but the first, when training is over; that one is alone from here on.

    What follows (test, predictions, report) is then done once, on all samples, by code that knows nothing of ranks.

    Raises:
        SystemExit: with status 0, on every rank but the first.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    if dist.get_world_size() > 1:
        dist.barrier()
    dist.destroy_process_group()
    if not is_first():
        raise SystemExit(0)
    for name in ("WORLD_SIZE", "LOCAL_RANK", "RANK", "NODE_RANK", "TORCHELASTIC_RUN_ID"):
        os.environ.pop(name, None)


def shard(network: nn.Module, mesh: Any) -> None:
    """Shard a network's parameters over the ranks of a mesh: first its repeated blocks, then the rest (FSDP2).

    Source: torch.distributed.fsdp.fully_shard.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    from scirs_neural.training.compiling import repeated_blocks

    if isinstance(network, FSDPModule):
        return  # Lightning asks for it at each fit, validation and test
    for name in repeated_blocks(network):
        fully_shard(network.get_submodule(name), mesh=mesh)
    fully_shard(network, mesh=mesh)
