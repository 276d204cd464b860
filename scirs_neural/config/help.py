"""The help of a door that takes a configuration: its groups with their values, its settings with their meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scirs_neural.config.compose import Request
from scirs_neural.config.schema import Named, RunConfig
from scirs_neural.config.tree import Tree
from scirs_neural.core.registry import Registry

MAX_VALUES = 14


def print_help(console: Console, usage: str, request: Request, registries: Mapping[str, Registry]) -> None:
    """Print usage, every group with its values, and every setting with its type, default and meaning."""
    console.print(usage.strip())
    console.print()
    console.print(Text("options", style="bold"))
    for flag, meaning in _FLAGS.items():
        console.print(f"  {flag:<16}{meaning}", soft_wrap=True)
    console.print()
    console.print(Text("groups (choose one value: model=resnet50; several for callbacks: callbacks=[ema,timer])", style="bold"))
    grid = _grid()
    tree = Tree(registries, request.user_configs())
    for group in sorted(tree.groups()):
        values = tree.values(group)
        more = f" … {len(values)} in all: python -m scirs_neural.list {registries[group].plural}" if len(values) > MAX_VALUES else ""
        grid.add_row(Text(group, style="cyan"), " ".join(values[:MAX_VALUES]) + more)
    console.print(grid)
    for title, rows in setting_rows():
        console.print()
        console.print(Text(title, style="bold"))
        grid = _grid()
        for key, kind, meaning in rows:
            grid.add_row(Text(key, style="cyan"), kind, Text(meaning, style="dim"))
        console.print(grid)


_FLAGS = {
    "--help": "this text",
    "--check": "build everything without memory or training, and report every error",
    "-m": "run every combination of several values: -m seed=0,1,2 model=resnet18,cnn",
    "--from RUN": "start from a run folder's configuration; key=value changes it",
    "--config-dir": "a folder of yours that extends the shipped configs (default: ./configs)",
}


def setting_rows(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Every setting, by section: its dotted name, its type and default, its meaning."""
    own: list[tuple[str, str, str]] = []
    below: list[tuple[str, list[tuple[str, str, str]]]] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            below += setting_rows(inner, f"{prefix}{name}.")
        else:
            own.append((prefix + name, f"{_kind(inner)}{_default(field.default)}", field.description or ""))
    doc = (model.__doc__ or "").partition("\n")[0]
    extra = " (and the options of the part named: see `info NAME`)" if issubclass(model, Named) else ""
    title = f"{prefix.rstrip('.') or 'the run'}: {doc}{extra}"
    return [(title, own), *below]


def _kind(annotation: Any) -> str:
    text = re.sub(r"\w+\.", "", str(annotation)).replace("<class '", "").replace("'>", "")
    text = re.sub(r"Annotated\[([^,\]]+),.*", r"\1", text)
    text = re.sub(r"Literal\[(.*)\]", lambda m: m.group(1).replace("'", "").replace(", ", "|"), text)
    return text.replace("NoneType", "null").replace("None", "null").replace("dict[str, Any]", "dict").replace("list[Any]", "list")


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return ""
    return f" = {'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    return grid
