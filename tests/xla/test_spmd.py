"""Row 76: two virtual devices in one process, the batch split over them, with whole and with split parameters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["CPU_NUM_DEVICES"] = "2"  # before XLA begins to run

import pytest
import torch

from scirs_neural.core.errors import ConfigError
from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.xla.tiny import Losses, fit

PLAIN = ("{replicated}", "")


class Shards(Losses):
    """How batch and parameters lie on the devices, while training runs: afterwards all is on the CPU again."""

    def look(self) -> None:
        import torch_xla

        shown = torch_xla._XLAC._get_xla_sharding_spec
        self.seen["batch"] = shown(self.seen["batch"])
        self.seen["parameters"] = {name: shown(p) for name, p in self.seen["module"].named_parameters()}


@pytest.fixture(scope="module", autouse=True)
def _spmd() -> None:
    import torch_xla
    import torch_xla.runtime as xr

    xr.use_spmd()
    torch_xla.device()
    assert xr.global_runtime_device_count() == 2, "run this file in a process of its own"


@pytest.fixture(scope="module")
def expected() -> Losses:
    return fit("cpu")


@pytest.mark.feature(76)
@pytest.mark.parametrize("strategy", ["spmd", "spmd_sharded"])
def test_two_devices_have_the_losses_of_one_cpu(strategy: str, expected: Losses, tmp_path: Path) -> None:
    watch = fit("xla_cpu", strategy=strategy, devices=2, watch=Shards(), folder=tmp_path)
    assert watch.values == pytest.approx(expected.values, abs=1e-4)
    assert "devices=[2,1,1,1]" in watch.seen["batch"]
    split = {name for name, spec in watch.seen["parameters"].items() if "devices=[2" in spec}
    whole = set(watch.seen["parameters"]) - split
    assert all(watch.seen["parameters"][name] in PLAIN for name in whole)
    assert (len(split), len(whole)) == ((0, 6) if strategy == "spmd" else (6, 0))
    kept = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert {name: value.shape for name, value in kept["state_dict"].items()} == {
        name: value.shape for name, value in watch.seen["module"].state_dict().items()
    }
    on_cpu = fit("cpu", folder=tmp_path, max_epochs=2, resume=tmp_path / "checkpoints" / "last.ckpt")
    assert on_cpu.values[-1] < watch.values[0]


def test_a_batch_that_cannot_be_split_is_computed_whole(expected: Losses) -> None:
    import torch_xla

    strategy: Any = fit("xla_cpu", strategy="spmd", limit_train_batches=1).seen["trainer"].lightning.strategy
    odd = strategy._split(torch.ones(3, 2, device=torch_xla.device()))
    assert torch_xla._XLAC._get_xla_sharding_spec(odd) in PLAIN


def test_another_number_of_devices_needs_another_process() -> None:
    with pytest.raises(ConfigError, match="one process drives all 2 devices"):
        fit("xla_cpu", devices=3, strategy="spmd")
