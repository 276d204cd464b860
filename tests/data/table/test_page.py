"""docs/tables.md is true: its snippets run, and its commands are accepted."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from scirs_neural.train import main

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"
COMMANDS = list(re.findall(r"^    python -m scirs_neural\.train (.*)$", PAGE.read_text(), re.MULTILINE))


def test_the_snippets_run():
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 10
    assert not found.failed


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_pass_their_check(command, tmp_path, monkeypatch, capsys):
    from sklearn.datasets import load_wine

    wine = load_wine(as_frame=True).frame.rename(columns={"target": "cultivar"})
    wine.assign(cultivar=[f"no {c}" for c in wine.cultivar], region=["n", "s"] * 89).to_csv(tmp_path / "wine.csv")
    monkeypatch.chdir(tmp_path)
    assert not main([*shlex.split(command), "--check"])
