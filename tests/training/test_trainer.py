"""The Trainer: what it refuses, what it clips, what it survives, and what it costs."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from torch.utils._python_dispatch import TorchDispatchMode

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError, NonFiniteError, StorageError
from scirs_neural.runs.train import RunResult
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import DurableCheckpointIO
from scirs_neural.training.warnings_capture import quiet
from tests.training.tiny import module_of

QUIET = Console(quiet=True)


@pytest.fixture
def digits() -> Any:
    return sn.create_data("digits", image_size=8, batch_size=64)


def small_task(data: Any, **settings: Any) -> Any:
    model = sn.create_model("cnn", num_classes=10, in_channels=1, width=4, depth=2, input_size=8, seed=0)
    return module_of(model, data, **settings)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"precision": "16-mixed"}, "half precision needs a GPU"),
        ({"accelerator": "tpu"}, "torch_xla"),
        ({"max_epochs": 0}, "max_epochs must be greater"),
        ({"max_epoch": 3}, "unknown setting 'max_epoch'"),
        ({"gradient_clip_algorithm": "nrom"}, "cannot be 'nrom'"),
        ({"devices": 3, "accelerator": "cpu", "strategy": "fdsp"}, "(?s)strategy cannot be 'fdsp'.*fsdp2"),
        ({"devices": 2, "accelerator": "cpu", "strategy": "spmd"}, "one of TPUs"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], message: str, digits: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        sn.Trainer(console=QUIET, **setting).fit(small_task(digits), digits)


@pytest.mark.feature(101)
@pytest.mark.skipif(torch.cuda.is_available(), reason="this is what happens without a GPU")
def test_without_a_gpu_auto_works_and_gpu_says_so(digits: Any) -> None:
    with pytest.raises(ConfigError, match="torch sees no such device") as caught:
        sn.Trainer(accelerator="gpu")
    assert "auto" in str(caught.value)
    rows = sn.Trainer(max_epochs=1, limit_train_batches=1, accelerator="auto", console=QUIET).fit(
        small_task(digits), digits
    )
    assert len(rows) == 1


@pytest.mark.feature(85)
@pytest.mark.parametrize(("algorithm", "limit"), [("norm", 0.05), ("value", 0.001), ("agc", 0.01)])
def test_clipped_gradients_obey_their_limit(digits: Any, algorithm: str, limit: float) -> None:
    class Look(L.Callback):  # the user's callbacks come after the Trainer's own, so this sees clipped gradients
        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            self.gradients = [p.grad.clone() for p in module.parameters()]
            self.weights = [p.detach().clone() for p in module.parameters()]

    look = Look()
    settings = {"gradient_clip_val": limit, "gradient_clip_algorithm": algorithm, "log_every_n_steps": 1}
    trainer = sn.Trainer(max_epochs=1, limit_train_batches=1, console=QUIET, callbacks=[look], **settings)
    trainer.fit(small_task(digits), digits)
    gradients = look.gradients
    if algorithm == "norm":
        total = torch.sqrt(sum((g**2).sum() for g in gradients))
        assert total <= limit * (1 + 1e-5)
        logged = trainer.lightning.callback_metrics  # type: ignore[union-attr]
        assert logged["train/grad_norm_clipped_step"] <= limit * (1 + 1e-5) < logged["train/grad_norm_step"]
    elif algorithm == "value":
        assert max(g.abs().max() for g in gradients) <= limit
    else:
        for g, w in zip(gradients, look.weights, strict=True):
            dims = tuple(range(1, w.ndim))
            norms = lambda t, d=dims: t.flatten(1).norm(dim=1) if d else t.abs()  # noqa: E731
            assert (norms(g) <= limit * norms(w).clamp_min(1e-3) * (1 + 1e-4)).all()


def test_a_loss_that_is_no_number_stops_the_run(train: Any) -> None:
    with pytest.raises(NonFiniteError, match="loss became") as caught:
        train(
            "trainer.max_epochs=3",
            "optimizer=sgd",
            "optimizer.lr=1e30",
            "trainer.log_every_n_steps=1",
            "scheduler=constant",
        )
    assert "optimizer.lr" in str(caught.value)


def test_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    store = DurableCheckpointIO()
    store.save_checkpoint({"weights": torch.ones(3)}, path)

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StorageError, match="no space left"):
        store.save_checkpoint({"weights": torch.zeros(3)}, path)
    monkeypatch.undo()
    assert torch.equal(read_checkpoint(path)["weights"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_really_full_disk_is_named() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(StorageError):
        DurableCheckpointIO().save_checkpoint({"weights": torch.ones(3)}, full / "x.ckpt")


def test_averaged_weights_are_kept_and_evaluated(train: Any) -> None:
    done: RunResult = train("trainer.max_epochs=3", "plugins=[ema]", "plugins.ema.decay=0.5")
    assert done.summary["test"]["accuracy"] > 0.5
    kept = read_checkpoint(done.folder.last)
    moved = [n for n, w in kept["state_dict"].items() if not torch.equal(w, kept["training_weights"][n])]
    assert moved, "the checkpoint's weights are the average, not the last step's"


class CountOps(TorchDispatchMode):
    """Counts the tensor operations of a block, and those that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops[str(func)] += 1
        return func(*args, **(kwargs or {}))


class PlainTask(L.LightningModule):
    """What a user would write by hand on Lightning for the same training."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.model, self.ours = ours.model, [ours]

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, targets = batch["image"], batch["label"]
        loss = torch.nn.functional.cross_entropy(self.model(images), targets)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        self.ours[0].trainer = self.trainer
        return self.ours[0].configure_optimizers()


def count_steps(fit: Any) -> list[Counter[str]]:
    """The operations of each step of a fit."""
    counted: list[Counter[str]] = []
    mode = CountOps()

    class Count(L.Callback):
        def on_train_batch_start(self, *args: Any) -> None:
            mode.ops = Counter()

        def on_train_batch_end(self, *args: Any) -> None:
            counted.append(mode.ops.copy())

    with mode:
        fit(Count())
    return counted


def test_no_extra_tensor_operation_or_wait_over_plain_lightning(digits: Any, tmp_path: Path) -> None:
    steps = 6
    ours = small_task(digits)

    def fit_ours(count: L.Callback) -> None:
        trainer = sn.Trainer(
            max_epochs=1,
            limit_train_batches=steps,
            limit_val_batches=0,
            console=QUIET,
            callbacks=[count],
            channels_last=False,
        )
        trainer.fit(ours, digits)

    def fit_plain(count: L.Callback) -> None:
        with quiet():
            trainer = L.Trainer(
                max_epochs=1, limit_train_batches=steps, limit_val_batches=0, callbacks=[count],
                logger=CSVLogger(tmp_path),
                enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
            )  # fmt: skip
            trainer.fit(PlainTask(small_task(digits)), digits.train_dataloader())

    mine, plain = count_steps(fit_ours), count_steps(fit_plain)
    assert len(mine) == len(plain) == steps
    for step, (a, b) in enumerate(zip(mine[1:-1], plain[1:-1], strict=True), 1):
        assert a - b == Counter(), f"step {step}: operations that plain Lightning does not need"
    extra = sum(mine[1:], Counter()) - sum(plain[1:], Counter())  # in the last one, what was logged is added up
    extra.pop("aten.lift_fresh.default", None)  # a number of the host's becomes a tensor: nothing is computed
    assert extra == Counter(), "waiting for the device (_local_scalar_dense) is among them"
