"""Several optimizers in one step, with accumulation and clipping: the same bits as a loop by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

import scirs_neural as sn
from scirs_neural.data.context import Context
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.optim.registry import SCHEDULERS
from scirs_neural.optim.schedules import Span
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.tasks.task import Phase, Task
from tests.training.steps import Loader
from tests.training.test_fast_path import equal

QUIET = Console(quiet=True)
EPOCHS, SIZES, LIMIT = 2, (8, 8, 8, 3), 0.5
SPEC = DataSpec("points", {}, {"x": {"kind": "numbers", "names": ["a", "b"], "mean": [0.0, 0.0], "std": [1.0, 1.0]}})


class PointPredictions(Predictions):
    """How far the mean of what was made is from that of the data."""

    kind = "points"
    metrics = {"distance": "min"}
    main_metric = "distance"

    def scorer(self) -> Any:
        made, true = self.array("x", 2), self.array("target", 2)
        return lambda w: {"distance": abs(w @ (made - true)).sum(axis=1) / w.sum(axis=1)}


class Gan(Task):
    """Points in the plane. No inputs; the target is what is made."""

    name, main_metric, has_eval_loss = "gan", "distance", False
    predictions = PointPredictions  # type: ignore[assignment]

    def phases(self) -> Any:
        return Phase("critic", "critic."), Phase("maker", "maker.", every=2)

    def forward(self, model: Any, batch: Any, ctx: Any) -> Any:
        made = model["maker"](ctx.randn(f"z/{ctx.phase}", batch["id"], 4))
        judged = {"made": model["critic"](made)}
        return judged if ctx.phase == "maker" else {**judged, "true": model["critic"](batch["x"].float())}

    def losses(self, outputs: Any, batch: Any, ctx: Any) -> dict[str, Tensor]:
        if ctx.phase == "maker":
            return {"maker": F.softplus(-outputs["made"]).mean()}
        return {"critic": F.softplus(outputs["made"]).mean() + F.softplus(-outputs["true"]).mean()}

    def answer(self, model: Any, batch: Any, ctx: Any) -> Any:
        return model["maker"](ctx.randn("z", batch["id"], 4))

    def to_tensors(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"x": outputs}

    def target_arrays(self, outputs: Any, batch: Any) -> dict[str, Any]:
        return {"target": batch["x"].numpy()}


def pair() -> nn.Module:
    torch.manual_seed(0)
    mlp = lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))  # noqa: E731
    return nn.ModuleDict({"maker": mlp(4, 2), "critic": mlp(2, 1)})


class Points:
    """Batches of points."""

    def __init__(self) -> None:
        stream, self.pipeline, self.held, start = torch.Generator().manual_seed(1), Pipeline(SPEC), [], 0
        for size in SIZES:
            x = torch.randn(size, 2, generator=stream, dtype=torch.float64) + 2
            self.held.append({"id": [str(start + i) for i in range(size)], "x": x})
            start += size

    def train_dataloader(self) -> Any:
        return Loader(self.held)

    def val_dataloader(self) -> Any:
        return Loader(self.held[:1])


def trained(accumulate: int, folder: Path | None = None, resume: Path | None = None, **settings: Any) -> Any:
    module = sn.Module(Gan(SPEC), pair(), {"name": "adam", "lr": 0.01}, {"name": "cosine"})
    trainer = sn.Trainer(
        folder=folder, seed=3, max_epochs=EPOCHS, accumulate_grad_batches=accumulate, gradient_clip_val=LIMIT,
        console=QUIET, channels_last=False, **settings,
    )  # fmt: skip
    trainer.fit(module, Points(), resume=resume)
    return module, trainer


def by_hand(accumulate: int) -> nn.Module:
    """The same in a plain loop: groups of batches, each weighed by its samples, one clipped step a phase."""
    model, task, batches = pair(), Gan(SPEC), Points().held
    groups = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
    total = EPOCHS * len(groups)
    phases = {phase.name: (phase, [p for n, p in model.named_parameters() if n.startswith(phase.parameters)])
              for phase in task.phases()}  # fmt: skip
    optimizers = {}
    schedules = {}
    for name, (phase, parameters) in phases.items():
        matrices = [p for p in parameters if p.ndim > 1]
        rest = [p for p in parameters if p.ndim == 1]
        optimizers[name] = torch.optim.Adam([{"params": matrices}, {"params": rest}], lr=0.01)
        steps = -(-total // phase.every)
        schedules[name] = SCHEDULERS.get("cosine")(
            optimizers[name], Span(steps, max(1, len(groups) // phase.every), 0.0)
        )
    step = 0
    for epoch in range(EPOCHS):
        for index, group in enumerate(groups):
            for name, (phase, parameters) in phases.items():
                if step % phase.every:
                    continue
                model.requires_grad_(False)
                for parameter in parameters:
                    parameter.requires_grad_(True)
                optimizers[name].zero_grad()
                size = sum(len(batch["id"]) for batch in group)
                for batch in group:
                    ctx = Context("train", 3, epoch, index, phase=name)
                    loss = sum(task.losses(task.forward(model, batch, ctx), batch, ctx).values())
                    (loss * (len(batch["id"]) / size) if len(group) > 1 else loss).backward()
                nn.utils.clip_grad_norm_(parameters, LIMIT)
                optimizers[name].step()
                schedules[name].step()
            step += 1
    return model


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_optimizers_have_the_bits_of_a_plain_loop(accumulate: int) -> None:
    module, trainer = trained(accumulate)
    wanted = by_hand(accumulate)
    for (name, found), expected in zip(module.model.named_parameters(), wanted.parameters(), strict=True):
        assert torch.equal(found, expected), name
    assert trainer.lightning.global_step == EPOCHS * -(-len(SIZES) // accumulate)  # steps, not optimizers
    assert {"train/loss", "train/loss_critic", "train/loss_maker", "val/distance"} <= set(trainer.metrics.rows[-1])
    assert trainer.monitor(module) == ("val/distance", "min")


def test_a_limit_of_steps_counts_steps() -> None:
    _, trainer = trained(1, max_steps=5)
    assert trainer.lightning.global_step == 5


class BreakOff(L.Callback):
    """Ends a run by an error."""

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == 2:  # an epoch begins
            raise RuntimeError("broken off")


def test_two_optimizers_resume_to_the_same_bits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"checkpoint": {"every_n_steps": 1}}
    _, whole = trained(2, tmp_path / "whole", **settings)
    with pytest.raises(RuntimeError, match="broken off"):
        trained(2, tmp_path / "broken", callbacks=[BreakOff()], **settings)
    _, resumed = trained(2, tmp_path / "broken", tmp_path / "broken", **settings)
    held = [read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "broken")]
    assert len(held[0]["optimizer_states"]) == 2
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert equal(held[0][part], held[1][part]), part
    assert resumed.metrics.rows == whole.metrics.rows
