"""One way from an import string to the thing it names.

``"torch.nn:Linear"`` names an attribute of an importable module; ``"./my_net.py:Net"`` one of a file of the user's.
Only strings that the package itself or the user typed come here, never one that was read from a file: saved settings
are held to that by `scirs_neural.config.imports`, and tests/guard/test_import_origins.py lists all callers.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean


def resolve(target: str, *, where: str | None = None) -> Any:
    """Import what an import string names.

    Args:
        target: ``"package.module:attribute"`` or ``"path/to/file.py:attribute"``; the attribute may be dotted.
        where: where the string came from, for the error.

    Raises:
        ConfigError: the module or file cannot be imported, or the string has no ``:``.
        UnknownNameError: the module has no such attribute.

    Example:
        >>> resolve("math:sqrt")(9.0)
        3.0
    """
    module_name, colon, attribute = target.rpartition(":")
    if not colon or not module_name or not attribute:
        fix = "write package.module:name or file.py:name"
        raise ConfigError(f"'{target}' is not an import string", where=where, fix=fix)
    module = load_file(module_name, where=where) if is_file(module_name) else _import(module_name, where)
    thing: Any = module
    for part in attribute.split("."):
        if not hasattr(thing, part):
            names = [name for name in vars(module) if not name.startswith("_")]
            raise UnknownNameError(
                f"'{module_name}' has no '{attribute}'", where=where, suggestions=did_you_mean(attribute, names)
            )
        thing = getattr(thing, part)
    return thing


def is_file(name: str) -> bool:
    """Whether a name means a Python file rather than a module."""
    return name.endswith(".py")


def load_file(path: str, *, where: str | None = None) -> ModuleType:
    """Import a Python file once, under a name made from its full path: two files may have the same name."""
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise ConfigError(f"no such file: {path}", where=where)
    name = f"scirs_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str, where: str | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(f"no module named '{name}'", where=where) from error
        raise
