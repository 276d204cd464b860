"""TPUs without one: what is said where torch_xla or a TPU is missing, and what TorchTPU would be given.

TorchTPU has no device without a TPU, so torch's answers are replaced here; nothing in this file has run on one. What
runs for real, on XLA:CPU, is in ``tests/xla``.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision

from scirs_neural.config.schema import CheckpointConfig, TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import DurableCheckpointIO
from scirs_neural.training.distributed import torch_tpu
from scirs_neural.training.machine import check_machine, machine_arguments

WITHOUT_XLA = pytest.mark.skipif(find_spec("torch_xla") is not None, reason="this is what happens without torch_xla")


@WITHOUT_XLA
@pytest.mark.feature(76)
@pytest.mark.parametrize("accelerator", ["tpu", "xla_cpu"])
def test_without_torch_xla_the_error_says_what_to_install(accelerator: str) -> None:
    with pytest.raises(ConfigError, match="needs torch_xla, which is not installed") as caught:
        check_machine(TrainerConfig(accelerator=accelerator))  # type: ignore[arg-type]
    assert "torch==2.9" in str(caught.value.fix)
    assert "for torch 2.10 and later there is none" in str(caught.value.fix)


@pytest.mark.feature(76)
def test_a_torch_xla_built_for_another_torch_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch_xla.py").write_text("raise ImportError('_XLAC.so: undefined symbol: _ZN5torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch_xla", raising=False)
    with pytest.raises(ConfigError, match=r"whose build does not fit torch \d"):
        check_machine(TrainerConfig(accelerator="xla_cpu"))


@pytest.fixture
def with_torch_tpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """torch_tpu is installed, and torch's accelerator is what the test says."""
    found = {"torch_tpu": object(), "torch_xla": None}
    monkeypatch.setattr(torch_tpu, "find_spec", lambda name: found[name])

    def accelerator(kind: str | None) -> None:
        device = None if kind is None else SimpleNamespace(type=kind)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: device)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)

    return accelerator


@pytest.mark.parametrize("kind", [None, "cuda"])
def test_torch_tpu_without_a_tpu_is_refused(kind: str | None, with_torch_tpu: Any) -> None:
    with_torch_tpu(kind)
    assert torch_tpu.TorchTPUAccelerator.auto_device_count() == 0
    with pytest.raises(ConfigError, match="torch sees no TPU here, though torch_tpu is installed"):
        check_machine(TrainerConfig(accelerator="tpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "bf16-true"}, "bf16-true is untried"),
        ({"devices": 4}, "one process trains on one device"),
        ({"strategy": "spmd"}, "one process trains on one device"),
    ],
)
def test_what_torch_tpu_does_not_serve_is_refused(settings: dict[str, Any], message: str, with_torch_tpu: Any) -> None:
    with_torch_tpu("tpu")
    with pytest.raises(ConfigError, match=message):
        check_machine(TrainerConfig(accelerator="tpu", **settings))


@pytest.mark.parametrize(("precision", "plugin"), [("32-true", Precision), ("bf16-mixed", MixedPrecision)])
def test_lightning_is_given_the_tpu_as_a_device_of_torch_s_own(
    precision: Any, plugin: type, with_torch_tpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torch_tpu("tpu")
    asked: list[str] = []
    monkeypatch.setattr(torch_tpu, "SingleDeviceStrategy", lambda device: asked.append(device))  # ours has no "tpu"
    settings = TrainerConfig(accelerator="tpu", precision=precision)
    check_machine(settings)
    given = machine_arguments(settings)
    assert asked == ["tpu:0"]
    assert given["accelerator"].name() == "tpu"
    assert (given["accelerator"].auto_device_count(), given["devices"]) == (4, 1)
    assert type(given["plugins"][0]) is plugin
    assert isinstance(given["plugins"][1], DurableCheckpointIO)
    if plugin is MixedPrecision:
        assert given["plugins"][0].device == "tpu"


def test_torch_xla_goes_before_torch_tpu_where_both_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_tpu, "find_spec", lambda name: object())
    assert not torch_tpu.is_chosen(TrainerConfig(accelerator="tpu"))


@pytest.mark.feature(76)
def test_a_plain_checkpoint_resumes_as_one_of_torch_s_does(train: Any) -> None:
    """What a run on torch 2.10 or later is set to, so that torch 2.9 and its torch_xla can go on from it."""
    long = ("trainer.max_epochs=2", "data.batch_size=128", "scheduler=constant")
    plain, usual = train(*long, "trainer.checkpoint.format=plain"), train(*long)
    one, other = read_checkpoint(plain.folder.last), read_checkpoint(usual.folder.last)
    assert plain.folder.last.read_bytes()[:2] != b"PK" == usual.folder.last.read_bytes()[:2]
    assert one.keys() == other.keys()
    assert one["loops"].keys() == other["loops"].keys()
    assert one["lr_schedulers"] == other["lr_schedulers"]
    for name, value in other["state_dict"].items():
        assert torch.equal(one["state_dict"][name], value)
    longer = train(*long[1:], "trainer.max_epochs=3", f"trainer.resume={plain.folder.path}")
    assert len(longer.folder.metrics.read_text().splitlines()) == 1 + 3
    assert read_checkpoint(longer.folder.last)["global_step"] == one["global_step"] * 3 // 2
    assert CheckpointConfig().format == "auto"
