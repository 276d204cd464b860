"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lazy(namespace: dict[str, Any], modules: Mapping[str, Sequence[str]]) -> None:
    """Give a package its public names without importing the modules that define them.

    Sets ``__all__``, ``__getattr__`` and ``__dir__``. The package names the same objects under ``TYPE_CHECKING``, for
    type checkers and editors.

    Args:
        namespace: ``globals()`` of the package's ``__init__``.
        modules: module, relative to the package, to the public names that it defines.

    Example:
        >>> package = {"__name__": "scirs_neural.core"}
        >>> lazy(package, {"errors": ["ConfigError"]})
        >>> package["__all__"], package["__getattr__"]("ConfigError").__name__
        (['ConfigError'], 'ConfigError')
    """
    package = namespace["__name__"]
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(module_of[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*namespace, *module_of})

    namespace.update(__all__=sorted(module_of), __getattr__=__getattr__, __dir__=__dir__)
