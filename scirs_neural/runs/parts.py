"""What a configuration names, built and fitted to each other: data, network, task, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from scirs_neural.builder import load_model_file
from scirs_neural.config.schema import ModelConfig, RunConfig, TaskConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import OURS
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data import create_data
from scirs_neural.data.module import DataModule
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.models import catalogue, create_model
from scirs_neural.models.weights import load_strictly
from scirs_neural.tasks.create import create_task
from scirs_neural.tasks.task import Task
from scirs_neural.training.callbacks.order import OrderedCallback, topological_sort
from scirs_neural.training.checkpoint_io import read_checkpoint
from scirs_neural.training.module import Module
from scirs_neural.training.registry import CALLBACKS, LOGGERS
from scirs_neural.training.scoring import direction
from scirs_neural.training.tensorboard import TensorBoardExtras


@dataclass
class Parts:
    """What a configuration names, built and fitted to each other.

    Args:
        data: with its description.
        module: hosts the task and the network.
    """

    data: DataModule
    module: Module

    @property
    def task(self) -> Task:
        """What is asked of the network."""
        return self.module.task

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.module.model


def build_parts(config: RunConfig, *, model: nn.Module | None = None, data: DataModule | None = None) -> Parts:
    """Build data, task and network; a mismatch between them is an error before any heavy work.

    Args:
        config: what to build.
        model: in place of the one that the configuration names.
        data: in place of the one that the configuration names.
    """
    if data is None:
        data = create_data(config.data.name, seed=config.seed, **_settings(config.data))
    _suit_weights(data, config)
    task = make_task(config, data.spec)
    if model is None:
        L.seed_everything(stream_seed("init", config.seed) % 2**32, verbose=False)
        model = _network(config, task)
    return Parts(data, make_module(config, task, model))


def module_from_spec(config: RunConfig, spec: DataSpec, model: nn.Module | None = None) -> Module:
    """The module of a finished run, with the network's shape but not its weights; the data itself is not touched.

    Args:
        config: the run's.
        spec: the description of its data.
        model: the user's own network, if the run was of one.
    """
    task = make_task(config, spec)
    if model is None:
        model = _network(config, task, load=False)  # the run's own checkpoint holds them, published ones may be gone
    return make_module(config, task, model)


def make_task(config: RunConfig, spec: DataSpec) -> Task:
    """The task that a configuration names, or that follows from the data."""
    default = TaskConfig()
    options = {key: value for key, value in _settings(config.task).items() if value != getattr(default, key, None)}
    return create_task(spec, config.task.name, **options)


def make_module(config: RunConfig, task: Task, model: nn.Module) -> Module:
    """A task and a network with the configuration's optimizer, schedule and fine-tuning."""
    return Module(task, model, config.optimizer, config.scheduler, config.finetune)


_SET_BY_DATA = ("load", "input_size")  # beside num_classes and in_channels, which are settings too


def _network(config: RunConfig, task: Task, **more: Any) -> nn.Module:
    """A network of the zoo, of a registered builder, of the user's Python file, or of a network file."""
    name = config.model.name
    asked = {key: value for key, value in _settings(config.model).items() if value is not None}
    options = {**task.model_arguments(), **asked, **more}
    if not name.endswith((".yaml", ".yml", ".json")):
        return create_model(name, **options)
    if options.get("weights") is not None:
        raise ConfigError("a network file cannot be given weights", where="model.weights")
    from_task = set(task.model_arguments())
    if wrong := [key for key in options if key not in {*_SET_BY_DATA, *from_task, *ModelConfig.model_fields}]:
        raise ConfigError(f"a network file has no option '{wrong[0]}'", where=f"model.{wrong[0]}", fix=f"change {name}")
    shapes = [tuple(field.shape()) for field in Pipeline(task.spec).inputs.values()]
    if len(shapes) != 1 or None in shapes[0]:
        raise ConfigError(f"a network file takes one input of a fixed shape, and '{task.spec.name}' has {shapes}")
    sides = [side for side in shapes[0] if side is not None]
    return load_model_file(name, input_shape=sides, num_classes=options["num_classes"], allow_files=True)


def make_callbacks(config: RunConfig, task: Task) -> list[L.Callback]:
    """The callbacks that a configuration names, in an order that suits all of them.

    One of the user's has the ``name`` ``file.py:Class``. One that watches a metric and is not told its direction
    (``mode``) gets the metric's own.

    Raises:
        ConfigError: an unknown name or option, or callbacks that exclude each other.
    """
    placed: list[OrderedCallback] = []
    for key, settings in config.callbacks.items():
        name, options = settings.get("name", key), {k: v for k, v in settings.items() if k != "name"}
        entry = CALLBACKS.typed(name, where=f"callbacks.{key}.name")
        entry.check(options)
        if entry.distribution == OURS and "mode" in entry.options and "mode" not in options:
            options["mode"] = direction(
                task, options.get("monitor", entry.options["monitor"]), f"callbacks.{key}.monitor"
            )
        try:
            placed.append(OrderedCallback(key, entry.load()(**options), entry.traits))
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise ConfigError(f"the callback '{key}' refuses its options: {error}", where=f"callbacks.{key}") from error
    made: list[L.Callback] = topological_sort(placed)
    if "tensorboard" in config.logger:
        made.append(TensorBoardExtras(**{**LOGGERS.options("tensorboard"), **config.logger["tensorboard"]}))
    return made


def load_checkpoint(module: Module, checkpoint: Path) -> None:
    """Put a checkpoint's weights into a network, strictly.

    Raises:
        CheckpointError: the file is not of this network.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    load_strictly(module.model, weights, str(checkpoint))


def _suit_weights(data: DataModule, config: RunConfig) -> None:
    """Feed pictures as the published weights that were chosen were trained on them: size, crop, mean and deviation."""
    entry = catalogue().get(config.model.name)
    name = config.model.weights
    if entry is None or name not in {"DEFAULT", *(weights.name for weights in entry.weights)}:
        return
    held = entry.find_weights(name)
    size = getattr(config.data, "image_size", None) or held.input_size
    channels = config.model.in_channels or entry.in_channels
    grey = channels != len(held.mean)
    known = {
        "channels": channels, "size": [size, size], "resize": round(size * held.resize_size / held.input_size),
        "interpolation": held.interpolation,
        "mean": [sum(held.mean) / 3] * channels if grey else list(held.mean),
        "std": [sum(held.std) / 3] * channels if grey else list(held.std),
    }  # fmt: skip
    spec = data.spec
    inputs = {key: {**field, **known} if "interpolation" in field else field for key, field in spec.inputs.items()}
    data.use_spec(replace(spec, inputs=inputs))


def _settings(section: Any) -> dict[str, Any]:
    return {key: value for key, value in section.model_dump().items() if key != "name"}
