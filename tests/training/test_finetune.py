"""Fine-tuning: frozen is frozen to the bit, stages join on time, and pretraining pays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import load_digits

import scirs_neural as sn
from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import RunConfig
from scirs_neural.data import from_arrays
from scirs_neural.guard.weights import write_state_dict
from scirs_neural.optim.groups import stages
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.train import train_run
from tests.training.tiny import module_of


class Snapshots(L.Callback):
    """The network's state at the start of each epoch and at the end."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def _take(self, module: Any) -> None:
        self.states.append({name: value.clone() for name, value in module.model.state_dict().items()})

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self._take(module)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self._take(module)


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def fit(finetune: dict[str, Any], epochs: int) -> tuple[Any, list[dict[str, torch.Tensor]]]:
    data = sn.create_data("digits", image_size=8, batch_size=128)
    model = sn.create_model("cnn", num_classes=10, in_channels=1, width=4, depth=2, input_size=8, seed=0)
    task = module_of(
        model,
        data,
        scheduler="constant",
        finetune={"enabled": True, **finetune},
    )
    snapshots = Snapshots()
    trainer = sn.Trainer(max_epochs=epochs, limit_train_batches=3, console=Console(quiet=True), callbacks=[snapshots])
    trainer.fit(task, data)
    return model, snapshots.states


@pytest.mark.feature(113)
def test_frozen_stages_keep_their_bits_and_join_one_by_one() -> None:
    model, states = fit({"head_epochs": 1, "unfreeze": "gradual"}, epochs=3)
    staged = stages(model)
    for epoch, learning in enumerate((1, 2, 3)):
        changed = moved(states[epoch], states[epoch + 1])
        frozen = {name for stage in staged[: len(staged) - learning] for name in stage}
        buffers = {n for n, _ in model.named_buffers()}
        below = {n for n in buffers if n.rpartition(".")[0] in {f.rpartition(".")[0] for f in frozen}}
        assert not changed & (frozen | below), f"epoch {epoch}"
        assert changed & set(staged[len(staged) - learning]), f"epoch {epoch}: the new stage learns"


class BreakOff(L.Callback):
    """Ends a run in the middle of its second epoch."""

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == 4:
            raise RuntimeError("broken off")


def test_a_run_that_goes_on_within_an_epoch_keeps_frozen_what_was(tmp_path: Path) -> None:
    """Case R1: Lightning calls no epoch-start hook there."""
    found = []
    for name, ends in (("whole", False), ("broken", True)):
        for part in (0, 1) if ends else (0,):
            data = sn.create_data("digits", image_size=8, batch_size=128)
            model = sn.create_model("cnn", num_classes=10, in_channels=1, width=4, depth=2, input_size=8, seed=0)
            finetune = {"enabled": True, "unfreeze": "never", "freeze_batchnorm": True}
            module = module_of(model, data, scheduler="constant", finetune=finetune)
            trainer = sn.Trainer(
                folder=tmp_path / name, max_epochs=2, limit_train_batches=3, console=Console(quiet=True),
                checkpoint={"every_n_steps": 1}, callbacks=[BreakOff()] if ends and not part else [],
            )  # fmt: skip
            if ends and not part:
                with pytest.raises(RuntimeError, match="broken off"):
                    trainer.fit(module, data)
            else:
                trainer.fit(module, data, resume="auto")
        found.append(dict(model.state_dict()))
    assert moved(*found) == set()
    assert module.now.epoch == 1


def test_frozen_batchnorm_keeps_statistics_and_parameters() -> None:
    model, states = fit({"head_epochs": 0, "freeze_batchnorm": True}, epochs=1)
    norms = {n for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert norms
    changed = moved(states[0], states[-1])
    assert not {name for name in changed if name.rpartition(".")[0] in norms}
    assert changed


@pytest.mark.feature(112)
def test_a_new_head_keeps_the_body_of_the_file(tmp_path: Path) -> None:
    body = sn.create_model("resnet18", num_classes=7, seed=1)
    write_state_dict(tmp_path / "body.safetensors", body.state_dict())
    model = sn.create_model("resnet18", weights=str(tmp_path / "body.safetensors"), num_classes=10)
    ours, theirs = model.state_dict(), body.state_dict()
    assert [name for name in ours if not name.startswith("fc.") and not torch.equal(ours[name], theirs[name])] == []
    assert model.fc.out_features == 10


@pytest.mark.slow
@pytest.mark.feature(114)
def test_pretraining_on_half_of_the_classes_pays_on_50_images_of_the_other_half(tmp_path: Path) -> None:
    digits, quiet = load_digits(), Console(quiet=True)
    images, low = (digits.images * 15.9).astype(np.uint8), digits.target < 5
    order = np.random.default_rng(0).permutation(np.flatnonzero(~low))
    few, rest = order[:50], order[50:]

    def config(*overrides: str) -> RunConfig:
        common = ["model=resnet18", "data.image_size=8", f"paths.runs={tmp_path}"]
        return load_config(Request([*common, *overrides]), config_groups())

    first = from_arrays(images[low], digits.target[low], image_size=8, transforms="light", batch_size=64)
    pretrained = train_run(config("trainer.max_epochs=4"), data=first, console=quiet)
    write_state_dict(tmp_path / "pretrained.safetensors", pretrained.model.state_dict())

    def second_test(*overrides: str) -> float:
        data = from_arrays(
            images[few], digits.target[few] - 5, test=(images[rest], digits.target[rest] - 5), image_size=8,
            transforms="light", batch_size=16, val_fraction=0.2,
        )  # fmt: skip
        common = ("trainer.max_epochs=6", "scheduler=constant", "model.stem=small")
        return float(train_run(config(*common, *overrides), data=data, console=quiet).summary["test"]["accuracy"])

    weights = f"model.weights={tmp_path}/pretrained.safetensors"
    tuned = second_test(weights, "finetune.enabled=true", "finetune.head_epochs=1", "finetune.backbone_lr_ratio=0.3")
    assert tuned >= second_test() + 0.10
