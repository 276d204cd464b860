"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any


def lazy(namespace: dict[str, Any]) -> None:
    """Give a package its public names without importing the modules that define them.

    The names are those that the package imports under ``TYPE_CHECKING``: type checkers, editors and Python read one
    list. Sets ``__all__``, ``__getattr__`` and ``__dir__``.

    Args:
        namespace: ``globals()`` of the package's ``__init__``.

    Example:
        >>> import scirs_neural.losses as package
        >>> package.__all__[:2], package.create_loss.__module__
        (['CompositeLoss', 'LOSSES'], 'scirs_neural.losses.create')
    """
    package = namespace["__name__"]
    source = namespace["__spec__"].loader.get_source(package)
    checked = (node for block in ast.parse(source).body if isinstance(block, ast.If) for node in block.body)
    imports = (node for node in checked if isinstance(node, ast.ImportFrom))
    module_of = {alias.name: str(node.module) for node in imports for alias in node.names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*namespace, *module_of})

    namespace.update(__all__=sorted(module_of), __getattr__=__getattr__, __dir__=__dir__)
