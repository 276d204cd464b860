"""What else a plugin may do: extra samples, losses with heads of their own, calibration, stages of a flow, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional as F

import scirs_neural as sn
from scirs_neural.data.context import Context
from scirs_neural.plugins import Plugin, finalize_all
from scirs_neural.plugins.build import create_plugins, ordered
from scirs_neural.plugins.order import relative_change
from scirs_neural.runs.finalizing import load_checkpoint
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.loops.fast_path import FastPath
from scirs_neural.training.preparations import PREPARATIONS
from tests.plugins import toys
from tests.training.recipes import RECIPES, digits

QUIET = Console(quiet=True)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -g


class Domain(Plugin):
    """Unlabelled pictures of another domain beside each step; an adversarial head that is never packaged."""

    name = "domain"

    def __init__(self, number: int = 6) -> None:
        super().__init__(number=number)
        self.number, self.seen = number, []  # type: ignore[var-annotated]
        self.head = nn.Linear(16, 1)
        self.other = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)

    def modules(self) -> nn.Module:
        return self.head

    def taps(self) -> list[str]:
        return ["flatten"]

    def rows(self, ctx: Context) -> list[dict[str, Any]]:
        drawn = np.random.default_rng(ctx.seed_of("domain", ctx.epoch, ctx.step, ctx.rank)).choice(20, self.number)
        return [{"id": f"o{place}-{index}", "image": self.other[index]} for place, index in enumerate(drawn)]

    def losses(self, outputs: Any, batch: Any, taps: Mapping[str, Any], model: Any, ctx: Any) -> dict[str, Any]:
        here = taps["flatten"]
        if "domain" not in batch:
            return {"rows": here.sum() * 0.0}
        self.seen.append((ctx.epoch, ctx.step, tuple(batch["domain"]["id"])))
        model(batch["domain"]["image"])
        logits = self.head(Reverse.apply(taps["flatten"]))[:, 0]
        return {"rows": F.binary_cross_entropy_with_logits(logits, torch.ones(len(logits)))}

    def counts(self, batch: Any) -> dict[str, float]:
        return {"rows": len(batch["domain"]["id"]) if "domain" in batch else 0}


def without_norm(task: Any) -> nn.Module:
    torch.manual_seed(3)
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh())
    model = nn.Sequential()
    for name, part in (("body", body), ("flatten", nn.Flatten()), ("head", nn.Linear(16, 10))):
        model.add_module(name, part)
    return model


def trained(
    plugins: list[Plugin], folder: Path | None = None, resume: Any = None, places: Any = None, **settings: Any
) -> Any:
    data = digits(RECIPES["gpt"], 0)
    if settings.get("accumulate_grad_batches", 1) > 1:
        data.batch_size //= settings["accumulate_grad_batches"]
    task = sn.create_task(data.spec)
    torch.manual_seed(3)
    module = sn.Module(task, without_norm(task), optimizer={"name": "sgd", "lr": 0.1}, plugins=plugins)
    copies = [toys.Copies(folder, places)] if folder and places else []
    settings = {"max_epochs": 2, "checkpoint": {"every_n_steps": 2}, **settings}
    trainer = sn.Trainer(folder=folder, seed=1, console=QUIET, callbacks=copies, **settings)
    trainer.fit(module, data, resume=resume)
    return module, trainer


def domain() -> Domain:
    torch.manual_seed(7)
    return Domain()


def test_extra_samples_come_with_each_step_on_the_fast_path_and_when_batches_are_accumulated(tmp_path: Path) -> None:
    whole, apart = domain(), domain()
    module, trainer = trained([whole], tmp_path)
    assert len(whole.seen) == 12
    again = domain()
    for epoch, step, ids in whole.seen:
        ctx = Context("train", 1, epoch, step)
        assert ids == tuple(row["id"] for row in again.rows(ctx))
    saved = read_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert "plugin_modules.domain.weight" in saved["state_dict"]
    assert all("domain" not in name for name, _ in module.model.named_parameters())
    assert {"train/loss_domain/rows"} <= set(trainer.metrics.rows[-1])
    other, _ = trained([apart], accumulate_grad_batches=2)
    assert len(apart.seen) == 24  # each batch of a step has its share
    for (name, a), b in zip(module.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name  # the gradient does not depend on how a step is cut


def test_heads_of_plugins_resume_to_the_bit(tmp_path: Path) -> None:
    trained([domain()], tmp_path / "whole", places={"cut": (0, 5)})
    trained([domain()], tmp_path / "rest", resume=tmp_path / "whole/cut.ckpt")
    one, other = (read_checkpoint(tmp_path / name / "checkpoints/last.ckpt") for name in ("rest", "whole"))
    assert all(torch.equal(one["state_dict"][key], other["state_dict"][key]) for key in other["state_dict"])


class Calibrated(Plugin):
    """Needs batches and the loss in the end, keeps a tensor in its record, and writes a file beside the network."""

    name, tolerance = "calibrated", 1e-3

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.loss = torch.zeros(()), 0.0

    def finalize(self, model: Any, batches: Any, task: Any) -> Any:
        number = 0
        for batch in batches():
            ctx = Context("val")
            self.scale = torch.maximum(self.scale, batch["image"].abs().max())
            terms = task.losses(task.forward(model, batch, ctx), batch, ctx)
            self.loss += float(torch.stack(list(terms.values())).sum().detach())
            number += 1
        self.loss /= number
        return model

    def record(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def rebuild(self, model: Any, record: Any) -> Any:
        self.scale = record["scale"]
        return model

    def artifacts(self, folder: Path) -> dict[str, Path]:
        (folder / "scale.txt").write_text(f"{float(self.scale):.4f}")
        return {"scale": folder / "scale.txt"}


class Staged(Plugin):
    """Fit, judge, fit again: trains the head alone, then all of it; only the last stage ranks."""

    name = "staged"

    def __init__(self, first: int = 1) -> None:
        super().__init__(first=first)
        self.first, self.stages = first, []  # type: ignore[var-annotated]

    def at_epoch(self, model: Any, ctx: Context) -> None:
        if ctx.epoch in (0, self.first):
            self.stages.append(ctx.epoch)
            model.body.requires_grad_(ctx.epoch == self.first)

    def rebuild(self, model: Any, record: Any) -> Any:
        self.stages = list(record.get("stages", []))
        model.body.requires_grad_(self.first in self.stages)
        return model

    def record(self) -> dict[str, Any]:
        return {"stages": self.stages}

    def may_rank(self, ctx: Context) -> bool:
        return ctx.epoch >= self.first


def test_a_flow_of_stages_trains_another_part_in_each_and_resumes(tmp_path: Path) -> None:
    bodies: list[torch.Tensor] = []

    class Look(Plugin):
        name, stage = "look", 99

        def after_epoch(self, model: Any, ctx: Context) -> None:
            bodies.append(model.body[1].weight.detach().clone())

    start = without_norm(None).body[1].weight.detach().clone()  # type: ignore[union-attr,index]
    _, trainer = trained([Look(), Staged()], tmp_path / "whole", places={"before": (1, 0), "after": (1, 4)})
    assert torch.equal(bodies[0], start)
    assert not torch.equal(bodies[1], start)
    assert trainer.plugin_calls.unranked == {0}
    whole = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")["state_dict"]
    for place in ("before", "after"):
        trained([Look(), Staged()], tmp_path / place, resume=tmp_path / f"whole/{place}.ckpt")
        again = read_checkpoint(tmp_path / place / "checkpoints/last.ckpt")["state_dict"]
        assert all(torch.equal(again[key], whole[key]) for key in whole), place


OWN = """
from pathlib import Path
from tests.plugins.test_hooks import Calibrated as Base

