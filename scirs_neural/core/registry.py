"""Names to things. One small class; every kind of part has one instance.

A registry maps a name to an object, or to an import string that is resolved at the first look-up. So the shipped
tables are pure data, lists and help need no torch, and nothing depends on some module having been imported before.

There are three ways to add a thing: the decorator `Registry.register`, an entry point of the group
``scirs_neural.<kind>``, and the user's ``file.py:Thing``. One rule holds for all of them: options are the keyword
arguments of the signature; what the framework supplies (``params``, ``spec``, …) is not an option; an option without a
default must be given; a type comes from the annotation, else from the default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from scirs_neural.core.errors import CheckpointError, ConfigError, MissingExtraError, UnknownNameError, raise_all
from scirs_neural.core.importing import resolve
from scirs_neural.core.signatures import KEYWORDS, as_text, describe, fits, signature, type_of
from scirs_neural.core.suggestions import did_you_mean

T = TypeVar("T")
OURS = "scirs-neural"

REQUIRED: Any = inspect.Parameter.empty
"""The default of an option that has none."""


@dataclass
class Entry:
    """One name of a registry, or an import string that a user typed.

    Args:
        registry: the kind of thing.
        name: as it is typed.
        target: the thing, or its import string.
        summary: one line about it.
        declared: options and their defaults as data; None reads them off the signature when they are asked for.
        declared_traits: what must be known of it before it is built, such as what it cannot be combined with.
        extra: the optional dependency that brings the target's package.
        where: where the name came from, for errors.
        distribution: what brings the name: by an entry point, or a shipped table; None for an object of the user's.
    """

    registry: Registry
    name: str
    target: Any
    summary: str = ""
    declared: Mapping[str, Any] | None = None
    declared_traits: Mapping[str, Any] | None = None
    extra: str | None = None
    where: str | None = None
    distribution: str | None = None

    @property
    def label(self) -> str:
        """The kind and the name, for messages."""
        return f"{self.registry.kind} '{self.name}'"

    def load(self) -> Any:
        """The thing itself, imported now if it was only named before.

        Raises:
            MissingExtraError: its package is not installed.
            ConfigError: it cannot be imported.
        """
        if isinstance(self.target, str):
            try:
                self.target = resolve(self.target, where=self.where)
            except (ModuleNotFoundError, ConfigError) as error:
                missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
                if self.extra is None or not isinstance(missing, ModuleNotFoundError):
                    raise
                package = (missing.name or self.target).partition(".")[0]
                raise MissingExtraError(package, self.extra, f"the {self.label}") from missing
        return self.target

    @property
    def traits(self) -> Mapping[str, Any]:
        """As the table declares them, else the thing's own attribute ``traits``."""
        if self.declared_traits is not None or self.declared is not None:
            return self.declared_traits or {}
        return getattr(self.load(), "traits", {})

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The signature of the thing, annotations evaluated where they can be.

        Raises:
            ConfigError: it cannot be called.
        """
        return signature(self.load(), self.label)

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The options and their defaults, `REQUIRED` where there is none."""
        if self.declared is None:
            return MappingProxyType({name: parameter.default for name, parameter in self._own_parameters.items()})
        return MappingProxyType(dict(self.declared))

    @property
    def is_open(self) -> bool:
        """Whether it takes any keyword (``**kwargs``), so that no option can be called unknown."""
        if self.declared is not None:
            return False
        return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in self.parameters.values())

    def takes(self, supplied: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the arguments that the framework supplies which the thing asks for."""
        return {name: value for name, value in supplied.items() if self.is_open or name in self.parameters}

    def faults(
        self,
        options: Mapping[str, Any],
        *,
        section: str = "",
        where: Callable[[str | None], str | None] | None = None,
        types: bool = True,
        also: Sequence[str] = (),
    ) -> list[ConfigError]:
        """What is wrong with options: unknown ones, values of another type, and those that are needed and not given.

        Args:
            options: by name.
            section: under which they are settings, such as "optimizer"; "" for Python arguments.
            where: where an option came from; it is asked for None where the choice of the name came from.
            types: whether types are judged.
            also: settings of the same section that are not options, for suggestions.
        """
        place = where or (lambda option: self.where)
        known, prefix = self.options, f"{section}." if section else ""
        faults: list[ConfigError] = []
        for option, value in options.items():
            if option not in known:
                if not self.is_open:
                    faults.append(self._unknown(option, prefix, [*also, *known], place(option)))
            elif types and not (value is known[option] or fits(value, kind := self._type_of(option))):
                subject = f"{prefix}{option}" if section else f"option '{option}' of {self.label}"
                faults.append(
                    ConfigError(f"{subject} must be {describe(kind)}, not {as_text(value)}", where=place(option))
                )
        missing = [option for option, default in known.items() if default is REQUIRED and option not in options]
        if missing and not section:
            faults.append(ConfigError(f"{self.label} needs {', '.join(map(repr, missing))}", where=place(None)))
        elif missing:
            what = f"{self.label} needs the setting '{prefix}{{0}}'"
            faults += [ConfigError(what.format(m), where=place(None), fix=f"write {prefix}{m}=…") for m in missing]
        return faults

    def check(self, options: Mapping[str, Any], *, where: str | None = None, types: bool = True) -> None:
        """Refuse options that do not fit.

        Raises:
            ConfigError: one fault, or `ManyErrors` with all of them.
        """
        raise_all(self.faults(options, where=(lambda option: where) if where else None, types=types))

    @cached_property
    def _own_parameters(self) -> Mapping[str, inspect.Parameter]:
        """Those of the signature that are options."""
        target, registry = self.load(), self.registry
        count = registry.positional(target) if callable(registry.positional) else registry.positional
        rest = list(self.parameters.values())[count:]
        return {p.name: p for p in rest if p.kind in KEYWORDS and p.name not in registry.supplied}

    def _type_of(self, option: str) -> Any:
        if self.declared is None:
            annotation = self._own_parameters[option].annotation
            if annotation is not inspect.Parameter.empty and not isinstance(annotation, str):
                return annotation
        return type_of(self.options[option])

    def _unknown(self, option: str, prefix: str, known: Sequence[str], where: str | None) -> ConfigError:
        suggestions = [f"{prefix}{name}" for name in did_you_mean(str(option), known)]
        taken = f"{self.name} takes {', '.join(known)}" if known else f"{self.name} takes no options"
        what = (
            f"unknown setting '{prefix}{option}' of {self.label}"
            if prefix
            else f"{self.label} has no option '{option}'"
        )
        return ConfigError(what, where=where, suggestions=suggestions, fix=None if suggestions else taken)


class Registry:
    """A closed table of names of one kind.

    Args:
        kind: what the names stand for, in the singular ("model", "loss"): used in errors and entry-point groups.
        plural: of the kind.
        supplied: arguments that the framework passes by name where a thing asks for them: never options.
        positional: how many leading arguments the framework passes by position, or a function from the thing to it.

    Example:
        >>> shapes = Registry("shape")
        >>> @shapes.register("square", summary="four equal sides")
        ... def square(side: float = 1.0) -> float:
        ...     return side * side
        >>> shapes.get("square")(3.0), shapes.names(), dict(shapes.options("square"))
        (9.0, ['square'], {'side': 1.0})
        >>> shapes.get("sqare")
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.UnknownNameError: unknown shape 'sqare'
          maybe  square
          list   python -m scirs_neural.list shapes
        >>> shapes.entry("square").check({"side": "long"})
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ConfigError: option 'side' of shape 'square' must be a number, not 'long'
    """

    def __init__(
        self,
        kind: str,
        *,
        plural: str | None = None,
        supplied: Sequence[str] = (),
        positional: int | Callable[[Any], int] = 0,
    ) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self.supplied, self.positional = frozenset(supplied), positional
        self._entries: dict[str, Entry] = {}
        self._entry_points_loaded = False

    def register(self, name: str, *, summary: str = "", options: Mapping[str, Any] | None = None) -> Callable[[T], T]:
        """A decorator that registers a class or function under a name."""

        def decorate(target: T) -> T:
            self.add(name, target, summary=summary or first_line(target), options=options)
            return target

        return decorate

    def add(
        self,
        name: str,
        target: Any,
        *,
        summary: str = "",
        options: Mapping[str, Any] | None = None,
        traits: Mapping[str, Any] | None = None,
        extra: str | None = None,
        distribution: str | None = None,
    ) -> None:
        """Register an object, or an import string that is resolved at the first look-up.

        Raises:
            ConfigError: the name is taken by something else.
        """
        present = self._entries.get(name)
        if present is not None and not _same_target(present.target, target):
            both = f"{_describe(present.target)} and {_describe(target)}"
            raise ConfigError(f"two things are registered as the {self.kind} '{name}': {both}")
        brings = distribution or (OURS if isinstance(target, str) else None)
        self._entries[name] = Entry(self, name, target, summary, options, traits, extra, distribution=brings)

    def entry(self, name: str, *, where: str | None = None) -> Entry:
        """The entry of a registered name, not yet imported.

        Raises:
            UnknownNameError: nobody registered the name; the error has suggestions.
        """
        self._load_entry_points()
        if name not in self._entries:
            raise self.unknown(name, where=where)
        return self._entries[name]

    def typed(self, name: str, *, where: str | None = None) -> Entry:
        """The entry of what a user typed: a registered name, or an import string of theirs (``file.py:Thing``).

        Never call it with a name that was read from a run folder or a package: an import string runs code.

        Raises:
            UnknownNameError: nobody registered the name.
        """
        if ":" in name and name not in self:
            return Entry(self, name, name, where=where or f"{self.kind}={name}")
        return self.entry(name, where=where)

    def get(self, name: str, *, where: str | None = None) -> Any:
        """The thing that a registered name stands for, imported now if it was only named before.

        Raises:
            UnknownNameError: nobody registered the name.
            MissingExtraError: its package is not installed.
        """
        return self.entry(name, where=where).load()

    def options(self, name: str) -> Mapping[str, Any]:
        """The options of a registered name with their defaults, `REQUIRED` where there is none."""
        return self.entry(name).options

    def names(self, pattern: str = "*") -> list[str]:
        """The names that match a shell-style pattern, sorted."""
        self._load_entry_points()
        return sorted(name for name in self._entries if fnmatchcase(name, pattern))

    def unknown(
        self, name: str, *, where: str | None = None, suggestions: Sequence[str] | None = None
    ) -> UnknownNameError:
        """The error for a name that is not here; ``suggestions`` replaces those made from the names that are."""
        suggestions = did_you_mean(name, self.names()) if suggestions is None else suggestions
        see = f"python -m scirs_neural.list {self.plural}"
        return UnknownNameError(f"unknown {self.kind} '{name}'", where=where, suggestions=suggestions, see=see)

    def __contains__(self, name: object) -> bool:
        self._load_entry_points()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        self._load_entry_points()
        return len(self._entries)

    def _load_entry_points(self) -> None:
        if not self._entry_points_loaded:
            self._entry_points_loaded = True
            for point in _installed_entry_points().select(group=f"scirs_neural.{self.kind}"):
                brings = point.dist.name if point.dist else None
                self.add(point.name, point.value, summary=f"from {brings or 'an entry point'}", distribution=brings)


def check_version(kind: str, name: str, record: Mapping[str, Any], version: int, where: str) -> None:
    """Hold a record that came out of a file to the version that its owner knows.

    Raises:
        CheckpointError: it is of another one.
    """
    if record.get("version", 1) != version:
        raise CheckpointError(
            f"a record of the {kind} '{name}' in version {record.get('version')!r}, what is installed knows {version}",
            where=where, fix=f"update the distribution that brings the {kind}",
        )  # fmt: skip


@cache
def _installed_entry_points() -> Any:  # a class of its own in each Python; all of them have `select`
    from importlib.metadata import entry_points

    return entry_points()  # reads the metadata of every installed package: once is enough


def first_line(target: Any) -> str:
    """The first line of a docstring, or nothing."""
    return (inspect.getdoc(target) or "").partition("\n")[0]


def _same_target(present: Any, new: Any) -> bool:
    return present is new or _describe(present) == _describe(new)  # a module that is imported again registers again


def _describe(target: Any) -> str:
    if isinstance(target, str):
        return target
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', repr(target))}"
