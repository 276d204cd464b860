"""Every kind of name that a user can type, and the registry that knows it. Modules are imported at the first look-up.

So a lower level reaches what a higher one registers by its name alone.
"""

from __future__ import annotations

from importlib import import_module

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean

REGISTRIES: dict[str, tuple[str, str]] = {  # kind as it is typed: (module, attribute)
    "models": ("scirs_neural.models.registry", "MODELS"),
    "data": ("scirs_neural.data.registry", "DATA"),
    "layers": ("scirs_neural.layers.registry", "LAYERS"),
    "losses": ("scirs_neural.losses.registry", "LOSSES"),
    "optimizers": ("scirs_neural.optim.registry", "OPTIMIZERS"),
    "schedulers": ("scirs_neural.optim.registry", "SCHEDULERS"),
    "metrics": ("scirs_neural.metrics.registry", "METRICS"),
    "callbacks": ("scirs_neural.training.registry", "CALLBACKS"),
    "plugins": ("scirs_neural.plugins.registry", "PLUGINS"),
    "loggers": ("scirs_neural.training.registry", "LOGGERS"),
    "tasks": ("scirs_neural.tasks.registry", "TASKS"),
    "fields": ("scirs_neural.data.registry", "FIELDS"),
    "pipelines": ("scirs_neural.data.registry", "PIPELINES"),
}
_SINGULAR = {"loss": "losses", "data": "data"}


def registry(kind: str) -> Registry:
    """The registry of a kind, in the plural or the singular.

    Raises:
        UnknownNameError: there is no such kind.

    Example:
        >>> "resnet50" in registry("models"), registry("loss").kind
        (True, 'loss')
    """
    plural = kind if kind in REGISTRIES else _SINGULAR.get(kind, f"{kind}s")
    if plural not in REGISTRIES:
        raise UnknownNameError(
            f"unknown kind '{kind}'", suggestions=did_you_mean(kind, REGISTRIES), fix=f"one of {', '.join(REGISTRIES)}"
        )
    module, attribute = REGISTRIES[plural]
    table: Registry = getattr(import_module(module), attribute)
    return table


def find(asked: str) -> list[tuple[Registry, str]]:
    """The registries that know a name, each with the name in it.

    Args:
        asked: a name of any kind, or ``kind:name``.

    Raises:
        UnknownNameError: none does; the error holds the nearest names of all kinds.

    Example:
        >>> [table.kind for table, _ in find("linear")]
        ['layer', 'scheduler']
    """
    kind, colon, name = asked.partition(":")
    if colon:
        table = registry(kind)
        table.entry(name)
        return [(table, name)]
    tables = [registry(kind) for kind in REGISTRIES]
    matches = [(table, asked) for table in tables if asked in table]
    if not matches:
        suggestions = did_you_mean(asked, [name for table in tables for name in table.names()])
        raise UnknownNameError(
            f"nothing is called '{asked}'", suggestions=suggestions, see="python -m scirs_neural.list"
        )
    return matches
