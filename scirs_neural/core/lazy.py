"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy(namespace: dict[str, Any]) -> None:
    """Give a package the names that it imports under ``TYPE_CHECKING``, each imported when it is first used.

    So the names stand once: type checkers and editors read the same block. Sets ``__all__``, ``__getattr__`` and
    ``__dir__``.

    Args:
        namespace: ``globals()`` of the package's ``__init__``.

    Example:
        >>> import scirs_neural.losses as package
        >>> "create_loss" in package.__all__, package.create_loss.__module__
        (True, 'scirs_neural.losses.create')
    """
    package = namespace["__name__"]
    module_of = names_for_type_checkers(ast.parse(Path(namespace["__file__"]).read_text(encoding="utf-8")))

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*namespace, *module_of})

    namespace.update(__all__=sorted(module_of), __getattr__=__getattr__, __dir__=__dir__)


def names_for_type_checkers(source: ast.Module) -> dict[str, str]:
    """The names that a package's ``__init__`` imports under ``TYPE_CHECKING``, each with its module."""
    return {
        alias.name: str(node.module)
        for block in source.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
