"""Public names: those that type checkers see, each where it is said to be."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scirs_neural"
PACKAGES = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "lazy(globals())" in path.read_text()]


def name_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(PACKAGE.parent).parts)


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_what_type_checkers_see_is_what_is_there(path):
    blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    package = import_module(name_of(path))
    assert sorted(seen) == package.__all__
    for name, full in seen.items():
        module, _, attribute = full.rpartition(".")
        assert getattr(package, name) is getattr(import_module(module), attribute)
        assert name in dir(package)


def test_no_package_writes_a_getattr_of_its_own():
    assert [str(path) for path in PACKAGE.rglob("__init__.py") if "def __getattr__" in path.read_text()] == []


def test_an_unknown_name_is_an_attribute_error():
    import scirs_neural

    with pytest.raises(AttributeError, match="module 'scirs_neural' has no attribute 'create_modle'"):
        scirs_neural.create_modle  # noqa: B018


TOP = [name for name in import_module("scirs_neural").__all__ if (PACKAGE / name / "__init__.py").is_file()]


@pytest.mark.parametrize("name", TOP)
def test_a_subpackage_is_reached_in_a_fresh_interpreter(python, name):
    ended = python("-c", f"import scirs_neural as sn; print(sn.{name}.__name__, *sn.{name}.__all__)")
    assert ended.stdout.split() == [f"scirs_neural.{name}", *import_module(f"scirs_neural.{name}").__all__], (
        ended.stderr
    )


def test_every_subpackage_with_public_names_is_one():
    with_names = {path.parent.name for path in PACKAGES if path.parent.parent == PACKAGE}
    assert with_names - {"guard"} == set(TOP)  # the guard is not for users


def test_every_name_that_a_page_uses_is_there_in_a_fresh_interpreter(python):
    pages = [PACKAGE.parent / "README.md", *(PACKAGE.parent / "docs").glob("*.md")]
    used = sorted({name for page in pages for name in re.findall(r"\bsn(?:\.\w+)+", page.read_text())})
    assert len(used) > 15
    code = f"import scirs_neural as sn\nfor name in {used}:\n    eval(name)\n"
    ended = python("-c", code)
    assert ended.returncode == 0, ended.stderr
