"""Which machine trains: what it cannot do is said at once, and what Lightning must be given for it."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.training.async_checkpoint import AsyncCheckpointIO
from scirs_neural.training.checkpoint_io import DurableCheckpointIO
from scirs_neural.training.distributed.sharded import ShardedStrategy
from scirs_neural.training.distributed.tensor_parallel import check_tensor_parallel


def check_machine(settings: TrainerConfig) -> None:
    """Refuse what this machine cannot do, before anything is loaded.

    Raises:
        ConfigError: no such device, or something that it or the strategy does not have.
    """
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    wanted = settings.accelerator
    if (wanted in ("gpu", "cuda") and not (has_cuda or (wanted == "gpu" and has_mps))) or (
        wanted == "mps" and not has_mps
    ):
        raise ConfigError(
            f"trainer.accelerator={wanted}: torch sees no such device here", fix="use trainer.accelerator=auto"
        )
    if wanted in ("tpu", "xla_cpu"):
        from scirs_neural.training.distributed import torch_tpu, xla

        if settings.checkpoint.async_save:
            raise ConfigError(
                f"trainer.checkpoint.async_save=true is untried with trainer.accelerator={wanted}", fix="leave it out"
            )
        (torch_tpu.check_torch_tpu if torch_tpu.is_chosen(settings) else xla.check_xla)(settings)
    elif settings.strategy.startswith("spmd"):
        what = f"trainer.accelerator={wanted} has no trainer.strategy={settings.strategy}: it is one of TPUs"
        raise ConfigError(what, fix="trainer.strategy=ddp, or fsdp2")
    if settings.checkpoint.sharded:
        _check_sharded(settings)
    check_tensor_parallel(settings, _num_devices(settings) * settings.num_nodes)
    on_cpu = wanted == "cpu" or (wanted == "auto" and not (has_cuda or has_mps))
    if on_cpu and (isinstance(settings.devices, list) or settings.devices in (-1, "-1")):
        what = f"trainer.devices={settings.devices} chooses among devices, and the CPU is one"
        raise ConfigError(what, fix="trainer.devices=auto, or a number of processes")
    if on_cpu and settings.precision.startswith("16"):
        fix = "use trainer.precision=bf16-mixed or 32-true"
        raise ConfigError(f"trainer.precision={settings.precision}: half precision needs a GPU", fix=fix)


def _check_sharded(settings: TrainerConfig) -> None:
    setting = "trainer.checkpoint.sharded=true"
    if not is_model_parallel(settings):
        what = f"{setting} means nothing where every process has the whole network"
        raise ConfigError(what, fix="trainer.strategy=fsdp2, or leave it out")
    if settings.checkpoint.async_save:
        raise ConfigError(f"{setting} does not go with trainer.checkpoint.async_save=true", fix="leave one of them out")


def machine_arguments(settings: TrainerConfig) -> dict[str, Any]:
    """What Lightning's Trainer is given for a machine, and for the files that it writes."""
    io: CheckpointIO = DurableCheckpointIO(settings.checkpoint.format)
    if settings.checkpoint.async_save:
        io = AsyncCheckpointIO(io)
    strategy: Any = settings.strategy
    if is_model_parallel(settings):
        size = settings.tensor_parallel
        strategy = ShardedStrategy(
            _num_devices(settings) * settings.num_nodes // size, size, sharded=settings.checkpoint.sharded,
            form=settings.checkpoint.format,
        )  # fmt: skip
    given = {"accelerator": settings.accelerator, "devices": settings.devices, "strategy": strategy}
    if settings.accelerator not in ("tpu", "xla_cpu"):
        return {**given, "precision": settings.precision, "plugins": [io]}
    from scirs_neural.training.distributed import torch_tpu, xla

    if torch_tpu.is_chosen(settings):
        return torch_tpu.torch_tpu_arguments(settings, io)
    return xla.xla_arguments(settings)


def is_model_parallel(settings: TrainerConfig) -> bool:
    """Whether parts of the network lie on different devices."""
    return settings.strategy == "fsdp2" or settings.tensor_parallel > 1


def _num_devices(settings: TrainerConfig) -> int:
    """On this node."""
    devices = settings.devices
    if isinstance(devices, str):
        return int(devices) if devices.isdigit() else max(1, torch.cuda.device_count())
    return len(devices) if isinstance(devices, list) else devices
