"""Lines of code by package: without docstrings, comments and blank lines.

python benchmarks/code_lines.py                    # as the tree is
python benchmarks/code_lines.py --against v0.1.0   # and what has changed since a revision
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "scirs_neural"
# What the generality of tasks costs; the last was the name of plots.
GROUP = (
    "training",
    "runs",
    "tasks",
    "data",
    "plugins",
    "evaluation",
    "plots",
    "visualize",
)  # what the generality of tasks costs
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
    tokenize.ENCODING,
}  # fmt: skip


def code_lines(source: str) -> int:
    r"""The number of lines that hold code.

    Example:
        >>> code_lines("def f():\n    'Says what.'\n\n    return [  # numbers\n        1,\n    ]\n")
        4
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            lines.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(lines)


def by_package(sources: Iterable[tuple[str, str]]) -> Counter[str]:
    """Lines by package, of (path, source) pairs. Modules at the top count as "commands"."""
    counts: Counter[str] = Counter()
    for path, source in sources:
        parts = path.split("/")
        counts[parts[1] if len(parts) > 2 else "commands"] += code_lines(source)
    return counts


def present() -> Iterable[tuple[str, str]]:
    """The files of the working tree."""
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def of_revision(revision: str) -> Iterable[tuple[str, str]]:
    """The files of a revision."""
    names = _git("ls-tree", "-r", "--name-only", revision, PACKAGE).splitlines()
    for name in names:
        if name.endswith(".py"):
            yield name, _git("show", f"{revision}:{name}")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", metavar="REVISION", help="of git, to compare with")
    asked = parser.parse_args(argv)
    now = by_package(present())
    before = by_package(of_revision(asked.against)) if asked.against else now
    print(f"{'package':<62}{'now':>8}" + (f"{'before':>8}{'change':>8}" if asked.against else ""))
    for name in sorted({*now, *before}):
        _row(name, before[name], now[name])
    _row("+".join(GROUP), sum(before[name] for name in GROUP), sum(now[name] for name in GROUP))
    _row("all", before.total(), now.total())


def _row(name: str, before: int, now: int) -> None:
    change = f"{before:>8,}{now - before:>+8,}" if before != now else ""
    percent = f"{100 * (now - before) / before:>+8.1f} %" if change and before else ""
    print(f"{name:<62}{now:>8,}{change}{percent}")


if __name__ == "__main__":
    main()
