"""docs/configuration.md is true: its files are written, and its commands run (with ``--check``) among them."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from scirs_neural import train
from scirs_neural.core.command import run_command
from tests.training.tiny import TINY

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "configuration.md").read_text()
BLOCKS = [
    textwrap.dedent(block).strip("\n") for block in re.findall(r"(?:^(?: {4}.*)?\n)*^ {4}.*\n", PAGE, re.MULTILINE)
]
COMMAND = "python -m scirs_neural.train "
ANSWERS = ("--show", "--cfg", "trainer.fast_dev_run=true")


def snippets() -> tuple[dict[str, str], list[str]]:
    """The files, by the path in their first line, and the commands."""
    files, commands = {}, []
    for block in BLOCKS:
        lines = [line for line in block.splitlines() if not line.startswith(COMMAND)]
        commands += [line for line in block.splitlines() if line.startswith(COMMAND)]
        if lines and (found := re.fullmatch(r"# (\S+\.(?:yaml|py))", lines[0])):
            text = "\n".join(lines) if found[1].endswith(".py") else "\n".join(lines[1:])
            files[found[1]] = text.strip() + "\n"
    return files, commands


FILES, COMMANDS = snippets()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader of the page works."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_files_and_commands() -> None:
    assert set(FILES) == {
        "configs/optimizer/careful.yaml", "configs/trainer/default.yaml", "configs/experiment/mine.yaml",
        "configs/lab.yaml", "mine.py",
    }  # fmt: skip
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_does_what_it_says(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--from" in command:
        (folder / "runs/digits-cnn/1").mkdir(parents=True)
        assert run_command(train.main, ["--cfg", "job", *TINY]) == 0
        (folder / "runs/digits-cnn/1/config.yaml").write_text(capsys.readouterr().out)
    arguments = shlex.split(command.removeprefix(COMMAND))
    check = [] if any(word in command for word in ANSWERS) else ["--check"]
    assert run_command(train.main, [*arguments, *check]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "ok: this configuration can be run" in said or not check
    if "--show optimizer" in command:
        shown = next(block for block in BLOCKS if block.startswith("optimizer:\n"))
        for line in shown.splitlines()[1:]:
            value, _, source = line.partition("#")
            assert re.search(re.escape(value.rstrip()) + r" +# .*" + re.escape(source.strip()), said), line
