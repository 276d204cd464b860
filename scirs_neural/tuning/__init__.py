"""Searching among settings. Composed by us, driven by Optuna, kept in one study folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.tuning.search import Search as Search
    from scirs_neural.tuning.space import parse_space as parse_space

_PUBLIC = {"Search": "scirs_neural.tuning.search", "parse_space": "scirs_neural.tuning.space"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
