"""What a configuration names, built and fitted to each other: data, network, task, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import lightning.pytorch as L
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from scirs_neural.config.schema import RunConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.ordering import Ordered, topological_sort
from scirs_neural.core.registry import OURS
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.module import DataModule
from scirs_neural.data.spec import DataSpec
from scirs_neural.models import catalogue
from scirs_neural.plugins.build import create_plugins
from scirs_neural.runs.build import make_data, make_network, make_task
from scirs_neural.tasks.task import Task
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
        data = make_data(config)
    _suit_weights(data, config)
    task = make_task(config, data.spec)
    if model is None:
        L.seed_everything(stream_seed("init", config.seed) % 2**32, verbose=False)
        model = make_network(config, task)
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
        model = make_network(config, task, load=False)  # its checkpoint holds them, published ones may be gone
    return make_module(config, task, model)


def make_module(config: RunConfig, task: Task, model: nn.Module) -> Module:
    """A task and a network with the configuration's optimizer, schedule, fine-tuning and plugins."""
    made = Module(task, model, config.optimizer, config.scheduler, config.finetune, create_plugins(config.plugins))
    made.seed = config.seed
    return made


def make_callbacks(config: RunConfig, task: Task | None) -> list[L.Callback]:
    """The callbacks that a configuration names, in an order that suits all of them.

    One of the user's has the ``name`` ``file.py:Class``. One that watches a metric and is not told its direction
    (``mode``) gets the metric's own, which a task knows.

    Raises:
        ConfigError: an unknown name or option, or callbacks that exclude each other.
    """
    placed: list[Ordered] = []
    for key, settings in config.callbacks.items():
        name, options = settings.get("name", key), {k: v for k, v in settings.items() if k != "name"}
        entry = CALLBACKS.typed(name, where=f"callbacks.{key}.name")
        entry.check(options)
        if task and entry.distribution == OURS and options.get("mode", entry.options.get("mode")) == "auto":
            monitor = options.get("monitor", entry.options["monitor"])
            options["mode"] = direction(task, monitor, f"callbacks.{key}.monitor")
        if entry.distribution == OURS and "strict" in entry.options:  # an epoch without validation breaks no run off
            options.setdefault("strict", entry.options["strict"])
        try:
            placed.append(Ordered(key, entry.load()(**options), entry.traits))
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise ConfigError(f"the callback '{key}' refuses its options: {error}", where=f"callbacks.{key}") from error
    made: list[L.Callback] = topological_sort(placed)
    if "tensorboard" in config.logger:
        made.append(TensorBoardExtras(**{**LOGGERS.options("tensorboard"), **config.logger["tensorboard"]}))
    return made


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
