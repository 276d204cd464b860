"""Options of optimizers and schedules, as a configuration has them."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean


def check_options(registry: Registry, name: str, options: dict[str, Any]) -> None:
    """Refuse options that the part named does not take.

    Raises:
        ConfigError: names the option and the nearest.
    """
    known = registry.options(name)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"the {registry.kind} '{name}' has no option '{option}'", suggestions=did_you_mean(option, known)
            )


def tuples(value: Any) -> Any:
    """A list as a tuple: YAML has none, and torch wants betas as one."""
    return tuple(value) if isinstance(value, list) else value
