"""Rows 76: training on one XLA device is training on the CPU, in losses, bits of checkpoints and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError
from scirs_neural.guard.tree import is_tree
from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.xla.tiny import STEPS, Losses, fit, small_net

pytestmark = pytest.mark.usefixtures("xla")


@pytest.fixture(scope="module")
def on_xla(tmp_path_factory: pytest.TempPathFactory, xla: Any) -> tuple[Losses, Path]:
    folder = tmp_path_factory.mktemp("xla")
    return fit("xla_cpu", folder=folder), folder


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory, xla: Any) -> tuple[Losses, Path]:
    folder = tmp_path_factory.mktemp("cpu")
    return fit("cpu", folder=folder), folder


@pytest.mark.feature(76)
def test_one_step_in_xla_equals_eager_torch(xla: Any) -> None:
    """Without any of our code or Lightning's: what the machine itself is worth."""
    import torch_xla

    inputs, targets = torch.randn(32, 1, 8, 8), torch.randint(0, 10, (32,))
    after = []
    for device in ("cpu", xla):
        net = small_net().to(device)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        loss = nn.functional.cross_entropy(net(inputs.to(device)), targets.to(device))
        loss.backward()
        optimizer.step()
        torch_xla.sync()
        after.append({"loss": loss.detach().cpu(), **{name: p.cpu() for name, p in net.state_dict().items()}})
    eager, compiled = after
    num_values = 32 * 8 * 8
    for name, value in compiled.items():
        expected = eager[name]
        if name == "1.running_var":  # XLA keeps the biased variance, torch the other one: 0.9 + 0.1 var
            expected = 0.9 + (expected - 0.9) * (num_values - 1) / num_values
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)


@pytest.mark.feature(76)
def test_twenty_steps_have_the_losses_of_the_cpu(on_xla: tuple[Losses, Path], on_cpu: tuple[Losses, Path]) -> None:
    assert (on_xla[0].seen["device"], on_cpu[0].seen["device"]) == ("xla", "cpu")
    assert len(on_xla[0].values) == STEPS
    assert on_xla[0].values == pytest.approx(on_cpu[0].values, abs=1e-4)
    mine, theirs = (held.seen["trainer"].metrics.rows[0] for held, _ in (on_xla, on_cpu))
    assert mine == pytest.approx(theirs, abs=1e-4)


@pytest.mark.feature(76)
def test_bf16_mixed_really_computes_in_bf16_and_learns_the_same(on_cpu: tuple[Losses, Path]) -> None:
    mixed = fit("xla_cpu", precision="bf16-mixed")
    assert mixed.seen["dtype"] == torch.bfloat16
    assert mixed.values != on_cpu[0].values
    assert mixed.values == pytest.approx(on_cpu[0].values, abs=0.03)
    assert all(p.dtype == torch.float32 for p in mixed.seen["module"].parameters())


@pytest.mark.feature(76)
def test_a_checkpoint_of_xla_is_plain_and_goes_on_on_the_cpu_and_back(
    on_xla: tuple[Losses, Path], on_cpu: tuple[Losses, Path], tmp_path: Path
) -> None:
    last = on_xla[1] / "checkpoints" / "last.ckpt"
    assert is_tree(last)
    kept = read_checkpoint(last)
    assert {value.device.type for value in kept["state_dict"].values()} == {"cpu"}
    theirs = read_checkpoint(on_cpu[1] / "checkpoints" / "last.ckpt")["state_dict"]
    for name, value in kept["state_dict"].items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3 if name.endswith("running_var") else 0, atol=1e-4)
    for number, (there, here) in enumerate((("xla_cpu", "cpu"), ("cpu", "xla_cpu"))):
        whole = fit(here, max_epochs=2, scheduler="constant")
        begun = tmp_path / str(number)
        fit(there, folder=begun, scheduler="constant")
        last = begun / "checkpoints" / "last.ckpt"
        rest = fit(here, folder=begun, max_epochs=2, scheduler="constant", resume=last)
        assert len(rest.values) == STEPS
        assert rest.values == pytest.approx(whole.values[STEPS:], abs=1e-3)


def test_clipping_accumulation_and_adamw(xla: Any) -> None:
    settings = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5, "optimizer": "adamw"}
    assert fit("xla_cpu", **settings).values == pytest.approx(fit("cpu", **settings).values, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "bf16-true"}, "torch_xla ignores it"),
        ({"precision": "16-mixed"}, "trainer.precision=16-mixed"),
        ({"precision": "64-true"}, "trainer.precision=64-true"),
        ({"strategy": "ddp"}, "no trainer.strategy=ddp"),
        ({"compile": True}, "compiles by itself"),
        ({"accelerator": "tpu"}, "sees no TPU here"),
        ({"devices": "0,1"}, "give a number or auto"),
    ],
)
def test_what_xla_does_not_have_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(settings.pop("accelerator", "xla_cpu"), **settings)


def test_dropout_repeats_after_a_resume(xla: Any) -> None:
    """Torch does not seed XLA's own stream; the trainer does, for every step."""
    from scirs_neural.training.callbacks.step_seed import StepSeed

    class Where:
        current_epoch, global_rank = 3, 0
        device = xla

    drawn = []
    for _ in range(2):
        StepSeed(7).on_train_batch_start(Where(), Where(), None, 5)  # type: ignore[arg-type]
        drawn.append(nn.functional.dropout(torch.ones(64, device=xla), 0.5).cpu())
    assert torch.equal(drawn[0], drawn[1])
    assert 0 < (drawn[0] == 0).sum() < 64


def test_the_package_s_own_recipe_runs_end_to_end(tmp_path: Path) -> None:
    """The main command on XLA, with the run folder, the test set and the best weights."""
    from rich.console import Console

    run = sn.fit(
        "cnn", "digits",
        overrides=[
            "data.image_size=8", "model.width=4", "model.depth=1", "trainer.accelerator=xla_cpu", "data.batch_size=64",
            "trainer.max_epochs=1", "trainer.limit_train_batches=4", "trainer.limit_val_batches=1",
            "trainer.limit_test_batches=1", f"paths.runs={tmp_path}",
        ],
        console=Console(quiet=True),
    )  # fmt: skip
    assert 0 <= run.summary["test"]["accuracy"] <= 1
    assert run.folder.best.is_file()
    assert run.summary["warnings"] == {}
