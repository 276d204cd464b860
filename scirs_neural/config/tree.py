"""The groups of settings and the values of each: files of the user's, shipped files, and registered names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from inspect import Parameter
from pathlib import Path
from typing import Any, ClassVar

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from scirs_neural.core.registry import Registry

CONFIG_MODULE = "scirs_neural.configs"
PRIMARY = "train"
FILE_CHOICE = "file"  # the value of a group that stands for a file of the user's
SIDE_BY_SIDE = ("callbacks", "plugins", "logger")  # groups of which several values are chosen, each under its own name


class Tree:
    """Where the values of each group come from.

    Args:
        registries: by group: the registry whose names are its values.
        folders: the user's, which extend and shadow the shipped one: a file of the first hides one of the next.
        primary: name of the file whose defaults list begins the composition.
    """

    def __init__(
        self, registries: Mapping[str, Registry], folders: Sequence[Path] = (), primary: str = PRIMARY
    ) -> None:
        self.registries, self.primary = registries, primary
        self.shipped = Path(str(files(CONFIG_MODULE)))
        self.folders = [*folders, self.shipped]

    def groups(self) -> set[str]:
        """The names of all groups."""
        folders = {path.name for folder in self.folders for path in folder.iterdir() if path.is_dir()}
        return {*self.registries, *folders, "experiment"} - {"hydra", "__pycache__"}

    def values(self, group: str) -> list[str]:
        """The values of one group, sorted."""
        named = self.registries[group].names() if group in self.registries else []
        found = {path.stem for folder in self.folders for path in (folder / group).glob("*.yaml")}
        return sorted(found.union(named))

    def find(self, name: str) -> Path | None:
        """The file of a value, such as ``trainer/smoke``: the one that hides the others."""
        return next((path for folder in self.folders if (path := folder / f"{name}.yaml").is_file()), None)

    def has_default(self, group: str) -> bool:
        """Whether the primary config chooses a value of the group, which another one replaces."""
        return group in set(self._chosen_in(self.primary))

    def with_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings with the options that the registries declare for the parts named, where no file says otherwise."""
        whole = dict(settings)
        for group, registry in self.registries.items():
            part = settings.get(group)
            if not isinstance(part, dict):
                continue
            if group in SIDE_BY_SIDE:
                whole[group] = {
                    key: {**default_options(registry, held.get("name", key)), **held}
                    if isinstance(held, dict)
                    else held
                    for key, held in part.items()
                }
            else:
                whole[group] = {**part, **default_options(registry, part.get("name")), **part}
        return whole

    def _chosen_in(self, name: str) -> Iterator[str]:
        """The groups in the defaults list of a file, and of the files that it includes."""
        path, held = self.find(name), None
        with contextlib.suppress(yaml.YAMLError):  # which is said when Hydra reads it
            held = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if path else None
        for entry in held.get("defaults") or () if isinstance(held, dict) else ():
            if isinstance(entry, dict):
                yield from (str(key).split()[-1].partition("@")[0].strip("/") for key in entry)
            elif entry != "_self_":
                yield from self._chosen_in(str(entry).split()[-1].strip("/"))


class Folders(SearchPathPlugin):
    """Where Hydra looks, after the first folder: in the others, then among the registered names.

    It adds nothing unless this package composes: a program that uses Hydra itself is left alone.
    """

    added: ClassVar[Sequence[str]] = ()  # Hydra makes the instances

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them."""
        for path in self.added:
            search_path.append("scirs_neural", path)


class RegisteredNames(ConfigSource):
    """Every registered name as a value of its group, made when Hydra asks for it.

    Hydra's ConfigStore would hold all of them, and is copied whole for each composition.
    """

    registries: ClassVar[Mapping[str, Registry]] = {}  # Hydra makes the instances

    @staticmethod
    def scheme() -> str:
        """What the search path calls this source."""
        return "registry"

    def load_config(self, config_path: str) -> ConfigResult:
        """The part's name and the options that its entry declares, but for those that have no default."""
        group, name = self._split(config_path)
        options = default_options(self.registries[group], name)
        beside = group in SIDE_BY_SIDE
        config = OmegaConf.create(options if beside else {"name": name, **options})
        return ConfigResult(self.provider, self.full_path(), config, {"package": f"{group}.{name}" if beside else None})

    def available(self) -> bool:
        """There is nothing that could be missing."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path means a group."""
        return config_path.strip("/") in self.registries

    def is_config(self, config_path: str) -> bool:
        """Whether a path means a value of a group."""
        group, name = self._split(config_path)
        return group in self.registries and bool(name)  # `validate` judges names: modules of the user's may add some

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What a path holds."""
        group = config_path.strip("/")
        if not group:
            return sorted(self.registries) if results_filter is not ObjectType.CONFIG else []
        return self.registries[group].names() if results_filter is not ObjectType.GROUP else []

    @staticmethod
    def _split(config_path: str) -> tuple[str, str]:
        group, _, name = config_path.removesuffix(".yaml").strip("/").partition("/")
        return group, name


def default_options(registry: Registry, name: object) -> dict[str, object]:
    """The options that the entry of a name declares, with their defaults, but for those that have none."""
    declared = registry.entry(name).options or {} if isinstance(name, str) and name in registry else {}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in declared.items()}  # as YAML
    return {key: value for key, value in plain.items() if value is not Parameter.empty}
