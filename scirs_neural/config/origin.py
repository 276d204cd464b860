"""Where a value came from: the command line, or a file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import yaml

Key = tuple[str | int, ...]


class Origin:
    """The provenance of a configuration.

    Args:
        typed: overrides by key, as typed: they win over files.
        choices: overrides that choose the value of a group, as typed: files win over them.
        files: finds those that may have set a key, the ones that win first, each with the place where it is mounted.
            It is called when somebody asks: most configurations have no fault.
    """

    def __init__(
        self,
        typed: Mapping[str, str],
        choices: Mapping[str, str] | None = None,
        files: Callable[[], Iterable[tuple[Path, Key]]] = tuple,
    ) -> None:
        self.typed, self.choices, self._files = typed, choices or {}, files

    @cached_property
    def files(self) -> list[tuple[Path, Key]]:
        """The files that may have set a key, the ones that win first."""
        return list(self._files())

    def of(self, key: Key) -> str | None:
        """Where the value at a key came from, or the part that it belongs to; None if nobody set either."""
        above = _above(key)
        within = [typed for typed in self.typed if typed.startswith(above[0] + ".")]
        chosen = [self.choices[group] for group in above if group in self.choices]
        found = self.of_value(key) if not within else None
        return found or next((f"command line, {text}" for text in [*map(self.typed.get, within), *chosen]), None)

    def of_value(self, key: Key) -> str | None:
        """Where the value at a key itself came from; None if nobody set it."""
        typed = next((self.typed[name] for name in _above(key) if name in self.typed), None)
        if typed is not None:
            return f"command line, {typed}"
        for path, package in self.files:
            line = line_of(path, key[len(package) :]) if key[: len(package)] == package else None
            if line is not None:
                return f"{short(path)}, line {line}"
        return None

    def of_choice(self, group: str) -> str | None:
        """Where the value of a group was chosen: the command line, or an entry of a file's defaults list."""
        typed = {**self.typed, **self.choices}.get(group)
        if typed is not None:
            return f"command line, {typed}"
        entry = re.compile(rf"^\s*-\s+(override\s+)?/?{re.escape(group)}\s*:", re.MULTILINE)
        for path, _ in self.files:
            if found := entry.search(text := path.read_text()):
                return f"{short(path)}, line {text.count(chr(10), 0, found.start() + 1) + 1}"
        return None


def _above(key: Key) -> list[str]:
    """A key and those above it, dotted."""
    return [".".join(map(str, key[:length])) for length in range(len(key), 0, -1)]


def line_of(path: Path, key: Key) -> int | None:
    """The line (from 1) of a YAML file on which a key stands; None if it does not."""
    node, line = _parsed(path.read_text()), None
    for part in key:
        if not isinstance(node, yaml.MappingNode):
            return line
        pairs = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == str(part)]
        if not pairs:
            return None
        line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
    return line


@lru_cache(maxsize=16)  # many faults in few files
def _parsed(text: str) -> yaml.Node | None:
    return yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # C: ten times as fast


def short(path: Path) -> str:
    """A path as a user would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
