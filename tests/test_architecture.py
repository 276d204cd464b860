"""The rules that a reader relies on: who imports whom, where Lightning's Trainer lives, how long a file is."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scirs_neural"
FILES = sorted(PACKAGE.rglob("*.py"))

# docs/design.md. A package imports from itself and from lower levels. `guard` stands below whatever reads files of
# others, settings too: it is the only way in for them.
LEVELS = {
    "core": 0, "guard": 0, "config": 0,
    "layers": 1, "losses": 1, "optim": 1, "metrics": 1, "evaluation": 1, "plots": 1,
    "models": 2, "builder": 2, "data": 2,
    "interop": 3, "serialization": 3,
    "tasks": 4,
    "training": 5, "plugins": 5,
    "runs": 6, "tuning": 6, "interpretation": 6,
    "deploy": 7,
    "research": 8,
}  # fmt: skip
TOP = 9  # commands and the other modules at the top
SAME_LEVEL = {  # (who, may import whom) within one level
    ("config", "core"), ("config", "guard"), ("guard", "core"), ("plots", "evaluation"), ("models", "builder"),
    ("training", "plugins"), ("tuning", "runs"), ("interpretation", "runs"),
}  # fmt: skip
COMMANDS = {
    "train", "evaluate", "predict", "export", "benchmark", "compress", "serve", "explain", "diagram", "dataset",
    "compare", "list", "info", "inspect", "convert", "package", "tune", "doctor", "__main__",
}  # fmt: skip
MAX_COMMAND_LINES, MAX_FILE_LINES = 120, 450
OUR_NAME = "scirs_neural"


def package_of(module: str) -> str:
    """The package of a dotted name below the package: "" for what stands at the top."""
    first = module.removeprefix(OUR_NAME).lstrip(".").partition(".")[0]
    return first if first in LEVELS else ""


def level(name: str) -> int:
    return LEVELS.get(name, TOP)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[tuple[int, str]]:
    """Every import of ours in a file with its line, those within functions and for type checkers too."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return [(line, name) for line, name in found if name.partition(".")[0] == OUR_NAME]


