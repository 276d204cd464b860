"""Tasks, fields and plugins in packages: checked by their owners, rebuilt by plugins, named when they are missing."""

from __future__ import annotations

import json
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import scirs_neural as sn
from scirs_neural.builder import Sequential
from scirs_neural.core.errors import CheckpointError, UnknownNameError
from scirs_neural.core.registries import registry
from scirs_neural.data.registry import FIELDS
from scirs_neural.plugins.registry import PLUGINS
from scirs_neural.tasks.registry import TASKS
from scirs_neural.tasks.task import Task
from tests.serialization.files import outputs, same_state
from tests.serialization.nets import net
from tests.serialization.parts import TASKS_OF, Adapter, Average, net_of

SCALE = torch.tensor([0.5, 1.0, 2.0])


def adapted(name: str = "zoo-cnn") -> tuple[Adapter, torch.nn.Module, torch.Tensor]:
    plugin, (model, x) = Adapter(scale=SCALE), net(name)
    return plugin, plugin.prepare(model, None, None).eval(), x


@pytest.mark.parametrize("name", ["zoo-cnn", "pruned-zoo"])
def test_a_network_that_a_plugin_changed_comes_back_in_a_fresh_process(name: str, python, tmp_path: Path) -> None:
    """Also one whose channels were pruned beside it: what the record does not say is a modification."""
    plugin, model, x = adapted(name)
    sn.save_package(tmp_path / "net.zip", model, plugins=[plugin, Average()])
    save_file({"x": x, "output": outputs(model, x)}, tmp_path / "io.safetensors")
    code = """
        import torch
        from safetensors.torch import load_file
        from scirs_neural import load_package
        import tests.serialization.parts
        held, package = load_file("io.safetensors"), load_package("net.zip")
        with torch.no_grad():
            print(torch.equal(package.model(held["x"].clone()), held["output"]), package.plugins[0]["record"]["scale"])
    """
    root = str(Path(__file__).parents[2])
    ended = python("-W", "ignore", "-c", textwrap.dedent(code), cwd=tmp_path, PYTHONPATH=root)
    assert ended.stdout == f"True {SCALE}\n", ended.stderr
    (record,) = sn.inspect_package(tmp_path / "net.zip").documents["plugins.json"]  # the average has nothing to do
    assert record == {
        "name": "test_adapter", "version": 1,
        "record": {"at": ["head"], "rank": 2, "scale": {"$tensor": "plugins/0/scale"}},
    }  # fmt: skip
    changes = sn.inspect_package(tmp_path / "net.zip").model["modifications"]
    assert [change["kind"] for change in changes] == ([] if name == "zoo-cnn" else ["channels"])


def test_a_loaded_package_is_saved_again_whole(tmp_path: Path) -> None:
    plugin, model, _ = adapted()
    spec, task = TASKS_OF["image-classification"]
    sn.save_package(tmp_path / "a.zip", model, spec=spec, task=task, answer={"k": 2}, plugins=[plugin])
    package = sn.load_package(tmp_path / "a.zip")
    sn.save_package(
        tmp_path / "b.zip", package.model, spec=package.spec, task=package.task_record, answer=package.answer,
        plugins=package.plugins,
    )  # fmt: skip
    again = sn.load_package(tmp_path / "b.zip")
    assert same_state(dict(again.model.state_dict()), dict(model.state_dict()))
    assert (again.spec, again.task_record, again.answer) == (spec, task, {"k": 2})
    assert torch.equal(again.plugins[0]["record"]["scale"], SCALE)


def test_what_a_record_does_not_say_is_refused_when_saving(tmp_path: Path) -> None:
    plugin, model, _ = adapted()
    with pytest.raises(CheckpointError, match="other layers"):
        sn.save_package(tmp_path / "a.zip", model)
    with pytest.raises(CheckpointError, match="other layers") as caught:
        sn.save_package(tmp_path / "a.zip", net("zoo-cnn")[0], plugins=[plugin])
    assert "record must say all" in str(caught.value)
    plugin.scale = SCALE.numpy()
    with pytest.raises(CheckpointError, match="plugins/0/scale: a ndarray is neither plain data nor a tensor"):
        sn.save_package(tmp_path / "a.zip", model, plugins=[plugin])
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_inputs_and_targets_is_kept(tmp_path: Path) -> None:
    spec, _ = TASKS_OF["image-classification"]
    image, label = spec.inputs["image"], spec.targets["label"]
    many = type(spec)("two", {"right": image, "left": image}, {"z": label, "a": label})
    sn.save_package(tmp_path / "a", net("zoo-cnn")[0], spec=many)
    held = sn.load_package(tmp_path / "a").spec
    assert held is not None
    assert (list(held.inputs), list(held.targets)) == (["right", "left"], ["z", "a"])


@pytest.mark.parametrize("name", TASKS_OF)
def test_a_task_is_made_anew_from_its_record(name: str, tmp_path: Path) -> None:
    spec, task = TASKS_OF[name]
    sn.save_package(tmp_path / "a.zip", net_of(name)[0], spec=spec, task=task)
    package = sn.load_package(tmp_path / "a.zip")
    made = package.make_task()
    record = made.record()
    assert (record["name"], record["version"], made.spec) == (task["name"], task["version"], spec)
    defaults = TASKS.get(task["name"])(spec).record()["options"]
    assert record["options"] == {**defaults, **task["options"]}


def test_a_package_without_a_task_says_so(tmp_path: Path) -> None:
    spec, task = TASKS_OF["image-classification"]
    sn.save_package(tmp_path / "a.zip", net("zoo-cnn")[0], spec=spec)
    sn.save_package(tmp_path / "b.zip", net("zoo-cnn")[0], task=task)
    for name, lacking in (("a", "task"), ("b", "data spec")):
        with pytest.raises(CheckpointError, match=f"lacks its {lacking}"):
            sn.load_package(tmp_path / f"{name}.zip").make_task()


