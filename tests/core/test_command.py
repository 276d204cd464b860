"""How commands end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError


def raising(error):
    def verb(argv):
        raise error

    return verb


@pytest.mark.parametrize(("answer", "status"), [(None, 0), (0, 0), (1, 1)])
def test_a_verb_s_answer_is_the_status(answer, status):
    assert run_command(lambda argv: answer, ["a"]) == status


def test_an_error_of_the_user_s_is_printed_without_traceback(capsys, monkeypatch):
    monkeypatch.delenv("SCIRS_DEBUG", raising=False)
    assert run_command(raising(ConfigError("no", fix="yes")), []) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: no\n  fix    yes\n")


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_debugging_shows_the_traceback(capsys, monkeypatch, value, shown):
    monkeypatch.setenv("SCIRS_DEBUG", value)
    assert run_command(raising(ConfigError("no")), []) == 2
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_ctrl_c_ends_with_130(capsys):
    assert run_command(raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_faults_of_ours_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()), [])


@pytest.mark.parametrize("lines", [1, 200_000])
def test_a_reader_that_went_away_is_no_error(lines):
    code = f"""
import sys
from scirs_neural.core.command import run_command
def verb(argv):
    for i in range({lines}): print("line", i)
sys.exit(run_command(verb, []))
"""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_what_a_terminal_would_obey_is_not_printed(capsys):
    """Case S7: names in files are a stranger's words; colours are ours."""
    from scirs_neural.core import terminal

    evil = "a\x1b[31m\x9b2J\x07\rb\u202egnp.c"

    def main(argv):
        print(evil, file=sys.stderr)
        sys.stdout.writelines([evil])
        on = terminal.console(width=200)
        on.print(evil)
        terminal.header(on, {evil: {evil: evil}}, title=evil)
        terminal.epoch_line(on, 1, 2, {evil: 1.0}, seconds=1.0, head=True)
        terminal.summary(
            on, {"score": {"name": evil, "value": 0.5}, "folder": evil, "written": {evil: evil}, "next": {evil: evil}}
        )
        terminal.table(on, ["name", evil], [[evil, 1]], title=evil)
        colours = terminal.Console(file=sys.stdout.unclean, force_terminal=True, color_system="standard")
        colours.print("red", style="red")
        raise ConfigError(evil, where=evil, fix=evil)

    assert run_command(main, []) == 2
    printed = capsys.readouterr()
    assert not set("\x9b\x07\r\u202e") & set(printed.out + printed.err)
    assert printed.out.count("\x1b") == 2, "the two of our own colour"
    assert "\x1b" not in printed.err
    assert printed.out.count("a?[31m?2J") == printed.out.count("b?gnp.c") >= 12, "no cell is cut"


@pytest.mark.parametrize(
    ("debugged", "said"), [("", "warning: a column is passed over\n"), ("1", "UserWarning: a column")]
)
def test_a_warning_is_said_without_a_place_in_our_code(debugged, said):
    code = """
import warnings
from scirs_neural.core.command import run_command

run_command(lambda argv: warnings.warn("a column is passed over"), [])
"""
    env = {**os.environ, "SCIRS_DEBUG": debugged}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert said in ended.stderr
    assert ("<string>" in ended.stderr) is bool(debugged)
