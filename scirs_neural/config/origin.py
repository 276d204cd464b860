"""Where a value came from: the command line, or a file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

Key = tuple[str | int, ...]


class Origin:
    """The provenance of a composed tree.

    Args:
        primary: the name of the primary config.
        typed: overrides by key, as typed.
        runtime: Hydra's record of one composition: the sources searched and the value chosen of each group.
    """

    def __init__(self, primary: str, typed: Mapping[str, str], runtime: Mapping[str, Any]) -> None:
        self.primary, self.typed = primary, typed
        self.sources: Sequence[Mapping[str, str]] = runtime.get("config_sources", [])
        self.choices: Mapping[str, str | None] = runtime.get("choices", {})

    def of(self, key: Key) -> str | None:
        """Where the value at a key came from; None if nobody set it."""
        for length in range(len(key), 0, -1):
            text = self.typed.get(".".join(map(str, key[:length])))
            if text is not None:
                return f"command line, {text}"
        for path, package in self._files():
            line = line_of(path, key[len(package) :]) if key[: len(package)] == package else None
            if line is not None:
                return f"{_short(path)}, line {line}"
        return None

    def _files(self) -> list[tuple[Path, Key]]:
        """The files that may have set a key, the ones that win first, each with the place where it is mounted."""
        found: list[tuple[Path, Key]] = []
        for group, choice in self.choices.items():
            if isinstance(choice, str):
                found += [(path, self._package(path, group)) for path in self._locate(f"{group}/{choice}.yaml")]
        found.sort(key=lambda item: len(item[1]))  # files of the global package (experiments) come last and win
        globals_, grouped = [f for f in found if not f[1]], [f for f in found if f[1]]
        return [*globals_, *[(path, ()) for path in self._locate(f"{self.primary}.yaml")], *grouped]

    def _package(self, path: Path, group: str) -> Key:
        head = path.read_text(errors="replace").lstrip().partition("\n")[0]
        return () if head.startswith("#") and "@package _global_" in head else tuple(group.split("/"))

    def _locate(self, name: str) -> list[Path]:
        folders = []
        for source in self.sources:
            if source["schema"] == "file":
                folders.append(Path(source["path"]))
            elif source["schema"] == "pkg" and not source["path"].startswith("hydra"):
                folders.append(Path(str(files(source["path"]))))
        return [folder / name for folder in folders if (folder / name).is_file()]


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
