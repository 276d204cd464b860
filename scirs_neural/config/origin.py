"""Where a value came from: the command line, or a file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scirs_neural.config.overrides import Parsed
from scirs_neural.config.tree import Tree

_HEADER = re.compile(r"\s*#\s*@(\w+)\s+(\S+)")
Key = tuple[str | int, ...]


class Origin:
    """The provenance of a configuration.

    Args:
        typed: overrides by key, as typed: they win over files.
        choices: overrides that choose the value of a group, as typed: files win over them.
        files: those that may have set a key, the ones that win first, each with the place where it is mounted.
    """

    def __init__(self, typed: Mapping[str, str], choices: Mapping[str, str], files: Sequence[tuple[Path, Key]]) -> None:
        self.typed, self.choices, self.files = typed, choices, files

    @classmethod
    def of_composition(cls, parsed: Parsed, primary: str, values: Mapping[str, Any], tree: Tree) -> Origin:
        """The provenance of what Hydra composed from a primary config and the value of each group."""
        chosen: list[tuple[Path, Key]] = []
        for group, names in values.items():
            for name in names if isinstance(names, list) else [names]:
                chosen += [(path, _package(path, group)) for path in _locate(f"{group}/{name}.yaml", tree)]
        experiments = [file for file in chosen if not file[1]]  # the global package: they come last and win
        grouped = [file for file in chosen if file[1]]
        files = [*experiments, *[(path, ()) for path in _locate(f"{primary}.yaml", tree)], *grouped]
        choices = {group: text for group, text in parsed.typed.items() if group in parsed.values}
        return cls({key: text for key, text in parsed.typed.items() if key not in choices}, choices, files)

    def of(self, key: Key) -> str | None:
        """Where the value at a key came from; None if nobody set it."""
        above = [".".join(map(str, key[:length])) for length in range(len(key), 0, -1)]
        within = [typed for typed in self.typed if typed.startswith(above[0] + ".")]
        for typed in [*above, *within]:
            if typed in self.typed:
                return f"command line, {self.typed[typed]}"
        for path, package in self.files:
            line = line_of(path, key[len(package) :]) if key[: len(package)] == package else None
            if line is not None:
                return f"{_short(path)}, line {line}"
        return next((f"command line, {self.choices[group]}" for group in above if group in self.choices), None)

    def of_choice(self, group: str) -> str | None:
        """Where the value of a group was chosen: the command line, or an entry of a file's defaults list."""
        typed = {**self.typed, **self.choices}.get(group)
        if typed is not None:
            return f"command line, {typed}"
        entry = re.compile(rf"^\s*-\s+(override\s+)?/?{re.escape(group)}\s*:", re.MULTILINE)
        for path, _ in self.files:
            if found := entry.search(text := path.read_text()):
                return f"{_short(path)}, line {text.count(chr(10), 0, found.start() + 1) + 1}"
        return None


def _package(path: Path, group: str) -> Key:
    """Where a file of a group is mounted."""
    package = group.replace("/", ".")
    for line in filter(str.strip, path.read_text(errors="replace").splitlines()):
        if (found := _HEADER.match(line)) is None:
            break  # Hydra reads no header below any other line
        package = found.group(2) if found.group(1) == "package" else package
    return (
        () if package == "_global_" else tuple(package.removeprefix("_global_.").replace("_group_", group).split("."))
    )


def _locate(name: str, tree: Tree) -> list[Path]:
    folders = [tree.shipped, tree.user] if tree.user else [tree.shipped]
    return [folder / name for folder in folders if (folder / name).is_file()][:1]


def line_of(path: Path, key: Key) -> int | None:
    """The line (from 1) of a YAML file on which a key stands; None if it does not."""
    node = yaml.compose(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # C: ten times as fast
    line = None
    for part in key:
        if not isinstance(node, yaml.MappingNode):
            return line
        pairs = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == str(part)]
        if not pairs:
            return None
        line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
    return line


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
