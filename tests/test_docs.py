"""The pages are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_generated_pages_are_up_to_date() -> None:
    checked = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_contributing_is_short_and_names_in_the_design_exist() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60
    design = (ROOT / "docs" / "design.md").read_text()
    for path in re.findall(r"`((?:core|config|data|models|optim|tests|docs)/[\w./]+\.\w+)`", design):
        assert (ROOT / path).is_file() or (ROOT / "scirs_neural" / path).is_file(), path


def test_every_module_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    for module in set(re.findall(r"python -m scirs_neural\.(\w+)", readme)):
        assert (ROOT / "scirs_neural" / f"{module}.py").is_file(), module
