"""The pages are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_every_marked_test_is_on_the_page_of_features(request: pytest.FixtureRequest) -> None:
    page = (ROOT / "docs" / "features.md").read_text()
    lines = {int(line.split("|")[1]): line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()}
    for item in request.session.items:
        for mark in item.iter_markers("feature"):
            for number in mark.args:
                assert f"`{item.nodeid.partition('[')[0]}`" in lines.get(number, ""), f"make docs: {item.nodeid}"


def test_contributing_is_short_and_names_in_the_design_exist() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60
    design = (ROOT / "docs" / "design.md").read_text()
    for path in re.findall(r"`((?:core|config|data|models|optim|tests|docs)/[\w./]+\.\w+)`", design):
        assert (ROOT / path).is_file() or (ROOT / "scirs_neural" / path).is_file(), path


def test_every_module_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    for module in set(re.findall(r"python -m scirs_neural\.(\w+)", readme)):
        assert (ROOT / "scirs_neural" / f"{module}.py").is_file(), module
