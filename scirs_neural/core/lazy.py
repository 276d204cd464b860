"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

_PUBLIC = re.compile(r"^    from (\S+) import (\w+) as \2$", re.MULTILINE)
"""How a name is made public to type checkers."""


def lazy(namespace: dict[str, Any]) -> None:
    """Give a package its public names without importing the modules that define them.

    The names are those that the package imports under ``TYPE_CHECKING``, a line each (``from package
    import part as part`` is a subpackage): type checkers, editors and Python read one list. Sets ``__all__``,
    ``__getattr__`` and ``__dir__``.

    Args:
        namespace: ``globals()`` of the package's ``__init__``.

    Example:
        >>> import scirs_neural.losses as package
        >>> package.__all__[:2], package.create_loss.__module__
        (['CompositeLoss', 'LOSSES'], 'scirs_neural.losses.create')
    """
    package = namespace["__name__"]
    source = namespace["__spec__"].loader.get_source(package)
    module_of = {name: module for module, name in _PUBLIC.findall(source)}

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if module_of[name] == package:  # a subpackage
            return import_module(f"{package}.{name}")
        return getattr(import_module(module_of[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*namespace, *module_of})

    namespace.update(__all__=sorted(module_of), __getattr__=__getattr__, __dir__=__dir__)
