"""From a command line to one checked `RunConfig`, by Hydra's composition.

Hydra composes the shipped tree (``scirs_neural.configs``), the user's ``./configs``, registered names and the
overrides; the schema judges the result. Hydra stops at its first complaint and lets ``+key`` through, so every setting
is handed to it as ``++key=value``, which it always takes, and all faults are then found in one pass over the composed
tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from scirs_neural.config.imports import import_strings, refuse_untyped, typed_texts
from scirs_neural.config.origin import Origin
from scirs_neural.config.overrides import Parsed, parse_overrides, quoted
from scirs_neural.config.saved import change, read_saved
from scirs_neural.config.schema import RunConfig
from scirs_neural.config.tree import CONFIG_MODULE, RegisteredNames, Tree
from scirs_neural.config.validate import validate
from scirs_neural.core.errors import ConfigError, ManyErrors, ScirsError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean

PRIMARY = "train"


@dataclass(frozen=True)
class Request:
    """What the user asked for, before anything is composed.

    Args:
        overrides: Hydra overrides, as typed.
        config_dir: a folder whose configs extend the shipped ones; None takes ``./configs`` if there is one.
        config_file: a whole configuration, such as a run folder's ``config.yaml``, in place of the shipped tree.
        allow: what that file names and may be imported, beside what stands in the overrides: the user typed it.
        made: sections of that file whose part is at hand already, so that its name is not looked up.
    """

    overrides: Sequence[str] = ()
    config_dir: Path | None = None
    config_file: Path | None = None
    allow: Collection[str] = ()
    made: Collection[str] = ()

    def user_configs(self) -> Path | None:
        """The folder that extends the shipped tree, if there is one.

        Raises:
            ConfigError: a folder was named that does not exist.
        """
        if self.config_dir is not None and not self.config_dir.is_dir():
            raise ConfigError(f"no such folder: {self.config_dir}", where="command line, --config-dir")
        folder = (self.config_dir or Path("configs")).resolve()
        return folder if folder.is_dir() and not (folder / "__init__.py").exists() else None


def load_config(request: Request, registries: Mapping[str, Registry]) -> RunConfig:
    """Compose and check a configuration.

    Args:
        request: what the user typed.
        registries: by group ("model", "data", ...): the registries whose names are that group's values.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them; each says where the value came from.
    """
    file = request.config_file
    tree = Tree(registries, None if file else request.user_configs())
    parsed = parse_overrides(request.overrides, tree, is_whole=file is not None)
    faults: list[ScirsError] = [*tree.overshadowed(), *parsed.faults]
    config = None
    try:
        settings, origin = _change(request, parsed, file) if file else _compose(tree, parsed)
    except ConfigError as error:
        faults.append(error)
    else:
        config, found = validate(settings, tree, origin)
        faults += found
    if config is None or faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return config


def vary(config: RunConfig, overrides: Sequence[str], registries: Mapping[str, Registry]) -> RunConfig:
    """A configuration with some settings changed, checked again.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them.
    """
    tree = Tree(registries)
    parsed = parse_overrides(overrides, tree, is_whole=True)
    settings, _ = change(config.model_dump(mode="json"), parsed, Path())
    varied, faults = validate(settings, tree, Origin(parsed.typed, {}, []))
    faults = [*parsed.faults, *faults]
    if varied is None or faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return varied


def _change(request: Request, parsed: Parsed, file: Path) -> tuple[dict[str, Any], Origin]:
    """A saved configuration with overrides. What would be imported must have been typed."""
    settings, origin = change(read_saved(file), parsed, file)
    resumed = settings["trainer"].get("resume") if isinstance(settings.get("trainer"), Mapping) else None
    if resumed not in (None, "auto", *typed_texts(parsed)):  # what is gone on with is written to
        fix = f"type it for this command: trainer.resume={resumed}"
        raise ConfigError(f"a saved file names a run to go on with: {resumed!r}", where=str(file), fix=fix)
    looked_up = {section: held for section, held in settings.items() if section not in request.made}
    refuse_untyped(import_strings(looked_up), {*request.allow, *typed_texts(parsed)}, str(file))
    return settings, origin


def _compose(tree: Tree, parsed: Parsed) -> tuple[dict[str, Any], Origin]:
    """The composed settings as plain data, interpolations resolved, and where each came from."""
    RegisteredNames.registries = tree.registries
    Plugins.instance().register(RegisteredNames)
    sources = [f"file://{tree.user}"] if tree.user else []
    search_path = ",".join(map(quoted, [*sources, f"{RegisteredNames.scheme()}://"]))
    GlobalHydra.instance().clear()
    origin = Origin.of_composition(parsed, PRIMARY, parsed.values, tree)
    try:
        initialize_config_module(CONFIG_MODULE, version_base="1.3")
        overrides = [*parsed.for_hydra(), f"hydra.searchpath=[{search_path}]"]
        composed = compose(PRIMARY, overrides=overrides, return_hydra_config=True)
        choices = OmegaConf.to_container(composed.hydra.runtime.choices)
        assert isinstance(choices, dict)
        origin = Origin.of_composition(parsed, PRIMARY, {str(k): v for k, v in choices.items()}, tree)
        own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        settings = OmegaConf.to_container(own, resolve=True)
    except YAMLError as error:
        reason, _, place = str(error).replace("\n", " ").partition(' in "')
        raise ConfigError(f"cannot read YAML: {reason}", where=place.replace('"', "") or None) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _as_config_error(error, tree, origin) from error
    finally:
        GlobalHydra.instance().clear()
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}, origin


def _as_config_error(error: Exception, tree: Tree, origin: Origin) -> ConfigError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    if missing is not None:  # a defaults list of the user's names it
        group, _, name = missing.rpartition("/")
        suggestions = did_you_mean(name, tree.values(group))
        return ConfigError(
            f"unknown {group or 'config'} '{name}'", where=origin.of_choice(group), suggestions=suggestions
        )
    key = str(getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None) or "")
    fix = "the first line of an experiment must be: # @package _global_" if "@experiment." in lines[0] else None
    return ConfigError(lines[0], where=origin.of(tuple(key.split("."))) or (key or None), fix=fix)
