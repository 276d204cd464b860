"""Row 72: runs killed anywhere end, once resumed, with the bytes of the run that never was: weights, optimizer, metrics."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import Any

import pytest

from tests.training.killing import POINTS, cases
from tests.training.recipes import RECIPES

EACH_DAY = 5  # cases; the whole matrix comes round in eleven weeks, and runs before a release


def run(python: Any, *args: str) -> list[dict[str, Any]]:
    done: subprocess.CompletedProcess[str] = python("-m", "tests.training.killing", *args)
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [outcome for outcome in outcomes if outcome["differ"]]


def test_the_matrix_is_whole() -> None:
    assert len(cases()) == len(RECIPES) * 2 * 2 * len(POINTS) == 8 * 2 * 2 * 12


@pytest.mark.feature(72)
def test_a_part_of_the_matrix_that_moves_on_every_day(python: Any) -> None:
    stride = len(cases()) // EACH_DAY
    outcomes = run(python, str(date.today().toordinal() % stride), str(stride))
    assert len(outcomes) >= EACH_DAY
    assert faults(outcomes) == []


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_the_whole_matrix(python: Any) -> None:
    outcomes = run(python)
    assert len(outcomes) == len(cases())
    assert faults(outcomes) == []
