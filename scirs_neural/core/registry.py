"""Names to things. One small class; every kind of part has one instance.

A registry maps a name to an object, or to an import string that is resolved at the first look-up. So the shipped
tables are pure data, lists and help need no torch, and nothing depends on some module having been imported before.

Third parties add names with the decorator, through entry points of the group ``scirs_neural.<kind>`` (each names an
importable thing), or by listing their modules under ``plugins_modules`` in a config.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from scirs_neural.core.errors import CheckpointError, ConfigError, MissingExtraError, UnknownNameError
from scirs_neural.core.importing import resolve
from scirs_neural.core.suggestions import did_you_mean

T = TypeVar("T")
OURS = "scirs-neural"

REQUIRED: Any = inspect.Parameter.empty
"""The default of an option that has none."""


@dataclass
class Entry:
    """One name: what it stands for, one line about it, and the options that its builder takes.

    ``options`` maps an option to its default. None means: read the signature of the resolved object. ``traits`` is what
    else must be known of it without importing it, such as what it cannot be combined with. ``extra`` is the optional
    dependency that brings the target's package. ``distribution`` brings the name: by an entry point, or in a shipped
    table, which holds import strings; None for what is registered as an object.
    """

    name: str
    target: Any
    summary: str = ""
    options: Mapping[str, Any] | None = None
    traits: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    extra: str | None = None
    distribution: str | None = None


class Registry:
    """A closed table of names of one kind.

    Args:
        kind: what the names stand for, in the singular ("model", "loss"): used in errors and entry-point groups.

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
    """

    def __init__(self, kind: str, *, plural: str | None = None) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self._entries: dict[str, Entry] = {}
        self._entry_points_loaded = False

    def register(self, name: str, *, summary: str = "", options: Mapping[str, Any] | None = None) -> Callable[[T], T]:
        """A decorator that files a class or function under a name."""

        def file(target: T) -> T:
            self.add(name, target, summary=summary or first_line(target), options=options)
            return target

        return file

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
        """File an object, or an import string that is resolved at the first look-up.

        Raises:
            ConfigError: the name is taken by something else.
        """
        held = self._entries.get(name)
        if held is not None and not _same_target(held.target, target):
            both = f"{_describe(held.target)} and {_describe(target)}"
            raise ConfigError(f"two things are registered as the {self.kind} '{name}': {both}")
        frozen = None if options is None else MappingProxyType(dict(options))
        brings = distribution or (OURS if isinstance(target, str) else None)
        self._entries[name] = Entry(name, target, summary, frozen, MappingProxyType(dict(traits or {})), extra, brings)

    def entry(self, name: str, *, where: str | None = None) -> Entry:
        """The entry of a name, unresolved.

        Raises:
            UnknownNameError: nobody registered the name; the error holds the nearest ones.
        """
        self._load_entry_points()
        if name not in self._entries:
            raise self.unknown(name, where=where)
        return self._entries[name]

    def get(self, name: str, *, where: str | None = None) -> Any:
        """The thing that a name stands for, imported now if it was only named before.

        Raises:
            UnknownNameError: nobody registered the name.
            MissingExtraError: its package is not installed.
        """
        entry = self.entry(name, where=where)
        if isinstance(entry.target, str):
            try:
                entry.target = resolve(entry.target)
            except (ModuleNotFoundError, ConfigError) as error:
                missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
                if entry.extra is None or not isinstance(missing, ModuleNotFoundError):
                    raise
                package = (missing.name or entry.target).partition(".")[0]
                raise MissingExtraError(package, entry.extra, f"the {self.kind} '{name}'") from missing
        return entry.target

    def options(self, name: str) -> Mapping[str, Any]:
        """The options that a name's builder takes, with their defaults (``inspect.Parameter.empty`` if it has none)."""
        entry = self.entry(name)
        if entry.options is None:
            entry.options = MappingProxyType(signature_options(self.get(name)))
        return entry.options

    def names(self, pattern: str = "*") -> list[str]:
        """The names that match a shell-style pattern, sorted."""
        self._load_entry_points()
        return sorted(name for name in self._entries if fnmatchcase(name, pattern))

    def unknown(
        self, name: str, *, where: str | None = None, suggestions: Sequence[str] | None = None
    ) -> UnknownNameError:
        """The error for a name that is not here; ``suggestions`` replaces the nearest of those that are."""
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


def signature_options(target: Callable[..., Any]) -> dict[str, Any]:
    """The keyword arguments of a callable and their defaults, without ``*args`` and ``**kwargs``."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in inspect.signature(target).parameters.values() if p.kind in kinds}


def first_line(target: Any) -> str:
    """The first line of a docstring, or nothing."""
    return (inspect.getdoc(target) or "").partition("\n")[0]


def _same_target(held: Any, new: Any) -> bool:
    return held is new or _describe(held) == _describe(new)  # a module that is imported again registers again


def _describe(target: Any) -> str:
    if isinstance(target, str):
        return target
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', repr(target))}"
