"""A plugin of a stranger's, with a tensor in its record; and specs and tasks of every shipped kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.spec import DataSpec
from scirs_neural.plugins.plugin import ADAPTERS, Plugin
from scirs_neural.plugins.registry import PLUGINS
from scirs_neural.tasks.registry import TASKS
from scirs_neural.tasks.task import Task


class LowRank(nn.Module):
    """A linear layer beside two thin ones; what they add is scaled by numbers that are no weights."""

    def __init__(self, base: nn.Linear, rank: int, scale: Tensor) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x)) * self.scale


@PLUGINS.register("test_adapter")
class Adapter(Plugin):
    """Puts thin layers beside the head."""

    name = "test_adapter"
    stage = ADAPTERS

    def __init__(self, rank: int = 2, scale: Tensor | None = None) -> None:
        super().__init__(rank=rank)
        self.rank, self.scale = rank, scale

    def prepare(self, model: nn.Module, task: Any, example: Any) -> nn.Module:
        """The network with the thin layers."""
        return self.rebuild(model, self.record())

    def record(self) -> dict[str, Any]:
        """Where, how thin, and the numbers that scale."""
        return {"at": ["head"], "rank": self.rank, "scale": self.scale}

    def rebuild(self, model: nn.Module, record: Mapping[str, Any]) -> nn.Module:
        """See `prepare`."""
        for name in record["at"]:
            setattr(model, name, LowRank(getattr(model, name), record["rank"], record["scale"]))
        return model


@PLUGINS.register("test_average")
class Average(Plugin):
    """Leaves the network as it is."""

    name = "test_average"


def _spec(inputs: Mapping[str, Any], targets: Mapping[str, Any]) -> DataSpec:
    sizes = {"train": 90, "val": 10, "test": 20}
    return DataSpec("shapes", inputs, targets, sizes, description="imagined shapes", licence="CC0-1.0")


def _task(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "version": 1, "options": options}


IMAGE = {"image": Preprocess(1, (8, 8), None, "bilinear", (0.5,), (0.25,)).to_spec()}
ROW = {
    "row": {"kind": "table", "version": 1, "columns": [
        {"name": name, "type": "number", "mean": float(place), "std": 2.0} for place, name in enumerate("abcd")
    ]}
}  # fmt: skip
LABEL = {"kind": "class", "version": 1, "classes": ["circle", "square", "star"]}
SIZE = {"kind": "numbers", "version": 1, "names": ["width", "height"], "mean": [10.0, 20.0], "std": [2.0, 4.0]}

TASKS_OF: dict[str, tuple[DataSpec, dict[str, Any]]] = {
    "image-classification": (_spec(IMAGE, {"label": LABEL}), _task("classification", label_smoothing=0.1)),
    "multi-label": (_spec(IMAGE, {"label": LABEL | {"kind": "labels"}}), _task("multi_label")),
    "table-classification": (_spec(ROW, {"label": LABEL}), _task("classification")),
    "regression": (_spec(ROW, {"label": SIZE}), _task("regression")),
}
"""By name: a data spec and a task's record."""


class Stub(Task):
    """Stands for a task that is not registered yet."""


for _name in ("classification", "multi_label"):  # until the tasks of the contract are registered
    if _name not in TASKS:
        TASKS.add(_name, f"tests.serialization.parts:{_name}_stub")
        globals()[f"{_name}_stub"] = type("Stub", (Stub,), {"name": _name})


def net_of(name: str) -> tuple[nn.Module, Tensor]:
    """A tiny network for one of `TASKS_OF`, and an input."""
    from scirs_neural.models import create_model

    spec, _ = TASKS_OF[name]
    outputs = sum(len(target.get("classes") or target["names"]) for target in spec.targets.values())
    if "row" in spec.inputs:
        model = create_model("mlp", num_classes=outputs, in_channels=4, input_size=1, hidden=[5])
        return model.eval(), torch.randn(3, 4)
    return create_model("cnn", num_classes=outputs, depth=1, width=4).eval(), torch.randn(3, 1, 8, 8)
