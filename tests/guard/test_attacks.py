"""The attack corpus: every file is refused by our own error, soon, in little memory, and does nothing else.

The files are made and opened by attack_server.py, in one process beside this one; what it saw is judged here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scirs_neural.guard import BUDGETS
from tests.guard import attacks

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
Case = dict[str, Any]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Case]]:
    folder = tmp_path_factory.mktemp("attacks")
    command = [sys.executable, "-B", "-W", "ignore", "-m", "tests.guard.attack_server", str(folder / "files")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert not list(folder.rglob(attacks.CANARY))
    cases: dict[str, list[Case]] = {}
    for line in ended.stdout.splitlines():
        case = json.loads(line)
        cases.setdefault(case["family"], []).append(case)
    return cases


def shown(cases: list[Case]) -> list[str]:
    return [json.dumps(case) for case in cases]


@pytest.mark.feature(108)
def test_the_corpus_is_as_large_as_it_should_be(seen: dict[str, list[Case]]) -> None:
    assert len(seen) == len(attacks.FAMILIES) >= 40
    assert sum(map(len, seen.values())) >= 600
    assert all(seen.values())


@pytest.mark.parametrize("family", attacks.FAMILIES)
def test_every_file_is_refused_by_our_own_error(seen: dict[str, list[Case]], family: str) -> None:
    assert shown([case for case in seen[family] if case["outcome"] != "refused"]) == []


@pytest.mark.parametrize("family", attacks.FAMILIES)
def test_no_file_makes_its_reader_do_anything_else(seen: dict[str, list[Case]], family: str) -> None:
    """No file written, no socket, no process: an audit hook saw everything that Python did."""
    assert shown([case for case in seen[family] if case["did"]]) == []


@pytest.mark.parametrize("family", attacks.FAMILIES)
def test_refusing_is_cheap(seen: dict[str, list[Case]], family: str) -> None:
    """CPU seconds of the process and its peak of memory, not time on the clock: the machine may be busy."""
    dear = [case for case in seen[family] if case["sec"] > BUDGETS.refusal_sec or case["mib"] > BUDGETS.refusal_mib]
    assert shown(dear) == []


def test_what_watches_would_see_it(tmp_path: Path) -> None:
    """The watcher is real: a reader that unpickles is caught by it, and leaves the canary."""
    code = f"""
import json, pathlib, pickle
from tests.guard import attack_server, attacks
folder = pathlib.Path({str(tmp_path)!r})
path = attacks.put(folder / "bad", attacks.calls_pickled())
read = lambda path: pickle.loads(path.read_bytes())
print(json.dumps(attack_server.in_a_fork(read, [path], folder)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    (case,) = json.loads(ended.stdout)
    assert case["outcome"] == "taken"
    assert any("os.system" in did for did in case["did"])
    assert any("changed" in did for did in case["did"])
    assert (tmp_path / attacks.CANARY).exists()
