"""docs/text.md and docs/segmentation.md are true: their commands pass ``--check``, and their Python runs."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from scirs_neural import train
from scirs_neural.core.command import run_command

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = ("text", "segmentation")
COMMANDS = [
    (page, line.strip())
    for page in PAGES
    for line in (DOCS / f"{page}.md").read_text().splitlines()
    if line.startswith("    python -m scirs_neural.train ")
]
SNIPPETS = [
    (page, code)
    for page in PAGES
    for code in re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.S)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader of the pages has: reviews in a file and in a folder, and scans with masks of three classes."""
    with open(tmp_path / "reviews.csv", "w", newline="") as file:
        csv.writer(file).writerows([["review", "stars"], *[["good film", "five"], ["bad film", "one"]] * 20])
    for mood in ("pos", "neg"):
        (tmp_path / "reviews" / mood).mkdir(parents=True)
        for number in range(20):
            (tmp_path / "reviews" / mood / f"{number}.txt").write_text(f"{mood} {number}")
    for kind in ("images", "masks"):
        (tmp_path / "scans" / kind).mkdir(parents=True)
    for number, scan in enumerate(load_digits().images[:30]):
        Image.fromarray((scan * 15.9).astype(np.uint8)).save(tmp_path / "scans" / "images" / f"{number}.png")
        Image.fromarray((scan // 6).astype(np.uint8)).save(tmp_path / "scans" / "masks" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value[-40:])
def test_commands_can_be_run(folder: Path, page: str, command: str) -> None:
    assert run_command(train.main, ["--check", *shlex.split(command)[3:]]) == 0


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda value: value.splitlines()[0])
def test_python_runs(page: str, code: str) -> None:
    exec(compile(code, f"docs/{page}.md", "exec"), {"__name__": "snippet"})


def test_both_pages_have_some() -> None:
    assert {page for page, _ in COMMANDS} == set(PAGES)
    assert len(SNIPPETS) >= 2
