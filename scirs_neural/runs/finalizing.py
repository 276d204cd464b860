"""From the best checkpoint of a run to the network that is kept: what plugins put on for training comes off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scirs_neural.core.errors import ConfigError
from scirs_neural.plugins.order import finalize_all, load_states, overrides, records_of
from scirs_neural.plugins.plugin import Plugin
from scirs_neural.runs.build import load_weights
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.parts import Parts
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import write_checkpoint
from scirs_neural.training.module import Module


def load_checkpoint(module: Module, checkpoint: Path) -> int | None:
    """Put a checkpoint into a module with a fresh network: what plugins did to it, its weights, what they remembered.

    Returns:
        The epoch at whose end it was kept, from 0, if the file says so.

    Raises:
        CheckpointError: the file is not of this network.
    """
    saved = read_checkpoint(checkpoint)
    records = saved.get("plugins", [])
    if module.plugins:
        module.prepare(records)
    load_weights(module.model, saved, checkpoint)
    beside = {name: value for name, value in saved["state_dict"].items() if name.startswith("plugin_modules.")}
    if beside:
        module.load_state_dict(beside, strict=False)
    load_states(module.plugins, records)
    module.is_final = True
    return saved.get("epoch")


def finalize_run(parts: Parts, folder: RunFolder) -> Path | None:
    """Let plugins finalize the network, and keep it, if there is one that does.

    Returns:
        The checkpoint of the finalized network.

    Raises:
        ParityError: a plugin changed the answers by more than its tolerance.
    """
    module, data = parts.module, parts.data
    if not any(overrides(plugin, "finalize") for plugin in module.plugins):
        return None
    module.model = finalize_all(
        module.plugins, module.model, module.task, lambda: data.eval_dataloader("train"), data.pipeline
    )
    weights = {f"model.{name}": value.cpu() for name, value in module.model.state_dict().items()}
    write_checkpoint({"state_dict": weights, "plugins": records_of(module.plugins)}, folder.final)
    return folder.final


def write_artifacts(plugins: Sequence[Plugin], folder: RunFolder) -> dict[str, str]:
    """The files that plugins write beside the network: "plugin/name" to a path within the run folder.

    Raises:
        ConfigError: a plugin names a file that is not in the folder that it was given.
    """
    found: dict[str, str] = {}
    for plugin in plugins:
        if not overrides(plugin, "artifacts"):
            continue
        place = folder.path / "artifacts" / plugin.name
        place.mkdir(parents=True, exist_ok=True)
        for name, path in plugin.artifacts(place).items():
            if not path.resolve().is_relative_to(place.resolve()) or not path.exists():
                raise ConfigError(f"the plugin '{plugin.name}' wrote no '{name}' in {place}", where="plugins")
            found[f"{plugin.name}/{name}"] = path.relative_to(folder.path).as_posix()
    return found
