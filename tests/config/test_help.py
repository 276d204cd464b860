"""The help of the doors that take a configuration: everything that can be set, whole at every width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from scirs_neural.config.compose import Request
from scirs_neural.config.help import print_help
from scirs_neural.config.validate import all_settings
from scirs_neural.runs.groups import config_groups


def shown(width: int, **how: bool) -> str:
    text = io.StringIO()
    print_help(
        Console(file=text, width=width, highlight=False, markup=False, **how), "usage: it", Request(), config_groups()
    )
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_every_setting_group_and_choice_is_there_whole(home, width):
    text = shown(width)
    lines = text.splitlines()
    names = {line.split()[0] for line in lines if line.startswith("  ") and line.strip()}
    assert set(all_settings()) <= names
    assert {"model", "data", "task", "optimizer", "scheduler", "callbacks", "trainer", "experiment"} <= names
    for whole in ("32-true|16-mixed|bf16-mixed|bf16-true|16-true|64-true", "classification", "sgd"):
        assert whole in text
    assert max(map(len, lines)) <= width + 4  # but for what cannot be broken
    assert "Optional[" not in text
    assert "<class" not in text


def test_values_are_those_of_the_configuration_not_of_the_schema(home):
    text = " ".join(shown(120).split())
    assert "optimizer.name text = adamw" in text
    assert "optimizer.lr number = 0.002; peak learning rate" in text


def test_the_user_s_values_are_there_too(home, write):
    write("configs/experiment/mine.yaml", "# @package _global_\nseed: 3\n")
    assert "experiment  fine_tuning images mine regression" in shown(100)


def test_colour_is_the_only_difference_on_a_terminal(home):
    import re

    coloured = shown(80, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(80)
