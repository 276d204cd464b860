"""The composed configuration as YAML, with where each value came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from rich.text import Text

from scirs_neural.config.compose import Request, compose_settings
from scirs_neural.config.origin import Key, Origin
from scirs_neural.config.tree import SIDE_BY_SIDE, default_options
from scirs_neural.config.validate import validate
from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean

MAX_COLUMN = 56


def show_config(request: Request, registries: Mapping[str, Registry], section: str, *, with_origin: bool) -> None:
    """Print a configuration, or one section of it, as YAML; values with their origin as a comment.

    Raises:
        ConfigError: the configuration has faults, or there is no such section.
    """
    composed = compose_settings(request, registries)
    settings = validate(composed).model_dump(mode="json")
    if section and section not in settings:
        raise ConfigError(
            f"there is no section '{section}'", where="command line", suggestions=did_you_mean(section, settings)
        )
    shown = {section: settings[section]} if section else settings
    on, lines = terminal.console(), list(_lines(shown, ()))
    column = min(MAX_COLUMN, max(len(text) for text, key in lines if key is not None))
    for text, key in lines:
        source = _source(key, composed.origin, settings, registries) if with_origin and key is not None else ""
        on.print(Text(f"{text:<{column}}  # {source}" if source else text), soft_wrap=True)


def _lines(settings: Mapping[str, Any], above: Key) -> Iterator[tuple[str, Key | None]]:
    """Lines of YAML, each with the key of the value that stands on it."""
    for name, value in settings.items():
        key, indent = (*above, name), "  " * len(above)
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:", None
            yield from _lines(value, key)
        else:
            flow = yaml.safe_dump({name: value}, default_flow_style=True, width=10**6, allow_unicode=True)
            yield indent + flow.strip()[1:-1], key


def _source(key: Key, origin: Origin, settings: Mapping[str, Any], registries: Mapping[str, Registry]) -> str:
    if found := origin.of_value(key):
        return found
    group = str(key[0])
    if group in registries and len(key) > 1:
        part = settings[group][key[1]] if group in SIDE_BY_SIDE else settings[group]
        name = part.get("name", key[1]) if isinstance(part, dict) else key[1]
        if key[-1] == "name":
            return origin.of_choice(group) or "default"
        if key[-1] in default_options(registries[group], name):
            return f"default of {name}"
    return "default"
