"""The terminal at 80 and 120 columns, in a pipe, with colour and with NO_COLOR."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from scirs_neural.core import terminal

FACTS = {
    "versions": {"scirs_neural": "0.1.0", "python": "3.11.7", "torch": "2.15.0", "lightning": "2.6.6"},
    "device": "cpu, 2 threads, 32-true",
    "run": {"folder": "runs/digits-resnet50/3", "seed": 0},
    "model": {"name": "resnet50", "parameters": 23528522, "MACs": terminal.count(1.298e9)},
    "data": [
        {"name": "digits", "train": 1257, "val": 180, "test": 360, "classes": 10},
        "built in: came with scikit-learn; nothing was fetched, and nothing will be on the next run either",
    ],
    "optimizer": ["adamw: 54 tensors with weight decay 0.05, 107 without"],
    "nothing": None,
}
RESULT = {
    "score": {"name": "test accuracy", "value": 0.98056, "low": 0.9605, "high": 0.99059, "samples": 360},
    "facts": {"best": {"epoch": 4, "val/accuracy": 0.9944}, "time": terminal.duration(133.0)},
    "folder": "/a/long/way/down/to/the/place/where/somebody/keeps/all/of/the/runs/digits-resnet50/3",
    "written": {
        "report.html": "everything on one page",
        "checkpoints/best.ckpt": "epoch 4",
        "package/": "for predict and serve",
    },
    "next": {
        "scores on the test set, with intervals": "python -m scirs_neural.evaluate "
        "/a/long/way/down/to/the/place/where/runs/digits-resnet50/3",
        "classify your own files": "python -m scirs_neural.predict runs/digits-resnet50/3 'photos/*.png'",
    },
}
VALUES = {"train/loss": 0.8123, "val/loss": 0.4121, "val/accuracy": 0.8912, "lr": 1e-3}


def printed(width: int, draw, **options) -> str:
    file = io.StringIO()
    on = Console(file=file, width=width, **options) if options else terminal.console(file=file, width=width)
    draw(on)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_header_fits_and_loses_nothing(width):
    text = printed(width, lambda on: terminal.header(on, FACTS, title="scirs_neural 0.1.0"))
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for needed in (
        "23,528,522",
        "MACs 1.3 G",
        "runs/digits-resnet50/3",
        "next run either",
        "train 1,257",
        "107 without",
    ):
        assert needed in flat
    assert "nothing" not in [line.split()[0] for line in text.splitlines()]
    assert text.isascii()


@pytest.mark.parametrize("width", [80, 120])
def test_epoch_lines_stand_in_columns(width):
    def draw(on):
        terminal.epoch_line(on, 1, 10, VALUES, seconds=12.34, head=True)
        terminal.epoch_line(on, 10, 10, {**VALUES, "val/loss": None, "train/loss": float("nan")}, seconds=75, best=True)

    head, first, second = printed(width, draw).splitlines()
    assert max(len(head), len(first), len(second)) <= width
    for name, value in {"val/loss": "0.4121", "val/accuracy": "0.8912", "lr": "1.000e-03", "time": "12.3 s"}.items():
        end = head.index(name) + len(name)
        assert first[:end].endswith(value)
    assert second.split() == ["10/10", "nan", "-", "0.8912", "1.000e-03", "1m", "15s", "best"]


def test_values_that_do_not_fit_follow_below():
    many = {**VALUES, "val/balanced_accuracy": 0.5, "val/calibration_error": 0.01}
    text = printed(80, lambda on: terminal.epoch_line(on, 1, 9, many, seconds=1, head=True))
    head, line, rest = text.splitlines()
    assert "balanced" not in head
    assert rest.split() == ["val/balanced_accuracy", "0.5000,", "val/calibration_error", "0.0100"]
    assert len(rest) <= 80
    assert line.split()[0] == "1/9"


@pytest.mark.parametrize("width", [80, 120])
def test_summary_leaves_commands_and_paths_whole(width):
    lines = printed(width, lambda on: terminal.summary(on, RESULT)).splitlines()
    assert lines[0] == "test accuracy 98.06 %   95 % interval 96.05 % to 99.06 %, 360 samples"
    for command in RESULT["next"].values():
        assert f"  {command}" in lines
    assert f"written {RESULT['folder']}" in lines


def test_summary_of_a_run_without_a_test_set():
    assert printed(80, lambda on: terminal.summary(on, {})) == ""
    text = printed(80, lambda on: terminal.summary(on, {"score": {"name": "val accuracy", "value": 0.5}}))
    assert text == "val accuracy 50.00 %\n"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_table_wraps_instead_of_cutting(width):
    rows = [["runs/digits-resnet50/1", 0.98123, 23528522], ["runs/digits-with-a-very-long-name-indeed/12", None, 7]]
    heads = ["run", "accuracy", "parameters"]
    text = printed(width, lambda on: terminal.table(on, heads, rows, title="runs"))
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii()
    for whole in ("0.9812", "23,528,522"):
        assert whole in text
    assert "indeed/12" in text.replace("\n", "").replace(" ", "")


def test_colour_only_on_a_terminal_and_never_with_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in printed(80, lambda on: terminal.summary(on, RESULT))
    coloured = printed(80, lambda on: terminal.summary(on, RESULT), force_terminal=True, color_system="standard")
    assert "\x1b[36m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = printed(80, lambda on: terminal.summary(on, RESULT), force_terminal=True, color_system="standard")
    assert "\x1b[3" not in plain
    assert "\x1b[1;3" not in plain


def test_user_text_is_neither_markup_nor_emoji():
    text = printed(80, lambda on: terminal.header(on, {"run": "runs/[red]/:smile:"}))
    assert "runs/[red]/:smile:" in text


def test_ascii_pipe_in_a_c_locale():
    code = (
        "from scirs_neural.core import terminal as t; c = t.console();"
        "t.header(c, {'seed': 0}, title='x'); t.table(c, ['a'], [[1]]);"
        "t.epoch_line(c, 1, 2, {'loss': 1.0}, seconds=1, best=True)"
    )
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[-1] == "best"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0, "0"), (-1234567, "-1,234,567"), (True, "True"), (float("inf"), "inf"), ("x", "x")],
)
def test_numbers(value, text):
    assert terminal.number(value) == text
