"""Optimizers through the whole training: closures, averages, groups and the user's own, also after a resume."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.schedules import WARMUP_START
from scirs_neural.runs.check import check_run
from scirs_neural.runs.train import RunResult
from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.training.tiny import module_of, tiny_config

SIGN_SGD = """
import torch


class SignSGD(torch.optim.Optimizer):
    '''Steps by the sign of a moving average of the gradient.'''

    def __init__(self, params, lr=0.01, weight_decay=0.0, momentum=0.9):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure and torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["momentum"])
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(mean.sign(), alpha=group["lr"])
        return loss
"""
STOP = """
import lightning.pytorch as L

class StopAt(L.Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step >= 7:
            raise RuntimeError('broken off')
"""
LONG = ("trainer.max_epochs=2", "data.batch_size=128", "trainer.checkpoint.every_n_steps=4")


@pytest.fixture
def sign_sgd(tmp_path: Path) -> str:
    file = tmp_path / "signs.py"
    file.write_text(SIGN_SGD)
    return f"{file}:SignSGD"


CHOICES = {
    "sam": ("optimizer=sam", "optimizer.lr=0.1", "optimizer.base_options={momentum: 0.9}"),
    "asam+adamw": ("optimizer=asam", "optimizer.lr=2e-3", "optimizer.base=adamw", "trainer.gradient_clip_val=1.0"),
    "lookahead": ("optimizer=lookahead", "optimizer.lr=2e-3"),
    "lion": ("optimizer=lion", "optimizer.lr=3e-4"),
    "lamb": ("optimizer=lamb", "optimizer.lr=0.02"),
    "schedule_free_adamw": ("optimizer=schedule_free_adamw", "optimizer.lr=5e-3", "scheduler=constant"),
    "lbfgs": ("optimizer=lbfgs", "optimizer.lr=0.5", "optimizer.weight_decay=0", "optimizer.max_iter=3"),
}  # fmt: skip
LIKE_ADAM = {"asam+adamw", "lookahead", "lion", "lamb"}  # for the loop


@pytest.mark.feature(93)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LIKE_ADAM else name for name in CHOICES]
)
def test_every_kind_trains_and_resumes_to_the_bit(train: Any, name: str, tmp_path: Path) -> None:
    whole: RunResult = train(*LONG, *CHOICES[name])
    first, second = (row["train/loss"] for row in read_rows(whole))
    assert second < first
    same_bits_after_a_break(train, whole, tmp_path, *CHOICES[name])


@pytest.mark.feature(94)
def test_a_class_of_the_user_s_trains_and_resumes_with_its_state(train: Any, sign_sgd: str, tmp_path: Path) -> None:
    chosen = (f"optimizer={sign_sgd}", "optimizer.lr=1e-3", "optimizer.momentum=0.8", "scheduler=cosine")
    whole: RunResult = train(*LONG, *chosen)
    first, second = (row["train/loss"] for row in read_rows(whole))
    assert second < first
    kept = read_checkpoint(whole.folder.last)["optimizer_states"][0]
    assert kept["param_groups"][0]["momentum"] == 0.8
    assert all("mean" in state for state in kept["state"].values())
    same_bits_after_a_break(train, whole, tmp_path, *chosen)


@pytest.mark.feature(84)
def test_the_logged_rate_of_every_step_is_the_closed_formula_s_after_a_resume_too(train: Any, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "stop.py").write_text(STOP)
    chosen = (*LONG, "trainer.log_every_n_steps=1", "scheduler=cosine", "scheduler.warmup=4", "optimizer.lr=0.01")
    with pytest.raises(RuntimeError, match="broken off"):
        train(*chosen, f"callbacks=[{tmp_path}/stop.py:StopAt]")
    done: RunResult = train(*chosen, f"trainer.resume={tmp_path / 'runs' / 'digits-cnn' / '1'}")
    events = EventAccumulator(str(done.folder.path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("lr_step")}
    total, warm = 22, 4  # 2 epochs of 11 steps
    after = [0.5 * (1 + math.cos(math.pi * (t - warm) / (total - warm))) for t in range(warm, total)]
    formula = [0.01 * share for share in (*((WARMUP_START * (warm - t) + t) / warm for t in range(warm)), *after)]
    assert [logged[step] for step in sorted(logged)] == pytest.approx(formula, rel=1e-6)
    assert [row["lr"] for row in read_rows(done)] == pytest.approx([formula[10], formula[21]], rel=1e-6)


def same_bits_after_a_break(train: Any, whole: RunResult, tmp_path: Path, *chosen: str) -> None:
    (tmp_path / "stop.py").write_text(STOP)
    with pytest.raises(RuntimeError, match="broken off"):
        train(*LONG, *chosen, f"callbacks=[{tmp_path}/stop.py:StopAt]")
    resumed = train(*LONG, *chosen, f"trainer.resume={whole.folder.path.parent / '2'}")
    one, other = read_checkpoint(whole.folder.last), read_checkpoint(resumed.folder.last)
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert difference(one[key], other[key]) is None, key
    assert whole.folder.metrics.read_text() == resumed.folder.metrics.read_text()


def difference(one: Any, other: Any, place: str = "") -> str | None:
    """Where two trees of tensors and plain values differ first."""
    if type(one) is not type(other):
        return place
    if isinstance(one, dict):
        if list(one) != list(other):
            return place
        return next((d for k in one if (d := difference(one[k], other[k], f"{place}.{k}")) is not None), None)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return place
        return next(
            (d for i, (a, b) in enumerate(zip(one, other, strict=True)) if (d := difference(a, b, f"{place}.{i}"))),
            None,
        )
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return None if same else place


def test_an_option_that_the_user_s_class_does_not_take_is_named(sign_sgd: str, train: Any) -> None:
    with pytest.raises(ConfigError, match=r"SignSGD' has no option 'momentun'"):
        train(f"optimizer={sign_sgd}", "optimizer.momentun=0.8")


class Watch(L.Callback):
    """Counts forward passes, and keeps what a step leaves behind."""

    def __init__(self) -> None:
        self.num_forward = 0
        self.masks: list[torch.Tensor] = []

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        module.model.register_forward_hook(self.count)
        for part in module.model.modules():
            if isinstance(part, nn.Dropout):
                part.register_forward_hook(lambda _, inputs, out: self.masks.append((out == 0) & (inputs[0] != 0)))

    def count(self, *args: Any) -> None:
        self.num_forward += 1


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)
    )


def test_sam_s_second_pass_has_the_same_masks_and_leaves_no_trace(tmp_path: Path) -> None:
    from rich.console import Console

    import scirs_neural as sn

    def run(optimizer: str) -> tuple[Watch, Any, list[dict[str, float]]]:
        data = sn.create_data("digits", image_size=8, batch_size=64)
        watch, net = Watch(), small_net()
        task = module_of(net, data, optimizer={"name": optimizer, "lr": 1e-9})
        trainer = sn.Trainer(
            max_epochs=1, limit_train_batches=3, limit_val_batches=0, callbacks=[watch], log_every_n_steps=1,
            console=Console(quiet=True),
        )  # fmt: skip
        return watch, net, trainer.fit(task, data)

    twice, net, rows = run("sam")
    once, plain, expected = run("sgd")
    assert (twice.num_forward, once.num_forward) == (6, 3)
    first, second = twice.masks[0::2], twice.masks[1::2]
    assert [torch.equal(a, b) for a, b in zip(first, second, strict=True)] == [True] * 3
    assert not torch.equal(first[0], first[1])
    assert rows[0]["train/loss"] == pytest.approx(expected[0]["train/loss"], abs=1e-6)
    torch.testing.assert_close(net[3].running_mean, plain[3].running_mean)
    assert net[3].num_batches_tracked == 3


def test_clipping_leaves_sam_s_way_up_alone_and_limits_its_step(train: Any) -> None:
    class Look(L.Callback):
        norms: list[tuple[bool, float]] = []

        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            norm = torch.nn.utils.get_total_norm([p.grad for p in module.parameters()])
            self.norms.append((optimizer.is_climbing, norm.item()))

    from rich.console import Console

    import scirs_neural as sn

    data, look = sn.create_data("digits", image_size=8, batch_size=64), Look()
    task = module_of(small_net(), data, optimizer="sam")
    sn.Trainer(
        max_epochs=1, limit_train_batches=2, limit_val_batches=0, callbacks=[look], gradient_clip_val=0.01,
        console=Console(quiet=True),
    ).fit(task, data)  # fmt: skip
    assert [climbs for climbs, _ in look.norms] == [True, False] * 2
    assert all(norm > 0.1 if climbs else norm <= 0.01 * (1 + 1e-5) for climbs, norm in look.norms)


def test_schedule_free_is_validated_and_kept_at_the_average(train: Any) -> None:
    done: RunResult = train(*LONG, *CHOICES["schedule_free_adamw"])
    kept = read_checkpoint(done.folder.last)
    (state,) = kept["optimizer_states"]
    point = kept["schedule_free_training_point"]
    by_index = [(i, group["betas"][0]) for group in state["param_groups"] for i in group["params"]]
    names = [p for group in done.module.parameter_groups for p in group.parameters]
    for (index, beta), name in zip(by_index, names, strict=True):
        average, training, start = (
            kept["state_dict"][f"model.{name}"],
            point[f"model.{name}"],
            state["state"][index]["z"],
        )
        torch.testing.assert_close((1 - beta) * start + beta * average, training, rtol=1e-4, atol=1e-6)
    row = max(read_rows(done), key=lambda held: held["val/accuracy"])
    from scirs_neural.api import Run

    assert Run(done.folder).evaluate("val").metrics["accuracy"].value == pytest.approx(row["val/accuracy"], abs=1e-6)


def read_rows(done: RunResult) -> list[dict[str, float]]:
    from tests.training.tiny import read_metrics

    return read_metrics(done.folder.metrics)


@pytest.mark.parametrize(
    ("settings", "message", "fix"),
    [
        (("optimizer=lbfgs", "optimizer.weight_decay=0", "trainer.gradient_clip_val=1"), "compares gradients", "null"),
        (("optimizer=schedule_free_sgd",), "in place of a schedule", "scheduler=constant"),
        (("optimizer=schedule_free_sgd", "scheduler=constant", "plugins=[ema]"), "averages weights already", "ema"),
    ],
)  # fmt: skip
def test_what_an_optimizer_excludes_is_said_before_anything_is_built(
    settings: tuple[str, ...], message: str, fix: str, train: Any, tmp_path: Path
) -> None:
    from rich.console import Console

    for run in (train, lambda *texts: check_run(tiny_config(tmp_path, *texts), Console(quiet=True))):
        with pytest.raises(ConfigError, match=message) as caught:
            run(*settings)
        assert fix in str(caught.value.fix)
    assert not (tmp_path / "runs").exists()


@pytest.mark.feature(95)
def test_frozen_parameters_stay_and_ruled_ones_learn_at_their_rate(train: Any) -> None:
    net = small_net()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    frozen = "optimizer.groups=[{name: first, match: '^2[.]', frozen: true}, {name: rest, lr_ratio: 0.5}]"
    done: RunResult = train(
        "trainer.max_epochs=1", frozen, "finetune.enabled=true", "finetune.head_epochs=0", model=net
    )
    kept = read_checkpoint(done.folder.last)
    moved = {name for name, value in before.items() if not torch.equal(value, kept["state_dict"][f"model.{name}"])}
    assert moved == {name for name in before if not name.startswith("2.")}
    names = [group["name"] for group in kept["optimizer_states"][0]["param_groups"]]
    assert "first, frozen" not in names
    assert all("rest" in name for name in names)
