"""The plugins that a configuration names, made and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scirs_neural.core.errors import ConfigError, refusals
from scirs_neural.core.ordering import Ordered, topological_sort
from scirs_neural.plugins.plugin import Plugin
from scirs_neural.plugins.registry import PLUGINS


def create_plugins(settings: Mapping[str, Mapping[str, Any]]) -> list[Plugin]:
    """Plugins by registry name, entry point, or ``file.py:Class``, in the order of their stages.

    Args:
        settings: name to options, as in ``plugins.*``; one of the user's has the ``name`` ``file.py:Class``.

    Raises:
        ConfigError: an unknown name or option, plugins that exclude each other, or no order that pleases all.

    Example:
        >>> [(plugin.name, plugin.options) for plugin in create_plugins({"ema": {"decay": 0.9}})]
        [('ema', {'decay': 0.9, 'every_n_steps': 1, 'warmup': True})]
    """
    made: list[Plugin] = []
    for key, given in settings.items():
        name, options = given.get("name", key), {k: v for k, v in given.items() if k != "name"}
        entry = PLUGINS.typed(name, where=f"plugins.{key}.name")
        entry.check(options, where=f"plugins.{key}")
        kind = entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Plugin)):
            raise ConfigError(
                f"'{name}' is no plugin", where=f"plugins.{key}", fix="subclass scirs_neural.plugins.Plugin"
            )
        with refusals(f"the plugin '{key}'", f"plugins.{key}"):
            plugin = kind(**options)
        plugin.name = name if name in PLUGINS else key
        made.append(plugin)
    return ordered(made)


def ordered(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Plugins by stage; within a stage so that every ``before`` and ``after`` holds, else as they were given.

    Raises:
        ConfigError: two of them exclude each other, or no order pleases all.
    """
    names = [plugin.name for plugin in plugins]
    for plugin in plugins:
        if names.count(plugin.name) > 1:
            raise ConfigError(f"the plugin '{plugin.name}' is there twice", where="plugins")
        if other := next((name for name in plugin.conflicts if name in names), None):
            raise ConfigError(f"the plugins '{plugin.name}' and '{other}' exclude each other", where="plugins")
    found: list[Plugin] = []
    for stage in sorted({plugin.stage for plugin in plugins}):
        held = [Ordered(p.name, p, {"before": p.before, "after": p.after}) for p in plugins if p.stage == stage]
        found += topological_sort(held, "plugins")
    return found
