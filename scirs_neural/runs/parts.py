"""What a configuration names, built and fitted to each other: data, network, task, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from scirs_neural.builder import load_model_file
from scirs_neural.config.schema import ModelConfig, RunConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.importing import resolve
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data import create_data
from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.module import DataModule
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.models import catalogue, create_model
from scirs_neural.models.weights import load_strictly
from scirs_neural.optim.options import check_options
from scirs_neural.tasks import create_task
from scirs_neural.tasks.classification.lightning_module import ImageClassification
from scirs_neural.training.callbacks.order import OrderedCallback, topological_sort
from scirs_neural.training.checkpoint_io import read_checkpoint
from scirs_neural.training.registry import CALLBACKS
from scirs_neural.training.tensorboard import TensorBoardExtras


@dataclass
class Parts:
    """What a configuration names, built and fitted to each other."""

    data: DataModule
    model: nn.Module
    task: ImageClassification


def build_parts(config: RunConfig, *, model: nn.Module | None = None, data: DataModule | None = None) -> Parts:
    """Build data, network and task; a mismatch between them is an error before any heavy work.

    Args:
        config: what to build.
        model: in place of the one that the configuration names.
        data: in place of the one that the configuration names.
    """
    if data is None:
        data = create_data(config.data.name, seed=config.seed, **_settings(config.data))
    _suit_weights(data, config)
    spec = data.spec
    if model is None:
        L.seed_everything(stream_seed("init", config.seed) % 2**32, verbose=False)
        model = _network(config, spec)
    return Parts(data, model, _task(config, model, spec))


def task_from_spec(config: RunConfig, spec: DataSpec, model: nn.Module | None = None) -> ImageClassification:
    """The task of a finished run, with the network's shape but not its weights; the data itself is not touched.

    Args:
        config: the run's.
        spec: what its data said of itself.
        model: the user's own network, if the run was of one.
    """
    if model is None:
        model = _network(config, spec, load=False)  # the run's own checkpoint holds them, published ones may be gone
    return _task(config, model, spec)


_SET_BY_DATA = ("load", "input_size")  # beside num_classes and in_channels, which are settings too


def _network(config: RunConfig, spec: DataSpec, **more: Any) -> nn.Module:
    """A network of the zoo, of a registered builder, of the user's Python file, or of a network file."""
    name = config.model.name
    options = {
        **_settings(config.model),
        **more,
        **model_arguments(spec),
        **{key: value for key in ("num_classes", "in_channels") if (value := getattr(config.model, key)) is not None},
    }
    if not name.endswith((".yaml", ".yml", ".json")):
        return create_model(name, **options)
    if options.get("weights") is not None:
        raise ConfigError("a network file cannot be given weights", where="model.weights")
    if wrong := [key for key in options if key not in _SET_BY_DATA and key not in ModelConfig.model_fields]:
        raise ConfigError(f"a network file has no option '{wrong[0]}'", where=f"model.{wrong[0]}", fix=f"change {name}")
    (held,) = Pipeline(spec).inputs.values()
    shape = tuple(side or 1 for side in held.shape())
    return load_model_file(name, input_shape=shape, num_classes=options["num_classes"], allow_files=True)


def model_arguments(spec: DataSpec) -> dict[str, Any]:
    """What a network must be built with to fit the data."""
    fields = Pipeline(spec)
    found: dict[str, Any] = {}
    for held in (*fields.inputs.values(), *fields.targets.values()):
        found |= held.model_arguments()
    return found


def make_callbacks(config: RunConfig) -> list[L.Callback]:
    """The callbacks that a configuration names, in an order that suits all of them.

    One of the user's has the ``name`` ``file.py:Class``.

    Raises:
        ConfigError: an unknown name or option, or callbacks that exclude each other.
    """
    placed: list[OrderedCallback] = []
    for key, settings in config.callbacks.items():
        name, options = settings.get("name", key), {k: v for k, v in settings.items() if k != "name"}
        is_own = ":" in name
        if not is_own:
            check_options(CALLBACKS, name, options)
        kind = resolve(name, where=f"callbacks.{key}.name") if is_own else CALLBACKS.get(name)
        known = getattr(kind, "traits", {}) if is_own else CALLBACKS.entry(name).traits
        try:
            placed.append(OrderedCallback(key, kind(**options), known))
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise ConfigError(f"the callback '{key}' refuses its options: {error}", where=f"callbacks.{key}") from error
    made: list[L.Callback] = topological_sort(placed)
    if config.logger.tensorboard:
        extras = config.logger
        made.append(TensorBoardExtras(histograms=extras.histograms, images=extras.images, graph=extras.graph))
    return made


def load_checkpoint(task: ImageClassification, checkpoint: Path) -> None:
    """Put a checkpoint's weights into a task, strictly.

    Raises:
        CheckpointError: the file is not of this network.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    load_strictly(
        task.model, {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}, str(checkpoint)
    )


def _suit_weights(data: DataModule, config: RunConfig) -> None:
    """Feed images as the published weights that were chosen were trained on them: size, crop, mean and deviation."""
    entry = catalogue().get(config.model.name)
    name = config.model.weights
    if entry is None or name not in {"DEFAULT", *(weights.name for weights in entry.weights)}:
        return
    held = entry.find_weights(name)
    size = config.data.image_size or held.input_size
    channels = config.model.in_channels or entry.in_channels
    grey = channels != len(held.mean)
    use_preprocess(
        data,
        Preprocess(
            channels=channels,
            size=(size, size),
            resize=round(size * held.resize_size / held.input_size),
            interpolation=held.interpolation,
            mean=(sum(held.mean) / 3,) * channels if grey else held.mean,
            std=(sum(held.std) / 3,) * channels if grey else held.std,
        ),
    )


def use_preprocess(data: DataModule, preprocess: Preprocess) -> None:
    """Feed pictures as another description says."""
    inputs = {
        name: preprocess.to_spec() if held["kind"] == "image" else held for name, held in data.spec.inputs.items()
    }
    data.use_spec(replace(data.spec, inputs=inputs))


def _task(config: RunConfig, model: nn.Module, spec: DataSpec) -> ImageClassification:
    return create_task(
        config.task.name, model=model, spec=spec, optimizer=config.optimizer, scheduler=config.scheduler,
        finetune=config.finetune, **_settings(config.task),
    )  # fmt: skip


def _settings(section: Any) -> dict[str, Any]:
    return {key: value for key, value in section.model_dump().items() if key != "name"}