def import_strings(path: Path) -> list[tuple[int, str]]:
    """Texts that name a module of ours: in the registries' tables."""
    texts = (
        (node.lineno, node.value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return [
        (line, text.partition(":")[0]) for line, text in texts if text.startswith(OUR_NAME + ".") and " " not in text
    ]


def breaches(path: Path, found: list[tuple[int, str]]) -> list[str]:
    mine = package_of(dotted(path))
    wrong = []
    for line, name in found:
        other = package_of(name)
        is_public_name = other == "" and name != OUR_NAME and name.removeprefix(OUR_NAME + ".") == "__version__"
        if other == mine or is_public_name or (mine, other) in SAME_LEVEL or level(other) < level(mine):
            continue
        wrong.append(
            f"{path.relative_to(ROOT)}:{line}: {mine or 'the top'} ({level(mine)}) imports {name} ({level(other)})"
        )
    return wrong


def test_every_exception_within_a_level_is_used():
    planned = {
        ("plugins", "training"),
        ("interpretation", "runs"),
        ("builder", "models"),
    }  # by docs/design.md, for what is still to come
    used = {
        (package_of(dotted(path)), package_of(name))
        for path in FILES
        for _, name in [*imports(path), *import_strings(path)]
    }
    assert SAME_LEVEL - used <= planned


def test_every_folder_is_a_package_with_a_level():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_a_package_imports_only_from_lower_levels(path):
    assert breaches(path, imports(path)) == []


def test_tables_of_import_strings_keep_to_it_too():
    """But for kinds of predictions, which tasks bring, and for networks of the zoo that the builder builds."""
    tables = [path for path in FILES if path.name == "registry.py" and package_of(dotted(path)) != "core"]
    assert len(tables) >= 9
    found = [(path, text) for path in tables for text in breaches(path, import_strings(path))]
    by_name = {"evaluation": "imports scirs_neural.tasks.", "models": "imports scirs_neural.builder.unet"}
    upward = [text for path, text in found if by_name.get(path.parent.name, text + " ") not in text]
    assert upward == []


def test_the_checks_above_see_a_breach(tmp_path):
    source = "def f():\n    from scirs_neural.training.trainer import Trainer\n"
    path = PACKAGE / "layers" / "imagined.py"
    node = ast.parse(source).body[0].body[0]
    assert breaches(path, [(node.lineno, f"{node.module}.Trainer")])
    assert breaches(path, [(1, "scirs_neural.losses.focal")])  # a neighbour on the same level
    assert not breaches(path, [(1, "scirs_neural.core.errors"), (1, "scirs_neural.layers.attention")])


def import_graph(sources: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Which of these modules imports which, inside functions too, but not for type checkers alone."""
    graph: dict[str, set[str]] = {}
    for name, parsed in sources.items():
        graph[name] = set()
        typing_only = {
            id(node)
            for block in ast.walk(parsed)
            if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
            for node in ast.walk(block)
        }
        for node in ast.walk(parsed):
            if id(node) in typing_only:
                continue
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & sources.keys()
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    graph[name] |= {full if full in sources else node.module} & sources.keys()
    return graph


def lazy_names(parsed: ast.Module) -> dict[str, str]:
    """The public names that a package imports at their first use (see `core.lazy`): name to module."""
    names = (node.func for node in ast.walk(parsed) if isinstance(node, ast.Call))
    calls = {name.id for name in names if isinstance(name, ast.Name)}
    blocks = [node for node in parsed.body if isinstance(node, ast.If)] if "lazy" in calls else []
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1 or name in graph[name]:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def test_no_modules_import_each_other_not_even_inside_functions():
    sources = {dotted(path): tree(path) for path in FILES}
    graph = import_graph(sources)
    public = {name: lazy_names(parsed) for name, parsed in sources.items()}
    for path in FILES:  # a public name of a package is an import of the module that defines it
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module in public and dotted(path) not in public[node.module]:
                homes = {public[node.module].get(alias.name) for alias in node.names}
                if path.name != "__init__.py":
                    graph[dotted(path)] |= homes & sources.keys()
    assert cycles(graph) == []


def test_the_check_above_sees_a_cycle():
    sources = {
        "a": ast.parse("from b import x"),
        "b": ast.parse("def f():\n    from c import y\n"),
        "c": ast.parse("import a"),
        "d": ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import e"),
        "e": ast.parse("import d"),
    }
    assert cycles(import_graph(sources)) == [["a", "b", "c"]]


def test_level_0_and_the_package_names_need_no_torch(python):
    names_of_packages = [dotted(path) for path in PACKAGE.glob("*/__init__.py")]
    level_0 = [dotted(path) for name in ("core", "config") for path in (PACKAGE / name).glob("*.py")]
    heavy = {"torch", "numpy", "lightning", "torchvision", "sklearn", "matplotlib"}
    names = [*level_0, *names_of_packages, OUR_NAME]
    code = f"import sys\nfor name in {names}: __import__(name)\nprint(sorted({heavy} & set(sys.modules)))"
    ended = python("-c", code)
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.parametrize("path", [path for path in FILES if package_of(dotted(path)) != "training"], ids=dotted)
def test_lightning_s_trainer_is_used_in_one_package_only(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in (
            "lightning",
            "pytorch_lightning",
        ):
            assert "Trainer" not in {alias.name for alias in node.names}, f"{path}:{node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr == "Trainer" and isinstance(node.value, ast.Name):
            assert node.value.id not in ("L", "pl", "lightning"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_only_commands_and_the_terminal_print(path):
    is_command = path.parent == PACKAGE or path in (PACKAGE / "core/terminal.py", PACKAGE / "core/command.py")
    is_script = 'if __name__ == "__main__":' in path.read_text()  # such as layers/capabilities.py, a page for the docs
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert is_command or is_script or calls == []


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_a_file_is_one_idea(path):
    is_command = path.parent == PACKAGE and path.stem in COMMANDS
    assert len(path.read_text().splitlines()) <= (MAX_COMMAND_LINES if is_command else MAX_FILE_LINES)
    assert path.stem not in ("utils", "util", "helpers", "misc", "common", "manager")
