"""From a command line to one checked `RunConfig`, by Hydra's composition.

Hydra composes the shipped tree (``scirs_neural.configs``), the user's ``./configs`` and the overrides; the schema
judges the result. Hydra stops at its first complaint and lets ``+key`` through, so every setting is handed to it as
``++key=value``, which it always takes, and all faults are then found in one pass over the composed tree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scirs_neural.config.origin import Origin
from scirs_neural.config.overrides import FILE_CHOICE, Parsed, parse_overrides
from scirs_neural.config.schema import RunConfig
from scirs_neural.config.validate import validate
from scirs_neural.core.errors import ConfigError, ManyErrors
from scirs_neural.core.registry import Registry

CONFIG_MODULE = "scirs_neural.configs"
PRIMARY = "train"
_PACKAGED = ("callbacks",)  # groups of which several values live side by side, each under its own name


@dataclass(frozen=True)
class Request:
    """What the user asked for, before anything is composed.

    Args:
        overrides: Hydra overrides, as typed.
        config_dir: a folder whose configs extend the shipped ones; None takes ``./configs`` if there is one.
        config_file: a whole configuration, such as a run folder's ``config.yaml``, in place of the shipped tree.
    """

    overrides: Sequence[str] = ()
    config_dir: Path | None = None
    config_file: Path | None = None

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
    store_registries(registries)
    with _hydra(request):
        parsed = parse_overrides(request.overrides, ConfigGroups(request), registries)
        tree, origin = _compose(request, parsed)
    config, faults = validate(tree, registries, origin)
    faults = parsed.faults + faults
    if config is None or faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return config


class ConfigGroups:
    """The groups of the shipped tree and of the user's, within an open Hydra."""

    def __init__(self, request: Request) -> None:
        self._user = request.user_configs()
        self._has_groups = request.config_file is None

    def names(self) -> set[str]:
        """Every group, but for Hydra's own."""
        if not self._has_groups:
            return set()
        shipped = GlobalHydra.instance().config_loader().get_group_options("", results_filter=ObjectType.GROUP)
        users = [p.name for p in self._user.iterdir() if p.is_dir()] if self._user else []
        return {*shipped, *users} - {"hydra", "__pycache__"}

    def values(self, group: str) -> list[str]:
        """The values of one group."""
        shipped = GlobalHydra.instance().config_loader().get_group_options(group)
        users = [p.stem for p in (self._user / group).glob("*.yaml")] if self._user else []
        return sorted({*shipped, *users} - {"__init__", FILE_CHOICE})


def group_table(request: Request, registries: Mapping[str, Registry]) -> dict[str, list[str]]:
    """Every group with its values, for help texts."""
    store_registries(registries)
    with _hydra(request):
        groups = ConfigGroups(request)
        return {name: groups.values(name) for name in sorted(groups.names())}


def store_registries(registries: Mapping[str, Registry]) -> None:
    """Make every registered name a value of its group, with the options that its entry declares."""
    store = ConfigStore.instance()
    for group, registry in registries.items():
        for name in registry.names():
            declared = registry.entry(name).options or {}
            options = {key: MISSING if value is Parameter.empty else value for key, value in declared.items()}
            if group in _PACKAGED:
                store.store(group=group, name=name, node=options, package=f"{group}.{name}")
            else:
                store.store(group=group, name=name, node={"name": name, **options})
    store.store(group="model", name=FILE_CHOICE, node={"name": FILE_CHOICE})


@contextlib.contextmanager
def _hydra(request: Request) -> Iterator[None]:
    GlobalHydra.instance().clear()
    try:
        if request.config_file is None:
            initialize_config_module(CONFIG_MODULE, version_base="1.3")
        elif request.config_file.is_file():
            initialize_config_dir(str(request.config_file.resolve().parent), version_base="1.3")
        else:
            raise ConfigError(f"no such configuration: {request.config_file}")
        yield
    finally:
        GlobalHydra.instance().clear()


def _compose(request: Request, parsed: Parsed) -> tuple[dict[str, Any], Origin]:
    overrides = parsed.for_hydra()
    folder = request.user_configs()
    if folder is not None and request.config_file is None:
        overrides.append(f"hydra.searchpath=[file://{folder}]")
    name = request.config_file.stem if request.config_file else PRIMARY
    try:
        composed = compose(name, overrides=overrides, return_hydra_config=True)
        runtime = OmegaConf.to_container(composed.hydra.runtime)
        own = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        tree = OmegaConf.to_container(own, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise _as_config_error(error, parsed) from error
    assert isinstance(tree, dict) and isinstance(runtime, dict)
    return {str(key): value for key, value in tree.items()}, Origin(name, parsed.typed, runtime)


def _as_config_error(error: Exception, parsed: Parsed) -> ConfigError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    culprit = next((text for key, text in parsed.typed.items() if any(key in line for line in lines)), None)
    return ConfigError(lines[0], where=f"command line, {culprit}" if culprit else None)
