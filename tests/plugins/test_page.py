"""docs/plugins.md is true: its command passes ``--check``, its files are written and its program runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from scirs_neural import train
from scirs_neural.core.command import run_command
from scirs_neural.plugins import PLUGINS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text()


def test_its_command_can_be_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^    python -m scirs_neural\.train (.*)$", PAGE, re.MULTILINE)
    assert run_command(train.main, [*shlex.split(command), "--check"]) == 0, capsys.readouterr().err
    assert "ema {'decay': 0.99" in capsys.readouterr().out


def test_its_plugin_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own, use = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    Path("noise.py").write_text(own)
    try:
        exec(compile(use, "docs/plugins.md", "exec"), {})
    finally:
        PLUGINS._entries.pop("noise", None)


def test_it_names_every_shipped_plugin_and_its_options() -> None:
    for name in ("ema", "swa"):
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        for option in PLUGINS.options(name):
            assert f"`{option}`" in row
