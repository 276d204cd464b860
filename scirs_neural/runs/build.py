"""What a configuration names, built without the machinery of training: task and network, with or without weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from scirs_neural.config.schema import ModelConfig, RunConfig, TaskConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Entry
from scirs_neural.core.signatures import KEYWORDS
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.registry import DATA
from scirs_neural.data.spec import DataSpec
from scirs_neural.models.create import create_model
from scirs_neural.models.registry import MODELS
from scirs_neural.models.weights import load_strictly
from scirs_neural.plugins.build import create_plugins
from scirs_neural.plugins.order import rebuild_all
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.tasks.create import create_task
from scirs_neural.tasks.task import Task

if TYPE_CHECKING:
    from scirs_neural.data.module import DataModule

_SET_BY_DATA = ("load", "input_size")  # beside num_classes and in_channels, which are settings too


def make_data(config: RunConfig) -> DataModule:
    """The data that a configuration names."""
    from scirs_neural.data import create_data  # scikit-learn, which splits: not for who only predicts

    return create_data(config.data.name, seed=config.seed, **settings_of(config.data))


def make_task(config: RunConfig, spec: DataSpec) -> Task:
    """The task that a configuration names, or that follows from the data.

    Data out of a file of the user's may bring kinds of fields: that file is imported. What a saved configuration names
    has been held to what the user typed when it was read.
    """
    if ":" in config.data.name:
        DATA.typed(config.data.name).load()
    default = TaskConfig()
    options = {key: value for key, value in settings_of(config.task).items() if value != getattr(default, key, None)}
    task = create_task(spec, config.task.name, **options)
    task.use_settings(config.answer)
    return task


def _check_inputs(builder: Entry, task: Task, given: Mapping[str, Any]) -> None:
    """Refuse a network that is not for the kind of the data's input."""
    kinds = [field.kind for field in Pipeline(task.spec).inputs.values()]
    own = builder.traits.get("inputs", ())
    entries = [MODELS.entry(name) for name in MODELS.names()] if len(kinds) == 1 else []
    fitting = [entry.name for entry in entries if kinds[0] in (entry.declared_traits or {}).get("inputs", ())]
    needed = [p.name for p in builder.parameters.values() if p.default is p.empty and p.kind in KEYWORDS]
    if missing := [name for name in needed if name not in given]:
        what = f"the {builder.label} needs {' and '.join(missing)}"
    elif fitting and own and kinds[0] not in own:
        what = f"the {builder.label} takes inputs of the kind {' or '.join(own)}"
    else:
        return
    raise ConfigError(
        f"{what}, and '{task.spec.name}' gives {' and '.join(kinds)}",
        where="model",
        fix=f"networks for it: {', '.join(fitting[:4])}{', …' if len(fitting) > 4 else ''}" if fitting else None,
    )


def make_network(config: RunConfig, task: Task, **more: Any) -> nn.Module:
    """A network of the zoo, of a registered builder, of the user's Python file, or of a network file."""
    name = config.model.name
    asked = {key: value for key, value in settings_of(config.model).items() if value is not None}
    from_data = task.model_arguments()
    if not name.endswith((".yaml", ".yml", ".json")):
        builder = MODELS.typed(name)
        taken = {k: v for k, v in from_data.items() if k in MODELS.supplied or builder.takes({k: v})}
        _check_inputs(builder, task, {**taken, **asked, **more})
        return create_model(name, **{**taken, **asked, **more})
    options = {**from_data, **asked, **more}
    if options.get("weights") is not None:
        raise ConfigError("a network file cannot be given weights", where="model.weights")
    from scirs_neural.builder import load_model_file

    if wrong := [key for key in options if key not in {*_SET_BY_DATA, *from_data, *ModelConfig.model_fields}]:
        raise ConfigError(f"a network file has no option '{wrong[0]}'", where=f"model.{wrong[0]}", fix=f"change {name}")
    shapes = [field.shape() for field in Pipeline(task.spec).inputs.values()]
    fixed = [side for shape in shapes for side in shape if side is not None]
    if len(shapes) != 1 or len(fixed) != len(shapes[0]):
        raise ConfigError(f"a network file takes one input of a fixed shape, and '{task.spec.name}' has {shapes}")
    return load_model_file(name, input_shape=fixed, num_classes=options["num_classes"], allow_files=True)


def load_trained(config: RunConfig, model: nn.Module, checkpoint: Path) -> nn.Module:
    """A network as a checkpoint has it: changed by the plugins as their records say, with its weights.

    Args:
        config: of the run.
        model: a fresh network.
        checkpoint: of the run.

    Raises:
        CheckpointError: the file is not of this network.
    """
    saved = read_checkpoint(checkpoint)
    if config.plugins:
        model = rebuild_all(create_plugins(config.plugins), model, saved.get("plugins", []))
    load_weights(model, saved, checkpoint)
    return model


def load_weights(model: nn.Module, saved: Mapping[str, Any], checkpoint: Path) -> None:
    """Put the weights of a checkpoint that was read into a network, strictly.

    Raises:
        CheckpointError: the file is not of this network.
    """
    state = saved["state_dict"]
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    load_strictly(model, weights, str(checkpoint))


def settings_of(section: Any) -> dict[str, Any]:
    """The settings of a part, without its name."""
    return {key: value for key, value in section.model_dump().items() if key != "name"}
