"""Write the generated pages: ``make docs``. ``--check`` only says whether they are up to date."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Features, and the tests that show them

Written by `make docs` from the `@pytest.mark.feature(n)` marks in `tests/`; n is the feature's row in the plan.

| feature | shown by |
|---|---|
"""


def marked_tests() -> dict[int, list[str]]:
    """Feature numbers, each with the tests that carry its mark."""
    found: dict[int, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for number in _numbers(node.decorator_list):
                    found.setdefault(number, []).append(f"{file.relative_to(ROOT).as_posix()}::{node.name}")
    return dict(sorted(found.items()))


def _numbers(decorators: list[ast.expr]) -> list[int]:
    calls = [d for d in decorators if isinstance(d, ast.Call) and ast.unparse(d.func) == "pytest.mark.feature"]
    return [int(ast.literal_eval(argument)) for call in calls for argument in call.args]


def features_page() -> str:
    """The page as Markdown."""
    rows = [f"| {number} | {'<br>'.join(f'`{test}`' for test in tests)} |" for number, tests in marked_tests().items()]
    return HEAD + "\n".join(rows) + "\n"


def main() -> None:
    """Write the page, or look whether it is up to date."""
    page = ROOT / "docs" / "features.md"
    if "--check" in sys.argv[1:]:
        sys.exit(
            None if page.is_file() and page.read_text() == features_page() else "docs/features.md is old: make docs"
        )
    page.write_text(features_page())
    print(f"{len(marked_tests())} features in {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
