"""The groups of settings and the values of each: shipped files, files of the user's, and registered names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from inspect import Parameter
from pathlib import Path
from typing import ClassVar

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry

CONFIG_MODULE = "scirs_neural.configs"
FILE_CHOICE = "file"  # the value of `model` or `optimizer` that stands for a file of the user's
SIDE_BY_SIDE = ("callbacks",)  # groups of which several values are chosen, each mounted under its own name


class Tree:
    """Where the values of each group come from.

    Args:
        registries: by group: the registry whose names are its values.
        user: a folder of the user's that extends the shipped one.
    """

    def __init__(self, registries: Mapping[str, Registry], user: Path | None = None) -> None:
        self.registries = registries
        self.shipped = Path(str(files(CONFIG_MODULE)))
        self.user = user

    def groups(self) -> set[str]:
        """The names of all groups."""
        folders = {path.name for folder in self._folders() for path in folder.iterdir() if path.is_dir()}
        return {*self.registries, *folders, "experiment"} - {"hydra", "__pycache__"}

    def values(self, group: str) -> list[str]:
        """The values of one group, sorted."""
        named = self.registries[group].names() if group in self.registries else []
        found = {path.stem for folder in self._folders() for path in (folder / group).glob("*.yaml")}
        return sorted(found.union(named))

    def is_in_defaults(self, group: str) -> bool:
        """Whether the shipped configuration has a value of the group, which another one replaces."""
        return group in self.registries or group == "experiment" or (self.shipped / group).is_dir()

    def overshadowed(self) -> Iterator[ConfigError]:
        """A fault for each file of the user's that would not be read, as a shipped one has its name."""
        for path in sorted(self.user.rglob("*.yaml")) if self.user else []:
            name = path.relative_to(self.user)  # type: ignore[arg-type]
            if (self.shipped / name).is_file():
                yield ConfigError(
                    f"the shipped configs have a {name} too", where=str(path), fix="give yours another name"
                )

    def _folders(self) -> list[Path]:
        return [self.shipped, self.user] if self.user else [self.shipped]


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
        registry = self.registries[group]
        declared = registry.entry(name).options or {} if name in registry else {}
        options = {key: value for key, value in declared.items() if value is not Parameter.empty}
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
