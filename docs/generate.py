"""Write the generated pages: ``make docs``."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from scirs_neural.layers.declared_capabilities import capabilities, to_markdown

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "features.md"
LAYERS = ROOT / "docs" / "layers.md"
HEAD = """# Features, and the tests that show them

Written by `make docs` from the `@pytest.mark.feature(n)` marks in `tests/`; n is the feature's row in the plan.

| feature | shown by |
|---|---|
"""


class Collector:
    """Keeps what pytest collects."""

    items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Called when every test is known."""
        self.items = session.items


def rows(items: Iterable[pytest.Item]) -> list[str]:
    """The table's rows: each feature with the tests that carry its mark, parametrised ones once."""
    found: dict[int, set[str]] = {}
    for item in items:
        for mark in item.iter_markers("feature"):
            for number in mark.args:
                found.setdefault(number, set()).add(item.nodeid.partition("[")[0])
    return [f"| {n} | {'<br>'.join(f'`{test}`' for test in sorted(found[n]))} |" for n in sorted(found)]


def main() -> None:
    """Write the page of layers; collect the tests and write the page of features."""
    LAYERS.write_text(to_markdown(capabilities().values()))
    collector = Collector()
    with contextlib.redirect_stdout(io.StringIO()):
        status = pytest.main(["--collect-only", "-qq", str(ROOT / "tests")], [collector])
    if status:
        sys.exit(status)
    page = rows(collector.items)
    PAGE.write_text(HEAD + "\n".join(page) + "\n")
    print(f"{len(page)} features in {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
