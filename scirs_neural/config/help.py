"""The help of a command that takes a configuration: its groups with their values, its settings with their meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.registry import Registry

MAX_VALUES = 14
_INDENT = 2
_FLAGS = {
    "--help": "this text",
    "--check": "build everything without memory or training, and report every error",
    "-m": "run every combination of several values: -m seed=0,1,2 model=resnet18,cnn",
    "--from RUN": "start from a run folder's configuration; key=value changes it",
    "--show [GROUP]": "print the composed configuration with where each value came from, and stop",
    "--cfg job": "print the composed configuration as YAML, and stop; -p GROUP: a part of it",
    "--config-dir DIR": "a folder of yours that extends and shadows the shipped configs (default: ./configs)",
    "--config-name NAME": "the file in it whose defaults list begins (default: train)",
}


def print_help(console: Console, usage: str, request: Request, registries: Mapping[str, Registry]) -> None:
    """Print usage, every group with its values, and every setting with its type, default and meaning."""
    console.print(Text(usage.strip()), soft_wrap=True)
    _section(console, "options")
    _print_rows(console, _FLAGS.items())
    _section(console, "groups: choose a value with model=resnet50, several with callbacks=[early_stopping,timer]")
    tree = request.tree(registries)
    rows = []
    for group in sorted(tree.groups()):
        values = tree.values(group)
        shown = " ".join(values[:MAX_VALUES]) or f"none yet: put NAME.yaml into ./configs/{group}/"
        if len(values) > MAX_VALUES and group in registries:
            shown += f" ... {len(values)} in all: python -m scirs_neural.list {registries[group].plural}"
        rows.append((group, shown))
    _print_rows(console, rows)
    options = "and the options of the part named: python -m scirs_neural.info NAME"
    console.print(
        Text("\n".join(textwrap.wrap(f"{', '.join(sorted(registries))} take settings {options}", console.width))),
        soft_wrap=True,
    )
    for title, settings in setting_rows(load_config(replace(request, overrides=()), registries)):
        _section(console, title)
        _print_rows(console, settings)


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _print_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Each name and, beside it, a text that wraps under itself; below it where the name is too long for that."""
    rows = list(rows)
    beside = min(max(len(name) for name, _ in rows), 24) + _INDENT + 2
    for name, text in rows:
        lines = textwrap.wrap(
            text, max(24, console.width - beside), break_long_words=False, break_on_hyphens=False
        ) or [""]
        head = Text(" " * _INDENT + name, style="cyan")
        if len(name) + _INDENT + 2 > beside:
            console.print(head, soft_wrap=True)
        else:
            head.pad_right(beside - len(head))
            console.print(head + Text(lines.pop(0)), soft_wrap=True)
        for line in lines:
            console.print(" " * beside + line, soft_wrap=True)


def setting_rows(section: BaseModel, prefix: str = "") -> list[tuple[str, list[tuple[str, str]]]]:
    """Every setting, by section: its dotted name; its type, value and meaning.

    Example:
        >>> from scirs_neural.config.schema import PathsConfig
        >>> setting_rows(PathsConfig(), "paths.")[0][1][0]
        ('paths.runs', 'text = runs')
    """
    own: list[tuple[str, str]] = []
    below: list[tuple[str, list[tuple[str, str]]]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            below += setting_rows(value, f"{prefix}{name}.")
        else:
            what = f"{type_name(field.annotation)} = {_as_yaml(value)}"
            own.append((prefix + name, f"{what}; {field.description}" if field.description else what))
    doc = " ".join((section.__doc__ or "").partition("\n")[0].replace("`", "").split()).rstrip(".")
    return [(f"{prefix.rstrip('.') or 'the run'}: {doc[:1].lower()}{doc[1:]}", own), *below]


def type_name(annotation: Any) -> str:
    """A type as users call it.

    Example:
        >>> type_name(int | None), type_name(Literal["min", "max"]), type_name(str | list[Any])
        ('whole number or null', 'min|max', 'text or list')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is Literal:
        together = "|".join(map(str, inner))
        return together if len(together) <= _UNBROKEN else " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(type_name, inner)))
    return _NAMES.get(origin or annotation, str(annotation))


_UNBROKEN = 54  # characters: what still fits beside the name of a setting where a line has 80

_NAMES = {
    int: "whole number", float: "number", bool: "true|false", str: "text", list: "list", dict: "group",
    type(None): "null",
}  # fmt: skip


def _as_yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
