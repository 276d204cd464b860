"""A thing that is added by decorator, by entry point or from a file behaves alike: one rule of options and types."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest
import torch
from torch import nn

from scirs_neural.core import registry as registry_module
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.importing import load_file
from scirs_neural.core.registries import REGISTRIES, registry
from scirs_neural.core.registry import REQUIRED, Registry
from scirs_neural.data import create_data
from scirs_neural.data.registry import DATA, FIELDS, PIPELINES
from scirs_neural.losses import LOSSES, create_loss
from scirs_neural.metrics import METRICS
from scirs_neural.metrics.named import direction_of, named_metric
from scirs_neural.models import MODELS, create_model
from scirs_neural.optim import OPTIMIZERS, SCHEDULERS, build_optimizer, parameter_groups
from scirs_neural.optim.build import build_scheduler, traits
from scirs_neural.optim.schedules import Span
from scirs_neural.plugins.registry import PLUGINS
from scirs_neural.tasks import create_task
from scirs_neural.tasks.registry import TASKS
from scirs_neural.training.registry import CALLBACKS

FILE = '''
from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from scirs_neural.plugins.plugin import Plugin
from scirs_neural.tasks import Classification


class Optimizer(torch.optim.SGD):
    """SGD that shouts."""
    traits = {"no_clipping": True}


class Sized(torch.optim.SGD):
    def __init__(self, parameters, volume: float, lr=0.1, weight_decay=0.0):
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        self.volume = volume


def model(num_classes, in_channels=1, *, slope: float = 0, width: int = 4):
    body = [nn.Flatten(), nn.Linear(4 * in_channels, width), nn.LeakyReLU(slope)]
    net = nn.Sequential(*body, nn.Linear(width, num_classes))
    net.slope = slope
    return net


def loss(output, truth, power: float = 1):
    return (output - truth).abs().pow(power).mean()


def scheduler(optimizer, span, *, floor: float = 0):
    return LambdaLR(optimizer, lambda step: max(floor, 1 - step / span.total_steps))


def data(rows: int = 30):
    return torch.zeros(rows, 4, 4, dtype=torch.uint8).numpy(), torch.arange(rows).numpy() % 3


class Task(Classification):
    def __init__(self, spec, *, patience: int = 1, metrics=()):
        super().__init__(spec, metrics=metrics)
        self.patience = patience


class Pull(Plugin):
    def __init__(self, *, strength: float = 1):
        super().__init__(strength=strength)


def metric(probabilities, target):
    return float((probabilities.argmax(1) != target).mean())


metric.higher_is_better = False
'''

THINGS = {
    "optimizer": OPTIMIZERS, "model": MODELS, "loss": LOSSES, "scheduler": SCHEDULERS, "data": DATA, "task": TASKS,
    "plugin": PLUGINS, "metric": METRICS,
}  # fmt: skip
KINDS = {
    "Optimizer": "optimizer", "Sized": "optimizer", "model": "model", "loss": "loss", "scheduler": "scheduler",
    "data": "data", "Task": "task", "Pull": "plugin", "metric": "metric",
}  # fmt: skip
WAYS = ("decorator", "entry point", "file")


@pytest.fixture
def added(tmp_path, monkeypatch, request) -> Iterator[dict[str, str]]:
    """By attribute of the file: what a user types for it, in one of the three ways."""
    path = tmp_path / "three_ways_example.py"
    path.write_text(FILE)
    way = request.param
    typed = {attribute: f"{path}:{attribute}" if way == "file" else f"example_{attribute}" for attribute in KINDS}
    for kind in THINGS.values():
        monkeypatch.setattr(kind, "_entries", dict(kind._entries))
        monkeypatch.setattr(kind, "_entry_points_loaded", way != "entry point")
    if way == "decorator":
        module = load_file(str(path))
        for attribute, kind in KINDS.items():
            THINGS[kind].register(typed[attribute])(getattr(module, attribute))
    points = [
        EntryPoint(typed[attribute], f"three_ways_example:{attribute}", f"scirs_neural.{kind}")
        for attribute, kind in KINDS.items()
    ]
    monkeypatch.setattr(registry_module, "_installed_entry_points", lambda: EntryPoints(points))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield typed
    sys.modules.pop("three_ways_example", None)


def optimizer(name: str, **options):
    net = nn.Linear(2, 1)
    return build_optimizer(name, net, parameter_groups(net, lr=0.1, weight_decay=0.0), **options)


@pytest.mark.parametrize("added", WAYS, indirect=True)
class TestTheThreeWays:
    def test_what_the_framework_supplies_is_no_option(self, added):
        expected = {
            "Optimizer": {"momentum", "dampening", "nesterov", "maximize", "foreach", "differentiable", "fused"},
            "Sized": {"volume"},
            "model": {"slope", "width"},
            "loss": {"power"},
            "scheduler": {"floor"},
            "data": {"rows"},
            "Task": {"patience", "metrics"},
            "Pull": {"strength"},
        }
        for attribute, options in expected.items():
            assert set(THINGS[KINDS[attribute]].typed(added[attribute]).options) == options

    def test_an_optimizer_steps_and_tells_its_traits(self, added):
        built = optimizer(added["Optimizer"], momentum=0.9)
        assert (type(built).__name__, built.defaults["momentum"]) == ("Optimizer", 0.9)
        assert dict(traits(added["Optimizer"])) == {"no_clipping": True}

    def test_an_unknown_option_a_wrong_type_and_a_missing_one_are_said(self, added):
        with pytest.raises(ConfigError, match=r"(?s)has no option 'momentun'.*maybe  momentum"):
            optimizer(added["Optimizer"], momentun=0.9)
        with pytest.raises(ConfigError, match=r"option 'momentum' .* must be a number, not 'much'"):
            optimizer(added["Optimizer"], momentum="much")
        with pytest.raises(ConfigError, match="needs 'volume'"):
            optimizer(added["Sized"])
        assert optimizer(added["Sized"], volume=11).volume == 11
        fault = OPTIMIZERS.typed(added["Sized"]).faults({}, section="optimizer")[0]
        assert fault.what.endswith("needs the setting 'optimizer.volume'")

    def test_the_annotation_says_the_type_and_not_the_default(self, added):
        net = create_model(added["model"], num_classes=3, in_channels=1, input_size=2, slope=0.1)
        assert (net.slope, net[-1].out_features) == (0.1, 3)
        with pytest.raises(ConfigError, match=r"option 'width' .* must be a whole number, not 0.5"):
            create_model(added["model"], num_classes=3, width=0.5)

    def test_losses_and_schedules_too(self, added):
        x, y = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0])
        assert create_loss(added["loss"], power=2)(x, y) == nn.MSELoss()(x, y)
        with pytest.raises(ConfigError, match="has no option 'truth'"):
            create_loss(added["loss"], truth=1)
        schedule = build_scheduler(added["scheduler"], optimizer("sgd"), Span(10, 5), floor=0.25)
        assert set(schedule.get_last_lr()) == {0.1}
        with pytest.raises(ConfigError, match="has no option 'span'"):
            build_scheduler(added["scheduler"], optimizer("sgd"), Span(10, 5), span=1)

    def test_data_tasks_plugins_and_metrics_too(self, added):
        made = create_data(added["data"], rows=60, batch_size=6)
        assert sum(made.spec.sizes.values()) == 60
        with pytest.raises(ConfigError, match="has no option 'rwos'"):
            create_data(added["data"], rwos=60)
        task = create_task(made.spec, added["Task"], patience=3, metrics=[added["metric"]])
        assert (task.patience, task.name, task.reason) == (3, added["Task"], "it was named")
        with pytest.raises(ConfigError, match=r"(?s)has no option 'patiense'"):
            create_task(made.spec, added["Task"], patiense=3)
        assert PLUGINS.typed(added["Pull"]).load()(strength=2).options == {"strength": 2}
        with pytest.raises(ConfigError, match="has no option 'weight'"):
            PLUGINS.typed(added["Pull"]).check({"weight": 1})
        found = named_metric(added["metric"], [np.eye(3), np.array([0, 1, 1])], num_classes=3)
        assert (found, direction_of(added["metric"])) == (pytest.approx(1 / 3), "min")


def test_a_name_that_nobody_typed_never_runs_code():
    for name in REGISTRIES:
        for method in ("get", "entry", "options"):
            with pytest.raises(ConfigError, match="unknown"):
                getattr(registry(name), method)("os:getcwd")


def test_every_kind_says_what_is_supplied():
    expected = {
        OPTIMIZERS: {"lr", "weight_decay"}, TASKS: {"spec"}, FIELDS: {"name", "spec", "settings"},
        PIPELINES: {"spec", "settings"}, METRICS: {"num_classes", "multi_label"},
        DATA: set(), PLUGINS: set(), CALLBACKS: set(),
    }  # fmt: skip
    assert {kind.kind: set(kind.supplied) for kind in expected} == {k.kind: v for k, v in expected.items()}
    assert {"num_classes", "in_channels", "input_size"} <= MODELS.supplied


def test_keywords_without_names_pass_and_a_table_needs_no_import():
    shapes = Registry("shape", supplied=("canvas",), positional=1)

    @shapes.register("open")
    def draw(pen, canvas, *, size: int | None, colour="red", **more):
        """Draws."""

    assert dict(shapes.options("open")) == {"size": REQUIRED, "colour": "red"}
    shapes.entry("open").check({"size": None, "anything": object()})
    assert shapes.entry("open").takes({"canvas": 1, "other": 2}) == {"canvas": 1, "other": 2}
    shapes.add("closed", "no_such_module:thing", options={"side": 1.0})
    assert (dict(shapes.options("closed")), dict(shapes.entry("closed").traits)) == ({"side": 1.0}, {})
    with pytest.raises(ConfigError, match="has no option 'sied'"):
        shapes.entry("closed").check({"sied": 1})
    shapes.add("number", 7)
    with pytest.raises(ConfigError, match="shape 'number' cannot be called with options"):
        shapes.options("number")
