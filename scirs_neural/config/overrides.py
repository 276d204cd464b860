"""What was typed after the verb: choices of a group's value, settings of a key, sweeps over either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from scirs_neural.core.errors import ConfigError, ScirsError
from scirs_neural.core.near import near_names
from scirs_neural.core.registry import Registry

FILE_CHOICE = "file"  # the value of a group that stands for a file of the user's


class Groups(Protocol):
    """The groups of a config tree and the values of each."""

    def names(self) -> set[str]: ...

    def values(self, group: str) -> list[str]: ...


@dataclass
class Parsed:
    """Overrides, sorted, with the faults found on the way."""

    choices: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    typed: dict[str, str] = field(default_factory=dict)
    faults: list[ScirsError] = field(default_factory=list)

    def for_hydra(self) -> list[str]:
        """The overrides in the form that Hydra always takes, so that the schema can judge all of them at once."""
        return [*self.choices, *self.values]


def parse_overrides(texts: Sequence[str], groups: Groups, registries: Mapping[str, Registry]) -> Parsed:
    """Sort overrides; one that chooses what does not exist becomes a fault and is left out.

    Args:
        texts: Hydra overrides, as typed.
        groups: the tree that they will be applied to.
        registries: by group, for errors that name the nearest.
    """
    parsed = Parsed()
    parser, known_groups = OverridesParser.create(), groups.names()
    for text in texts:
        where = f"command line, {text}"
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            reason = str(error).splitlines()[0]
            parsed.faults.append(ConfigError(f"cannot read '{text}': {reason}", where=where, fix="write key=value"))
            continue
        key = override.key_or_group
        if key not in known_groups or isinstance(_plain_value(override), dict):
            parsed.values.append(_as_setting(override, text))
        else:
            faults = _unknown_choices(override, groups, where, registries)
            parsed.faults += faults
            if faults:
                continue
            file = _file_choice(override)
            parsed.choices.append(f"{key}={FILE_CHOICE}" if file else text)
            if file:
                parsed.values.append(f"++{key}.name='{file}'")
        parsed.typed[key] = text
    return parsed


def sweep_points(texts: Sequence[str]) -> list[list[str]]:
    """Every combination that a sweep asks for: one list of overrides a job.

    Example:
        >>> sweep_points(["seed=0,1", "model=resnet18"])
        [['seed=0', 'model=resnet18'], ['seed=1', 'model=resnet18']]
    """
    alternatives: list[list[str]] = []
    for text in texts:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            alternatives.append([text])  # the check of the job names the fault
            continue
        if override.is_sweep_override():
            key = override.get_key_element()
            alternatives.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            alternatives.append([text])
    return [list(point) for point in product(*alternatives)]


def _plain_value(override: Override) -> object:
    return None if override.is_sweep_override() else override.value()


def _as_setting(override: Override, text: str) -> str:
    is_hydras_own = override.key_or_group.partition(".")[0] == "hydra"
    return text if override.is_delete() or is_hydras_own else f"++{text.lstrip('+')}"


def _file_choice(override: Override) -> str | None:
    value = _plain_value(override)
    if isinstance(value, str) and value.partition(":")[0].endswith((".py", ".yaml", ".yml", ".json")):
        return value
    return None


def _unknown_choices(
    override: Override, groups: Groups, where: str, registries: Mapping[str, Registry]
) -> list[ScirsError]:
    group, value = override.key_or_group, _plain_value(override)
    if override.is_sweep_override():
        return [ConfigError(f"'{group}' has several values", where=where, fix="add -m to run each of them")]
    if override.is_delete() or value is None or _file_choice(override):
        return []
    known = groups.values(group)
    return [
        _unknown(group, name, known, where, registries.get(group))
        for name in ([str(v) for v in value] if isinstance(value, list) else [str(value)])
        if name not in known
    ]


def _unknown(group: str, name: str, known: list[str], where: str, registry: Registry | None) -> ScirsError:
    near = near_names(name, known)
    if registry is not None:
        see = f"python -m scirs_neural.list {registry.plural}"
        return ConfigError(f"unknown {registry.kind} '{name}'", where=where, near=near, see=see)
    fix = f"choose one of {', '.join(known)}" if known else f"put {name}.yaml into ./configs/{group}/"
    return ConfigError(f"unknown {group} '{name}'", where=where, near=near, fix=fix)
