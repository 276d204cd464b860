"""TPUs through TorchTPU, the successor of torch_xla for torch 2.11 and later, where "tpu" is a device of torch's own.

Nobody has run this on a TPU yet. Without one, `torch_tpu` offers no device of the kind, so the tests replace torch's
answers and look at what Lightning would be given. ``docs/tpu.md`` says what is open.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError


def is_chosen(settings: TrainerConfig) -> bool:
    """Whether a TPU was asked for, and TorchTPU rather than torch_xla is here to serve it."""
    return settings.accelerator == "tpu" and find_spec("torch_tpu") is not None and find_spec("torch_xla") is None


def check_torch_tpu(settings: TrainerConfig) -> None:
    """Refuse what TorchTPU does not have, or this machine.

    Raises:
        ConfigError: there is no TPU, or a setting that only torch_xla serves.
    """
    if not TorchTPUAccelerator.is_available():
        fix = "trainer.accelerator=auto takes what there is"
        raise ConfigError("trainer.accelerator=tpu: torch sees no TPU here, though torch_tpu is installed", fix=fix)
    if settings.precision not in ("32-true", "bf16-mixed"):
        what = f"trainer.precision={settings.precision} is untried with torch_tpu"
        raise ConfigError(what, fix="use one of 32-true, bf16-mixed")
    if settings.strategy != "auto" or settings.devices not in ("auto", 1):
        what = "with torch_tpu, one process trains on one device"
        raise ConfigError(what, fix="set trainer.devices=1 trainer.strategy=auto, or use torch_xla for several")


def torch_tpu_arguments(settings: TrainerConfig, io: CheckpointIO) -> dict[str, Any]:
    """What Lightning's Trainer must be given for these settings; `check_torch_tpu` has passed."""
    is_mixed = settings.precision == "bf16-mixed"
    precision = MixedPrecision("bf16-mixed", device="tpu") if is_mixed else Precision()
    strategy = SingleDeviceStrategy(device="tpu:0")
    return {"accelerator": TorchTPUAccelerator(), "devices": 1, "strategy": strategy, "plugins": [precision, io]}


class TorchTPUAccelerator(Accelerator):
    """TPUs as a device of torch's own."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing: torch does it."""

    def teardown(self) -> None:
        """Nothing."""

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        """What torch counts of the device's memory."""
        return dict(torch.accelerator.memory_stats(device))

    @staticmethod
    def parse_devices(devices: Any) -> int:
        """A number of devices."""
        return 1 if devices == "auto" else int(devices)

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        """Devices by number."""
        return [torch.device("tpu", index) for index in range(devices)]

    @staticmethod
    def auto_device_count() -> int:
        """How many torch sees."""
        return torch.accelerator.device_count() if TorchTPUAccelerator.is_available() else 0

    @staticmethod
    def is_available() -> bool:
        """Whether torch's accelerator is a TPU."""
        found = torch.accelerator.current_accelerator()
        return found is not None and found.type == "tpu"

    @staticmethod
    def name() -> str:
        """What it is called in configurations."""
        return "tpu"
