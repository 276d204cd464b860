"""The gradient of a step does not depend on how the step is cut: for every task, and every loss of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError
from scirs_neural.tasks.registry import TASKS
from scirs_neural.training.loops.step import shares_of
from tests.training.steps import EVENLY, SAMPLES, Batches, examples, gradient, off

NAMES = sorted(set(TASKS.names()) - {"auto"})
LIMIT = 1e-6  # in float32


def test_every_task_has_an_example() -> None:
    assert set(NAMES) == set(examples())


def by_hand(name: str) -> torch.Tensor:
    """The gradient that torch gives for the whole, without this package's engine."""
    example = examples()[name]
    torch.manual_seed(0)
    network, batch = example.network(), example.batch
    outputs = network(batch["image" if name == "segmentation" else "row"])

    def of_class(logits: Any, target: Any) -> Any:
        return nn.functional.cross_entropy(logits, target, ignore_index=-100)

    def of_numbers(found: Any, target: Any) -> Any:
        scaled = (target.float() - torch.tensor([5.0, -1.0])) / torch.tensor([2.0, 3.0])
        known = ~scaled.isnan()
        return (found - scaled)[known].square().mean()

    if name == "classification":
        loss = of_class(outputs, batch["label"])
    elif name == "regression":
        loss = of_numbers(outputs, batch["price"])
    elif name == "multi_task":
        loss = of_class(outputs["label"], batch["label"]) + of_numbers(outputs["price"], batch["price"])
    elif name == "segmentation":
        loss = nn.functional.cross_entropy(outputs, batch["mask"].long(), ignore_index=255)
    else:
        known, weight = ~batch["marks"].isnan(), batch["weight"][:, None].expand(-1, 2)
        each = nn.functional.binary_cross_entropy_with_logits(outputs[known], batch["marks"][known], reduction="none")
        loss = (each * weight[known]).sum() / weight[known].sum()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_has_the_gradient_that_torch_gives(name: str) -> None:
    assert off(gradient(examples()[name])[0], by_hand(name)) < LIMIT


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [EVENLY, (7, 6), (1, 12)])
def test_accumulated_batches_have_the_gradient_of_one(name: str, sizes: tuple[int, ...]) -> None:
    whole, loss = gradient(examples()[name])
    found, logged = gradient(examples()[name], sizes)
    assert off(found, whole) < LIMIT
    assert logged == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("room", [7, 3])
@pytest.mark.filterwarnings("ignore:out of memory")
def test_parts_that_fit_into_memory_have_the_gradient_of_the_whole(name: str, room: int) -> None:
    whole, loss = gradient(examples()[name])
    for sizes in ((SAMPLES,), EVENLY if room == 3 else (9, 4)):
        found, logged = gradient(examples()[name], sizes, room=room)
        assert off(found, whole) < LIMIT
        assert logged == pytest.approx(loss, rel=1e-5)


@pytest.fixture(scope="module")
def of_two_ranks(tmp_path_factory: pytest.TempPathFactory, python: Any) -> Path:
    """A folder with the gradients that two ranks have, made by a process of its own."""
    folder = tmp_path_factory.mktemp("ranks")
    done = python("-m", "tests.training.steps", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_have_the_gradient_of_one_batch(name: str, of_two_ranks: Path) -> None:
    whole, loss = gradient(examples()[name])
    held = [torch.load(of_two_ranks / f"{name}-{rank}.pt", weights_only=True) for rank in range(2)]
    assert max(off(of_rank["gradient"], whole) for of_rank in held) < LIMIT
    assert held[0]["loss"] == pytest.approx(loss, rel=1e-5)  # rank 0 alone has rows


LOSSES: dict[str, Any] = {
    "weights": {"class_weights": {"a": 3.0, "b": 0.2}}, "smoothing": {"label_smoothing": 0.2},
    "focal": {"loss": "focal"},
    "sum": {"loss": {"name": "cross_entropy", "reduction": "sum"}},
    "several": {"loss": [{"name": "cross_entropy"}, {"name": "focal", "weight": 0.5, "alpha": [1.0, 2.0, 3.0]}]},
    "coupled": {"loss": "supervised_contrastive"},
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.filterwarnings("ignore:out of memory")
def test_every_kind_of_loss_can_be_cut(kind: str) -> None:
    example, task = examples()["classification"], LOSSES[kind]
    if kind == "coupled":
        example.batch["label"] = example.batch["label"].clamp_min(0)
    whole, loss = gradient(example, **task)
    for sizes, room in ((EVENLY, None), ((SAMPLES,), 4)):
        found, logged = gradient(example, sizes, room=room, **task)
        assert off(found, whole) < LIMIT, (sizes, room)
        assert logged == pytest.approx(loss, rel=1e-5)


def test_a_loss_that_couples_samples_is_refused_where_it_cannot_be_exact() -> None:
    example = examples()["classification"]
    example.batch["label"] = example.batch["label"].clamp_min(0)
    example.network = lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with pytest.raises(ConfigError, match=r"(?s)couples the samples.*BatchNorm"):
        gradient(example, (7, 6), loss="supervised_contrastive")
    gradient(example, loss="supervised_contrastive")  # one batch is whole


def test_passes_of_one_step_see_all_of_its_batches() -> None:
    example = examples()["classification"]
    whole, loss = gradient(example, optimizer="sam")  # of its second pass, at the other point
    found, logged = gradient(example, EVENLY, optimizer="sam")
    assert off(found, whole) < LIMIT * 5  # the point itself differs by rounding
    assert logged == pytest.approx(loss, rel=1e-5)
    assert off(whole, gradient(example)[0]) > 1e-3


def test_a_group_of_batches_is_one_step_and_limits_count_batches() -> None:
    example = examples()["classification"]
    module = sn.Module(sn.create_task(example.spec), example.network())
    trainer = sn.Trainer(
        max_epochs=2, accumulate_grad_batches=2, limit_train_batches=3, limit_val_batches=0, console=Console(quiet=True)
    )
    trainer.fit(module, Batches(example.batch, example.spec, EVENLY))
    assert trainer.lightning is not None
    assert trainer.lightning.global_step == 4


def test_shares_add_up_to_one_for_each_term() -> None:
    parts: list[Any] = [{"*": 3, "rare": 0, "all": None}, {"*": 5, "rare": 2, "all": None}]
    found = shares_of(parts, torch.device("cpu"))
    assert [share["*"] for share in found if share] == [3 / 8, 5 / 8]
    assert [share["rare"] for share in found if share] == [0.0, 1.0]
    assert [share["all"] for share in found if share] == [1.0, 1.0]  # parts of a sum are added up
