"""Words that a practitioner would stumble over stay out of code, comments, docstrings, messages and docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What was said -> what is said now. Names of code are matched as they are written, words of prose in any case.
RETIRED_NAMES = {
    "run_door": "run_command", "near_names": "did_you_mean", "LeanSteps": "FastPath", "AtRest": "StepBoundary",
    "go_on_alone": "continue_on_rank_zero", "agreed": "broadcast_from_rank_zero", "_handed_down": "run_dir_env",
    "Watching": "PruningCallback", "is_hopeless": "should_prune", "Placed": "OrderedCallback",
    "in_order": "topological_sort", "Guess": "Prediction", "Spread": "ShardedStrategy, FoldStatistics",
    "Around": "Wrapper", "Leaf": "LayerNode", "Operate": "OperationNode", "add_up": "flush", "Quick": "DeferredMetric",
    "PROMISES": "CAPABILITIES", "OWN": "BUILTIN", "is_own": "typed", "_is_own": "typed",
}  # fmt: skip
RETIRED_WORDS = {
    "door": "command, the guard", "doors": "commands", "room": "package", "rooms": "packages", "house": "design",
    "verb": "command", "verbs": "commands", "promises": "capabilities",
    "dealings": "repeats", "dealing": "fold assignment", "guess": "predict", "guesses": "predictions",
    "visualize/": "plots/", "share of": "fraction of", "of itself": "its metadata, its description",
    "that is none": "not a …", "a number that is none": "non-finite", "half done": "at a step boundary",
    "nothing is half": "at a step boundary", "near names": "suggestions",
}  # fmt: skip

SUFFIXES = (".py", ".md", ".yaml", ".toml")
FOLDERS = ("scirs_neural", "docs", "configs", "recipes", "benchmarks")

_NAMES = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, RETIRED_NAMES))})(?!\w)")
_WORDS = re.compile(rf"(?<![\w-])({'|'.join(w.replace(' ', chr(92) + 's+') for w in RETIRED_WORDS)})(?![\w-])", re.I)


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
    return [*found, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def retired(text: str) -> list[str]:
    """The retired words in a text, each with its line."""
    lines = text.splitlines()
    return [
        f"line {number}: {match[0]}"
        for number, line in enumerate(lines, 1)
        for pattern in (_NAMES, _WORDS)
        for match in pattern.finditer(line)
    ]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_retired_word(path):
    assert retired(path.read_text(encoding="utf-8")) == []


def test_the_check_sees_words_and_names():
    text = "the Doors print\nclass Around(Optimizer):\nleaf modules, around\nwhat it says of itself\noutdoors"
    assert retired(text) == ["line 1: Doors", "line 2: Around", "line 4: of itself"]
