"""Where a value came from: the command line, or a file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scirs_neural.config.tree import Tree

Key = tuple[str | int, ...]


class Origin:
    """The provenance of a configuration.

    Args:
        typed: overrides by key, as typed.
        files: those that may have set a key, the ones that win first, each with the place where it is mounted.
    """

    def __init__(self, typed: Mapping[str, str], files: Sequence[tuple[Path, Key]]) -> None:
        self.typed, self.files = typed, files

    @classmethod
    def of_composition(cls, typed: Mapping[str, str], primary: str, choices: Mapping[str, Any], tree: Tree) -> Origin:
        """The provenance of what Hydra composed from a primary config and the value chosen of each group."""
        chosen: list[tuple[Path, Key]] = []
        for group, names in choices.items():
            for name in names if isinstance(names, list) else [names]:
                chosen += [(path, _package(path, group)) for path in _locate(f"{group}/{name}.yaml", tree)]
        experiments = [file for file in chosen if not file[1]]  # the global package: they come last and win
        grouped = [file for file in chosen if file[1]]
        return cls(typed, [*experiments, *[(path, ()) for path in _locate(f"{primary}.yaml", tree)], *grouped])

    def of(self, key: Key) -> str | None:
        """Where the value at a key came from; None if nobody set it."""
        for length in range(len(key), 0, -1):
            text = self.typed.get(".".join(map(str, key[:length])))
            if text is not None:
                return f"command line, {text}"
        for path, package in self.files:
            line = line_of(path, key[len(package) :]) if key[: len(package)] == package else None
            if line is not None:
                return f"{_short(path)}, line {line}"
        return None

    def of_choice(self, group: str) -> str | None:
        """Where the value of a group was chosen: the command line, or an entry of a file's defaults list."""
        if group in self.typed:
            return f"command line, {self.typed[group]}"
        entry = re.compile(rf"^\s*-\s+(override\s+)?/?{re.escape(group)}\s*:", re.MULTILINE)
        for path, _ in self.files:
            if found := entry.search(text := path.read_text()):
                return f"{_short(path)}, line {text.count(chr(10), 0, found.start() + 1) + 1}"
        return None


def _package(path: Path, group: str) -> Key:
    """Where a file of a group is mounted."""
    found = re.search(r"^#\s*@package\s+(\S+)", path.read_text(errors="replace"), re.MULTILINE)
    package = found.group(1) if found else group.replace("/", ".")
    return () if package == "_global_" else tuple(package.removeprefix("_global_.").replace("_group_", group).split("."))


def _locate(name: str, tree: Tree) -> list[Path]:
    folders = [tree.shipped, tree.user] if tree.user else [tree.shipped]
    return [folder / name for folder in folders if (folder / name).is_file()][:1]


def line_of(path: Path, key: Key) -> int | None:
    """The line (from 1) of a YAML file on which a key stands; None if it does not."""
    node = yaml.compose(path.read_text())
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
