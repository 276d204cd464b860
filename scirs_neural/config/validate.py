"""The strict walk over a composed configuration: every unknown key, wrong type and bad range, all in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scirs_neural.config.origin import Key, Origin
from scirs_neural.config.schema import RunConfig, section_of_part
from scirs_neural.config.tree import SIDE_BY_SIDE, Tree
from scirs_neural.core.errors import ConfigError, ManyErrors, ScirsError
from scirs_neural.core.importing import is_file, load_file, resolve
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.signatures import as_text
from scirs_neural.core.suggestions import MAX_NEAR, did_you_mean

MAX_FAULTS = 20  # shown at once
_MISSING = "???"  # OmegaConf's word for a value that somebody must give
_EXPECTED = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text", "list": "a list",
    "dict": "a group of settings", "model": "a group of settings",
}  # fmt: skip


@dataclass(frozen=True)
class Composed:
    """Settings that nobody has checked yet.

    Args:
        settings: plain data, interpolations resolved; None if they could not be composed.
        tree: its registries say which options the part named in a section takes.
        origin: names the place of a fault.
        faults: found while composing.
    """

    settings: Mapping[str, Any] | None
    tree: Tree
    origin: Origin
    faults: tuple[ScirsError, ...] = ()


def validate(composed: Composed) -> RunConfig:
    """Check settings against the schema and the registries.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them.
    """
    settings, tree, origin = composed.settings or {}, composed.tree, composed.origin
    faults, config = list(composed.faults), None
    try:
        config = RunConfig.model_validate(settings) if composed.settings is not None else None
    except ValidationError as error:
        faults += _schema_faults(error, origin.of)
    faults += _load_plugin_modules(settings.get("plugins_modules"), origin)
    for section in tree.registries:
        part = settings.get(section)
        if section in SIDE_BY_SIDE:
            for key, options in part.items() if isinstance(part, Mapping) else ():
                if isinstance(options, Mapping):
                    name = str(options.get("name", key))
                    faults += _part_faults(tree, section, name, options, (section, str(key)), origin, ("name",))
        elif isinstance(part, Mapping) and isinstance(part.get("name"), str):
            declared = section_of_part(section)
            if part["name"] == declared.model_fields["name"].default:
                continue  # "auto": chosen when the data is known
            faults += _part_faults(tree, section, part["name"], part, (section,), origin, tuple(declared.model_fields))
    if config is None or faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return config


S = TypeVar("S", bound=BaseModel)


def check_section(section: type[S], values: S | Mapping[str, Any], where: str) -> S:
    """One section from keyword arguments, for callers that build parts in Python.

    Args:
        section: the schema.
        values: the section itself, or its settings.
        where: what the settings belong to, for the error.

    Raises:
        ConfigError: one fault, or `ManyErrors` with all of them.

    Example:
        >>> from scirs_neural.config.schema import PathsConfig
        >>> check_section(PathsConfig, {"run": "here"}, "paths")
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ConfigError: unknown setting 'run'
          from   paths
          maybe  runs
    """
    if isinstance(values, section):
        return values
    try:
        return section.model_validate(values)
    except ValidationError as error:
        faults = _schema_faults(error, lambda key: where, section)
        raise faults[0] if len(faults) == 1 else ManyErrors(faults) from error


def _part_faults(
    tree: Tree, group: str, name: str, part: Mapping[str, Any], key: Key, origin: Origin, declared: tuple[str, ...]
) -> Sequence[ScirsError]:
    """What is wrong with a part chosen by name: the name, or an option that the part does not take or still needs."""
    if ":" in name or name.endswith((".yaml", ".yml", ".json")):
        return []  # a file or module of the user's: its own code judges its options when it is built
    registry = tree.registries[group]
    if name not in registry:
        where = origin.of((*key, "name")) or origin.of_choice(group)
        return [registry.unknown(name, where=where, suggestions=did_you_mean(name, tree.values(group)))]
    entry = registry.entry(name)
    options = {option: value for option, value in part.items() if option not in declared and value != _MISSING}
    if group == "model":  # the data may supply what a network needs
        options = {option: REQUIRED for option, default in entry.options.items() if default is REQUIRED} | options

    def where_of(option: str | None) -> str | None:
        return origin.of_choice(group) if option is None else origin.of((*key, option))

    return entry.faults(options, section=".".join(map(str, key)), where=where_of, also=declared)


def _schema_faults(
    error: ValidationError, origin_of: Callable[[Key], str | None], root: type[BaseModel] = RunConfig
) -> list[ScirsError]:
    """The first faults, and how many more there are: each is looked for in files and among all names."""
    details = _once(error.errors(include_url=False), root)
    faults = [_schema_fault(detail, origin_of, root) for detail in details[:MAX_FAULTS]]
    more = len(details) - len(faults)
    return [*faults, ConfigError(f"and {more:,} faults more")] if more else faults


def _once(details: list[ErrorDetails], root: type[BaseModel] = RunConfig) -> list[ErrorDetails]:
    """One detail a key: a union reports each of its members, of which the first is enough."""
    kept: dict[Key, ErrorDetails] = {}
    for detail in details:
        kept.setdefault(_own_key(detail, root), detail)
    return list(kept.values())


def _own_key(detail: ErrorDetails, root: type[BaseModel]) -> Key:
    """The key of a fault, without the names of union members that pydantic appends."""
    model: Any = root
    key: list[str | int] = []
    for part in detail["loc"]:
        if isinstance(model, type) and issubclass(model, BaseModel):
            key.append(part)
            model = model.model_fields[part].annotation if part in model.model_fields else None
        elif isinstance(part, int):
            key.append(part)
    return tuple(key)


def _schema_fault(
    detail: ErrorDetails, origin_of: Callable[[Key], str | None], root: type[BaseModel] = RunConfig
) -> ScirsError:
    key, kind = _own_key(detail, root), detail["type"]
    dotted, where = ".".join(map(str, key)), origin_of(key)
    if kind == "extra_forbidden":
        suggestions = _near_keys(key, root)
        fix = None if suggestions else "python -m scirs_neural.train --help shows every setting"
        return ConfigError(f"unknown setting '{dotted}'", where=where, suggestions=suggestions, fix=fix)
    if kind == "missing":
        return ConfigError(f"the setting '{dotted}' is missing", where=where)
    value = detail["input"]
    if kind == "value_error":  # said by the schema in its own words
        return ConfigError(f"{dotted}: {detail['ctx']['error']}", where=where)
    if kind == "literal_error":
        choices = [str(choice) for choice in _literal_choices(key, root)]
        suggestions = did_you_mean(str(value), choices)
        return ConfigError(
            f"{dotted} cannot be {as_text(value)}",
            where=where,
            suggestions=suggestions,
            fix=f"choose one of {', '.join(choices)}",
        )
    expected = _EXPECTED.get(kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float"))
    message = (
        f"must be {expected}"
        if expected
        else "m" + detail["msg"].removeprefix("Input should").strip().replace("be", "ust be", 1)
    )
    return ConfigError(f"{dotted} {message}, not {as_text(value)}", where=where)


def _section_of(key: Key, root: type[BaseModel]) -> type[BaseModel]:
    model = root
    for part in key[:-1]:
        inner = model.model_fields[str(part)].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return model


def _near_keys(key: Key, root: type[BaseModel]) -> list[str]:
    """Settings near to an unknown one: in its own section first, then anywhere."""
    prefix = [str(part) for part in key[:-1]]
    inside = [".".join([*prefix, name]) for name in did_you_mean(str(key[-1]), _section_of(key, root).model_fields)]
    if inside:
        return inside
    by_last: dict[str, list[str]] = {}
    for setting in all_settings(root):
        by_last.setdefault(setting.rpartition(".")[2], []).append(setting)
    return [setting for last in did_you_mean(str(key[-1]), by_last) for setting in by_last[last]][:MAX_NEAR]


def all_settings(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    """Every setting's dotted name."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += all_settings(inner, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def _literal_choices(key: Key, root: type[BaseModel]) -> list[Any]:
    """What a setting may be, among all members of a union."""
    members = get_args(_section_of(key, root).model_fields[str(key[-1])].annotation)
    return [choice for member in members for choice in (get_args(member) or [member]) if not isinstance(choice, type)]


def _load_plugin_modules(modules: Any, origin: Origin) -> list[ScirsError]:
    """Import modules of the user's, which register more parts."""
    faults: list[ScirsError] = []
    for module in modules if isinstance(modules, list) else []:
        try:
            if isinstance(module, str):
                load_file(module) if is_file(module) else resolve(f"{module}:__name__")
        except ConfigError as error:
            faults.append(ConfigError(error.what, where=origin.of(("plugins_modules",))))
    return faults
