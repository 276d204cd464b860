"""Row 72: runs killed anywhere and resumed have the bytes of the run that never was: weights, optimizer, metrics."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.training.killing import POINTS, cases
from tests.training.recipes import RECIPES

AT_EACH_LANDING = 2  # which ones, the commit decides; all of them run before a release


def run(python: Any, *args: str) -> list[dict[str, Any]]:
    done: subprocess.CompletedProcess[str] = python("-m", "tests.training.killing", *args)
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def commit() -> int:
    """A number from the commit that is tested; 0 where there is no repository."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return int(found.stdout.strip() or "0", 16)


def faults(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [outcome for outcome in outcomes if outcome["differ"]]


def test_the_matrix_is_whole() -> None:
    assert len(cases()) == len(RECIPES) * 2 * 2 * len(POINTS) == 8 * 2 * 2 * 12


@pytest.mark.feature(72)
def test_a_part_of_the_matrix_that_moves_on_with_every_commit(python: Any) -> None:
    stride = len(cases()) // AT_EACH_LANDING
    outcomes = run(python, str(commit() % stride), str(stride))
    assert len(outcomes) == AT_EACH_LANDING
    assert faults(outcomes) == []


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_the_whole_matrix(python: Any) -> None:
    outcomes = run(python)
    assert len(outcomes) == len(cases())
    assert faults(outcomes) == []
