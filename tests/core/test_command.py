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
