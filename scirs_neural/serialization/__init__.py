"""The portable package format (docs/format.md), and conversion between formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.serialization.package import (
        Package,
        PackageFacts,
        inspect_package,
        load_package,
        migrate_package,
        save_package,
        verify_package,
    )

__all__ = [
    "Package",
    "PackageFacts",
    "inspect_package",
    "load_package",
    "migrate_package",
    "save_package",
    "verify_package",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("scirs_neural.serialization.package"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