class Stranger(Task):
    """A task of another distribution."""

    name = "test_stranger"

    @classmethod
    def check(cls, record: Any, where: str) -> None:
        """Hold the record's option to one word."""
        super().check(record, where)
        if record["options"].get("word") != "yes":
            raise CheckpointError("the word must be yes", where=where)


@pytest.fixture
def stranger():
    """A task, a field and a plugin as an installed distribution brings them: here, pytest's."""
    added = [(TASKS, "test_stranger", Stranger), (FIELDS, "test_kind", FIELDS.get("class"))]
    added.append((PLUGINS, "test_theirs", type("Theirs", (Adapter,), {"name": "test_theirs"})))
    for table, name, target in added:
        table.add(name, target)
        table.entry(name).distribution = "pytest"
    yield
    for table, name, _ in added:
        table._entries.pop(name, None)


SAVED = {"name": "test_stranger", "version": 1, "options": {"word": "yes"}}


@pytest.mark.parametrize("kind", ["task", "field", "plugin"])
@pytest.mark.usefixtures("stranger")
def test_what_is_not_installed_is_refused_with_the_distribution_that_brings_it(kind: str, tmp_path: Path) -> None:
    spec, task = TASKS_OF["image-classification"]
    if kind == "field":
        label = {**spec.targets["label"], "kind": "test_kind"}
        spec = type(spec)("shapes", spec.inputs, {"label": label})
    plugin, model, _ = adapted()
    record = {"name": "test_theirs" if kind == "plugin" else "test_adapter", "version": 1, "record": plugin.record()}
    sn.save_package(
        tmp_path / "a.zip", model, spec=spec, task=SAVED if kind == "task" else task, plugins=[record]
    )  # fmt: skip
    sn.load_package(tmp_path / "a.zip")
    name = {"task": "test_stranger", "field": "test_kind", "plugin": "test_theirs"}[kind]
    part = next(part for part in sn.inspect_package(tmp_path / "a.zip").manifest.parts if part.name == name)
    assert (part.kind, part.distribution, part.version) == (kind, "pytest", version("pytest"))
    registry(kind)._entries.pop(name)
    with pytest.raises(CheckpointError, match=f"needs the {kind} '{name}', which is not installed") as caught:
        sn.load_package(tmp_path / "a.zip")
    assert f"install the distribution that brings it: pytest {version('pytest')}" in str(caught.value)
    assert sn.verify_package(tmp_path / "a.zip").manifest.name.startswith("shapes")  # needs none of them


@pytest.mark.usefixtures("stranger")
def test_owners_check_what_is_said_of_them(tmp_path: Path) -> None:
    spec, _ = TASKS_OF["image-classification"]
    model = net("zoo-cnn")[0]
    with pytest.raises(CheckpointError, match="the word must be yes"):
        sn.save_package(tmp_path / "a", model, spec=spec, task={**SAVED, "options": {"word": "no"}})
    sn.save_package(tmp_path / "a", model, spec=spec, task=SAVED)
    with pytest.raises(CheckpointError, match="in version 2, what is installed knows 1"):
        sn.save_package(tmp_path / "a", model, spec=spec, task={**SAVED, "version": 2})


@pytest.mark.usefixtures("stranger")
def test_tasks_in_tasks_are_named_too(tmp_path: Path) -> None:
    spec, task = TASKS_OF["image-classification"]
    whole = {**SAVED, "options": {"word": "yes", "heads": {"a": task, "b": {**task, "name": "nobody"}}}}
    with pytest.raises(UnknownNameError, match="unknown task 'nobody'"):
        sn.save_package(tmp_path / "a", net("zoo-cnn")[0], spec=spec, task=whole)
    whole["options"]["heads"]["b"] = SAVED  # type: ignore[index]
    sn.save_package(tmp_path / "a", net("zoo-cnn")[0], spec=spec, task=whole)
    parts = json.loads((tmp_path / "a" / "manifest.json").read_text())["parts"]
    assert [part["name"] for part in parts if part["kind"] == "task"] == ["test_stranger", "classification"]


def test_layers_of_a_graph_are_named(tmp_path: Path) -> None:
    sn.save_package(tmp_path / "a.zip", net("builder-functional")[0])
    parts = sn.inspect_package(tmp_path / "a.zip").manifest.parts
    assert {(part.kind, part.name) for part in parts} >= {("layer", "conv2d"), ("layer", "linear")}
    assert {part.distribution for part in parts} == {"scirs-neural"}


@pytest.mark.parametrize("kind", ["model", "layer"])
def test_networks_and_layers_of_a_stranger_are_named_too(kind: str, tmp_path: Path) -> None:
    table, name = registry(kind), f"test_{kind}"
    table.add(name, table.get("mlp" if kind == "model" else "relu"), distribution="pytest")
    try:
        model = sn.create_model(name, hidden=[]) if kind == "model" else Sequential([name], input_shape=(4,))
        sn.save_package(tmp_path / "a", model)
        sn.load_package(tmp_path / "a")
    finally:
        table._entries.pop(name)
    with pytest.raises(CheckpointError, match=f"needs the {kind} '{name}', which is not installed") as caught:
        sn.load_package(tmp_path / "a")
    assert "brings it: pytest" in str(caught.value)


def test_a_network_may_not_use_the_names_of_plugins(tmp_path: Path) -> None:
    model = torch.nn.Sequential()
    model.add_module("plugins/0", torch.nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match="is for plugins"):
        sn.save_package(tmp_path / "a", model)
