"""Public names: those that type checkers see, imported at their first use."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scirs_neural"
PACKAGES = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "lazy(" in path.read_text()]


def name_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(PACKAGE.parent).parts)


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_what_type_checkers_see_is_what_is_there(path):
    (block,) = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    package = import_module(name_of(path))
    assert sorted(seen) == package.__all__
    for name, module in seen.items():
        assert getattr(package, name) is getattr(import_module(module), name)
        assert name in dir(package)


def test_no_package_writes_a_getattr_of_its_own():
    assert [str(path) for path in PACKAGE.rglob("__init__.py") if "def __getattr__" in path.read_text()] == []


def test_an_unknown_name_is_an_attribute_error():
    import scirs_neural

    with pytest.raises(AttributeError, match="module 'scirs_neural' has no attribute 'create_modle'"):
        scirs_neural.create_modle  # noqa: B018