class Calibrated(Base):
    pass
"""


def test_a_plugin_by_file_with_calibration_a_tensor_in_its_record_and_a_file_of_its_own(
    tmp_path: Path, train: Any
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    done = train(f"plugins=[{tmp_path}/own.py:Calibrated]", "trainer.max_epochs=1", "trainer.limit_train_batches=2")
    assert done.summary["artifacts"] == {"Calibrated/scale": "artifacts/Calibrated/scale.txt"}
    written = float((done.folder.path / "artifacts/Calibrated/scale.txt").read_text())
    largest = max(float(batch["image"].abs().max()) for batch in done.data.eval_dataloader("train"))
    assert written == pytest.approx(largest, abs=1e-4)
    (held,) = read_checkpoint(done.folder.final)["plugins"]
    assert float(held["record"]["scale"]) == pytest.approx(largest)
    run = sn.load_run(done.folder.path, allow=[f"{tmp_path}/own.py:Calibrated"])
    assert run.evaluate("test").metrics["accuracy"].value == pytest.approx(done.summary["test"]["accuracy"])


def test_ema_is_the_closed_form_and_swa_the_mean(tmp_path: Path) -> None:
    steps: list[torch.Tensor] = []

    class Look(Plugin):
        name = "look"

        def after_step(self, model: Any, ctx: Context) -> None:
            steps.append(model.head.weight.detach().double().clone())

    for warmup in (True, False):
        ema = create_plugins({"ema": {"decay": 0.4, "warmup": warmup}})
        module, _ = trained([Look(), *ema])
        expected = steps[0]
        for n, weight in enumerate(steps[1:], 1):
            decay = min(0.4, (1 + n) / (10 + n)) if warmup else 0.4  # TensorFlow's num_updates
            expected = decay * expected + (1 - decay) * weight
        shown: Any = module.shown
        assert torch.allclose(shown.head.weight.double(), expected, atol=1e-6)
        steps.clear()
    swa = create_plugins({"swa": {"start": 0}})
    module, _ = trained([Look(), *swa])
    mean = (steps[5] + steps[11]) / 2
    assert torch.allclose(module.shown.head.weight.double(), mean, atol=1e-6)  # type: ignore[union-attr,operator]


def test_what_is_shown_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    module, trainer = trained(create_plugins({"ema": {"decay": 0.9}}), tmp_path)
    data = digits(RECIPES["gpt"], 0)
    again = sn.Module(module.task, without_norm(None), plugins=create_plugins({"ema": {"decay": 0.9}}))
    load_checkpoint(again, tmp_path / "checkpoints/last.ckpt")
    for a, b in zip(again.model.parameters(), module.shown.parameters(), strict=True):
        assert torch.equal(a, b)
    scores = sn.Trainer(console=QUIET).validate(again, data)
    assert scores["val/loss"] == pytest.approx(trainer.metrics.rows[-1]["val/loss"], rel=1e-6)


def test_swa_measures_batchnorm_anew() -> None:
    data = digits(RECIPES["gpt"], 0)
    task = sn.create_task(data.spec)
    model: Any = sn.create_model("cnn", width=8, depth=1, **task.model_arguments())
    finalize_all(create_plugins({"swa": {}}), model, task, lambda: data.eval_dataloader("train"))
    means = []
    with torch.no_grad():
        for batch in data.eval_dataloader("train"):
            means.append(model.stage1[0](batch["image"]).mean((0, 2, 3)))
    assert torch.allclose(model.stage1[1].running_mean, torch.stack(means).mean(0), atol=1e-6)


def test_steps_go_their_fast_path_with_plugins_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = FastPath._step
    monkeypatch.setattr(FastPath, "_step", lambda self: made.append(1) or real(self))
    trained(create_plugins({"ema": {}}))
    assert len(made) == 2 * 4  # all but the first and the last step of each epoch
    trained([])
    assert len(made) == 4 * 4


def test_order_within_a_stage_is_what_plugins_say_of_each_other() -> None:
    def plugin(name: str, **kinds: Any) -> Plugin:
        made: Plugin = type(name, (Plugin,), {"name": name, **kinds})()
        return made

    one, two, three = plugin("one", after=("two",)), plugin("two"), plugin("three", stage=10)
    assert [found.name for found in ordered([one, two, three])] == ["three", "two", "one"]


def test_the_trainer_s_own_preparations_come_after_all_plugins_in_one_order() -> None:
    stages = [kind.stage for kind in PREPARATIONS]  # type: ignore[attr-defined]
    assert stages == sorted(stages)
    assert min(stages) > max(kind.stage for kind in (toys.Drop, toys.LoRA, toys.Quant))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (np.array([1.0, np.nan]), np.array([1.5, np.nan]), 0.5),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan]), float("inf")),
        ([np.array([1.0]), np.array([2.0, 4.0])], [np.array([1.0]), np.array([2.0, 3.0])], 0.25),
        ([np.array([1.0])], [np.array([1.0, 2.0])], float("inf")),
        (["a", "b", "c", "d"], ["a", "b", "x", "d"], 0.25),
    ],
)
def test_changes_of_numbers_ragged_columns_and_texts(before: Any, after: Any, change: float) -> None:
    assert relative_change(before, after) == pytest.approx(change)
