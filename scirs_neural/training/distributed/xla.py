"""TPUs, and XLA on the CPU for checking the same code without one. Imports torch_xla when it is asked for a machine.

torch_xla ends with torch 2.9; `scirs_neural.training.distributed.torch_tpu` is what follows it. What was learnt by
running this on XLA:CPU, and what only a TPU can show, is in ``docs/tpu.md``.

One process drives all devices of a machine (SPMD): the batch is split over them, and with ``strategy=spmd_sharded`` the
parameters are too. Lightning's own XLA strategies start a process a device, which cannot be run without a TPU.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.accelerators import XLAAccelerator
from lightning.pytorch.plugins.io import XLACheckpointIO
from lightning.pytorch.plugins.precision import XLAPrecision
from lightning.pytorch.strategies import SingleDeviceXLAStrategy, Strategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.training.checkpoint_io import DurableCheckpointIO

STRATEGIES = ("auto", "spmd", "spmd_sharded")
PRECISIONS = ("32-true", "bf16-mixed")
INSTALL = "pip install 'torch==2.9.*' 'torchvision==0.24.*' torch_xla==2.9.0 (for torch 2.10 and later there is none)"


def check_xla(settings: TrainerConfig) -> None:
    """Refuse what torch_xla or this machine cannot do.

    Raises:
        ConfigError: torch_xla is missing or does not fit torch, there is no TPU, or a setting has no meaning there.
    """
    asked = f"trainer.accelerator={settings.accelerator}"
    try:
        import torch_xla  # noqa: F401 - whether it can be
    except ImportError as error:  # "undefined symbol" where it was built for another torch
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == "torch_xla"
        what = "which is not installed" if is_missing else f"whose build does not fit torch {torch.__version__}"
        raise ConfigError(f"{asked} needs torch_xla, {what}", fix=INSTALL) from error
    if settings.accelerator == "tpu" and not XLAAccelerator.is_available():
        fix = "trainer.accelerator=xla_cpu runs the same code on XLA:CPU, cpu trains without XLA"
        raise ConfigError(f"{asked}: torch_xla sees no TPU here", fix=fix)
    if settings.precision not in PRECISIONS:
        raise ConfigError(
            f"{asked} does not have trainer.precision={settings.precision}"
            + (": torch_xla ignores it" if settings.precision.startswith(("bf16", "16")) else ""),
            fix=f"use one of {', '.join(PRECISIONS)}",
        )
    if settings.strategy not in STRATEGIES:
        raise ConfigError(f"{asked} has no trainer.strategy={settings.strategy}", fix=f"one of {', '.join(STRATEGIES)}")
    if settings.num_nodes > 1:
        raise ConfigError(f"{asked} trains on one machine here", fix="set trainer.num_nodes=1")
    if settings.compile:
        raise ConfigError(f"{asked} compiles by itself", fix="set trainer.compile=false")


def xla_arguments(settings: TrainerConfig) -> dict[str, Any]:
    """What Lightning's Trainer must be given for these settings; `check_xla` has passed.

    Raises:
        ConfigError: the number of devices cannot be had.
    """
    wanted = _count(settings)
    if settings.accelerator == "xla_cpu":
        _start_on_cpu(wanted)
    is_alone = settings.strategy == "auto" and wanted == 1
    sharded = settings.strategy == "spmd_sharded"
    strategy: Strategy = SingleDeviceXLAStrategy(device=0) if is_alone else SPMDStrategy(shard_parameters=sharded)
    if isinstance(strategy, SPMDStrategy) and wanted not in (None, strategy.num_devices):
        raise ConfigError(
            f"trainer.devices={wanted}: one process drives all {strategy.num_devices} devices that XLA sees",
            fix="leave trainer.devices=auto"
            if settings.accelerator == "tpu"
            else "start a new process for another number",
        )
    accelerator = XLAAccelerator() if settings.accelerator == "tpu" else XLACPUAccelerator()
    precision = XLAAutocast() if settings.precision == "bf16-mixed" else XLAPrecision("32-true")
    plugins = [precision, DurableXLACheckpointIO(settings.checkpoint.format)]
    return {"accelerator": accelerator, "devices": 1, "strategy": strategy, "plugins": plugins}


def _count(settings: TrainerConfig) -> int | None:
    """The number of devices asked for; None for all that there are."""
    if isinstance(settings.devices, int):
        return settings.devices
    if settings.devices != "auto":
        raise ConfigError(f"trainer.devices={settings.devices}: with XLA, give a number or auto")
    if settings.accelerator == "xla_cpu":
        return 1 if settings.strategy == "auto" else None
    return 1 if XLAAccelerator.auto_device_count() == 1 else None


def _start_on_cpu(num_devices: int | None) -> None:
    """Choose XLA:CPU, with so many virtual devices, if XLA has not begun to run in this process yet."""
    os.environ.setdefault("PJRT_DEVICE", "CPU")
    if os.environ["PJRT_DEVICE"] != "CPU":
        raise ConfigError(f"trainer.accelerator=xla_cpu, but PJRT_DEVICE={os.environ['PJRT_DEVICE']}")
    if num_devices is not None and num_devices > 1:
        os.environ.setdefault("CPU_NUM_DEVICES", str(num_devices))
    import torch_xla

    torch_xla.device()  # before the first backward pass on the CPU, which would leave autograd without XLA's queues


class XLACPUAccelerator(XLAAccelerator):
    """XLA on the CPU: what a TPU would run, compiled for the processor."""

    @staticmethod
    def auto_device_count() -> int:  # type: ignore[override]  # Lightning caches its own
        """One."""
        return 1

    @staticmethod
    def is_available() -> bool:  # type: ignore[override]
        """Wherever torch_xla is."""
        return os.environ.get("PJRT_DEVICE", "CPU") == "CPU"

    @staticmethod
    def parse_devices(devices: Any) -> int:
        """A number of devices."""
        return 1 if devices == "auto" else int(devices)

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        """Devices by number."""
        return [torch.device("xla", index) for index in range(devices)]

    @staticmethod
    def name() -> str:
        """What it is called in configurations."""
        return "xla_cpu"


class XLAAutocast(XLAPrecision):
    """bfloat16 where it is safe, by autocast; ``bf16-true`` is a setting that torch_xla 2.9 takes and ignores."""

    def __init__(self) -> None:
        super().__init__("32-true")
        self.precision = "bf16-mixed"

    @contextlib.contextmanager
    def forward_context(self) -> Iterator[None]:
        """The block in which forward passes run."""
        with torch.autocast("xla", dtype=torch.bfloat16):
            yield


class SPMDStrategy(SingleDeviceXLAStrategy):
    """One process, one program, all devices: XLA splits the work and adds the communication.

    Args:
        shard_parameters: split parameters, gradients and optimizer state over the devices too.
        **options: of Lightning's strategy.
    """

    def __init__(self, *, shard_parameters: bool, **options: Any) -> None:
        import numpy as np
        import torch_xla.distributed.spmd as xs
        import torch_xla.runtime as xr

        xr.use_spmd()  # before the first tensor: later, the process would crash
        super().__init__(device=0, **options)
        self.num_devices: int = xr.global_runtime_device_count()
        self.shard_parameters = shard_parameters
        self.mesh = xs.Mesh(np.arange(self.num_devices), (self.num_devices,), ("data",))

    def model_to_device(self) -> None:
        """Move the module, and split its parameters if asked to."""
        super().model_to_device()
        if self.shard_parameters:
            assert self.model is not None
            for parameter in self.model.parameters():
                self._split(parameter)

    def batch_to_device(self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0) -> Any:
        """Move a batch and split it. One that cannot be split evenly is computed whole on every device."""
        moved = super().batch_to_device(batch, device, dataloader_idx)
        return apply_to_collection(moved, Tensor, self._split)

    def _split(self, tensor: Tensor) -> Tensor:
        import torch_xla.distributed.spmd as xs

        if tensor.ndim and tensor.shape[0] % self.num_devices == 0:
            xs.mark_sharding(tensor, self.mesh, ("data", *(None,) * (tensor.ndim - 1)))
        return tensor


class DurableXLACheckpointIO(DurableCheckpointIO, XLACheckpointIO):
    """Checkpoints of XLA tensors: whole or not there, and of plain CPU tensors, so that any machine resumes them."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            StorageError: it could not be written; what stood there before is untouched.
        """
        import torch_xla

        torch_xla.sync()  # what was not computed yet
        super().save_checkpoint(apply_to_collection(checkpoint, Tensor, Tensor.cpu), path, storage_options)
