"""The groups of settings and the values of each: files of the user's, shipped files, and registered names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from inspect import Parameter
from pathlib import Path
from typing import Any

import yaml

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


def default_options(registry: Registry, name: object) -> dict[str, object]:
    """The options that the entry of a name declares, with their defaults, but for those that have none."""
    declared = registry.entry(name).options or {} if isinstance(name, str) and name in registry else {}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in declared.items()}  # as YAML
    return {key: value for key, value in plain.items() if value is not Parameter.empty}
