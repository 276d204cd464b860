"""The page on security says what the code does."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from scirs_neural.guard import BUDGETS
from tests.guard import attacks

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_the_page_has_every_budget_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,.]+) \|", PAGE, re.MULTILINE))
    assert rows == {name: f"{value:,}" for name, value in asdict(BUDGETS).items()}


def test_the_page_has_the_number_of_families() -> None:
    assert f"{len(attacks.FAMILIES)} families" in PAGE
