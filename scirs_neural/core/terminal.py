"""What a run says on the terminal: a header, one line an epoch, a summary, and tables.

Every function takes plain data and prints it. Nothing is lost in a pipe: the text that we add is ASCII, long values
wrap instead of being cut, commands and paths are never broken, and what colour says is also said in words.
``NO_COLOR`` and ``TERM=dumb`` are obeyed by rich.
"""

from __future__ import annotations

import math
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from scirs_neural.core.clean import clean

_UNBROKEN = 1000  # columns in a pipe: one row, one line
_INDENT = 2
_GAP = 2
_CELL = 9  # the width of -1.23e-05
_BEST = "best"
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def console(*, file: IO[str] | None = None, width: int | None = None) -> Console:
    """The console to print on: plain text, no markup, no guessing of what to highlight.

    Args:
        file: write here instead of to standard output.
        width: columns; None asks the terminal, ``COLUMNS``, or takes 80 in a pipe.
    """
    file = getattr(sys.stdout, "unclean", None) if file is None else file  # colours are ours
    return _Console(file=file, width=width, highlight=False, markup=False, emoji=False)


class _Console(Console):
    """Cleans what it is given, before it adds colours."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)


def wide_console() -> Console:
    """The console of long tables: as wide as the terminal; in a pipe a row is one line, whatever its length."""
    return console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNBROKEN)


def header(on: Console, facts: Mapping[str, Any], *, title: str | None = None) -> None:
    """Print what a run is made of: one label a line, its value beside it, wrapped under itself.

    Args:
        on: where to print.
        facts: label to value. A mapping is shown as ``key value, key value``, a list one item a line; whole numbers get
            thousands separators; None and empty values are left out.
        title: a line above, such as the package and its version.

    Example:
        >>> header(console(width=60), {"model": {"name": "resnet18", "parameters": 11173962}, "seed": 0}, title="run")
        run
          model  name resnet18, parameters 11,173,962
          seed   0
    """
    if title:
        on.print(Text(title, style="bold"))
    shown = {label: _lines(value) for label, value in facts.items() if value not in (None, "", [], {}, ())}
    _print_pairs(on, shown, label_style="cyan")


def epoch_line(
    on: Console,
    epoch: int,
    max_epochs: int,
    values: Mapping[str, float | None],
    *,
    seconds: float,
    best: bool = False,
    head: bool = False,
) -> None:
    """Print one epoch on one line.

    The widths depend only on the names, so lines printed apart stand in columns. Values that do not fit the width any
    more follow below, each with its name.

    Args:
        on: where to print.
        epoch: counted from 1.
        max_epochs: how many there will be.
        values: such as ``{"train/loss": …, "val/loss": …, "val/accuracy": …, "lr": …}``; None is shown as ``-``.
        seconds: that the epoch took.
        best: whether it is the best one so far.
        head: print the line of names first: for the first epoch.

    Example:
        >>> epoch_line(console(width=60), 3, 10, {"val/loss": 0.25, "lr": 1e-3}, seconds=4.21, best=True, head=True)
        epoch   val/loss         lr     time
         3/10     0.2500  1.000e-03    4.2 s  best
    """
    first = max(len("epoch"), 2 * len(str(max_epochs)) + 1)
    tail = max(len("time"), 7) + _GAP + len(_BEST) + _GAP
    space_left = on.width - first - tail
    names: list[str] = []
    for name in values:
        space_left -= _GAP + max(_CELL, len(name))
        if space_left < 0:
            break
        names.append(name)
    gap = " " * _GAP
    if head:
        cells = ["epoch".rjust(first), *(name.rjust(_CELL) for name in names), "time".rjust(7)]
        _print_whole(on, Text(gap.join(cells), style="bold"))
    cells = [f"{epoch}/{max_epochs}".rjust(first)]
    cells += [
        number(values[name], fixed=True, rate=name.startswith("lr")).rjust(max(_CELL, len(name))) for name in names
    ]
    cells += [duration(seconds).rjust(7)]
    line = Text(gap.join(cells))
    if best:
        line.append(gap + _BEST, style="bold green")
    _print_whole(on, line)
    rest = [f"{name} {number(value, fixed=True)}" for name, value in values.items() if name not in names]
    if rest:
        on.print(Padding(Text(", ".join(rest)), (0, 0, 0, first + _GAP)))


def summary(on: Console, result: Mapping[str, Any]) -> None:
    """Print how a run ended: its score, what was written, and what to type next.

    Args:
        on: where to print.
        result: every key may be missing.
            "score": ``{"name": "test accuracy", "value": 0.98, "low": 0.96, "high": 0.99, "samples": 360}``, the bounds
            being those of the 95 % interval, and ``"percent": False`` for what is no fraction; "facts": label to
            value, as in `header`; "folder": the run folder;
            "written": file (relative to the folder) to what it holds; "next": what a command does to the command.

    Example:
        >>> score = {"name": "test accuracy", "value": 0.9806, "low": 0.9605, "high": 0.9906, "samples": 360}
        >>> summary(console(width=80), {"score": score, "next": {"see": "python -m scirs_neural.info runs/1"}})
        test accuracy 98.06 %   95 % interval 96.05 % to 99.06 %, 360 samples
        next
          # see
          python -m scirs_neural.info runs/1
    """
    score = result.get("score")
    if score:
        value = _score_value(score, "value")
        on.print(Text(f"{score['name']} ").append(value, style="bold green").append(_interval(score)))
    if result.get("facts"):
        header(on, result["facts"])
    if result.get("folder"):
        _print_whole(on, Text("written ", style="bold").append(str(result["folder"]), style="not bold"))
        _print_pairs(on, {name: [what] for name, what in (result.get("written") or {}).items()}, value_style="dim")
    if result.get("next"):
        on.print(Text("next", style="bold"))
        for what, command in result["next"].items():
            _print_whole(on, Text(f"  # {what}", style="dim"))
            _print_whole(on, Text(f"  {command}", style="cyan"))


def table(on: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table: numbers right, text left, cells wrapped rather than cut.

    Args:
        on: where to print.
        columns: the heads.
        rows: cells in the order of the columns; numbers are formatted by `number`, None is shown as ``-``.
        title: a line above.

    Example:
        >>> table(console(width=40), ["run", "loss"], [["a", 0.5], ["b", None]])  # doctest: +NORMALIZE_WHITESPACE
         run   loss
        ------------
         a      0.5
         b        -
    """
    body = [list(row) for row in rows]
    grid = Table(box=_RULED, pad_edge=True, show_edge=False, header_style="bold", padding=(0, 1))
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in body)
        all_numbers = numeric and all(row[index] is None or isinstance(row[index], int | float) for row in body)
        grid.add_column(clean(column), justify="right" if all_numbers else "left", overflow="fold")
    for row in body:
        grid.add_row(*(Text(clean(number(value))) for value in row))  # its width is that of what is printed
    if title:
        on.print(Text(title, style="bold"))
    on.print(grid)


def number(value: Any, *, fixed: bool = False, rate: bool = False) -> str:
    """A number as people read it: whole ones with thousands separators, others with four significant digits.

    Args:
        value: anything but a number is shown as it is; None as ``-``.
        fixed: at least four decimals, for columns of losses.
        rate: scientific, for learning rates.

    Example:
        >>> number(23528522), number(0.123456), number(0.0000123456), number(0.5, fixed=True), number(3e-4, rate=True)
        ('23,528,522', '0.1235', '1.235e-05', '0.5000', '3.000e-04')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if rate or (value != 0 and not 1e-3 <= abs(value) < 1e5):
        return f"{value:.3e}"
    return f"{value:.4f}" if fixed else f"{value:.4g}"


def count(value: float) -> str:
    """A large count with an SI prefix, three digits.

    Example:
        >>> count(23528522), count(1298), count(12), count(4.09e9)
        ('23.5 M', '1.3 k', '12', '4.09 G')
    """
    for scale, prefix in _SI:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}"
    return f"{value:.3g}"


def percent(value: float) -> str:
    """A fraction as a percentage with two decimals.

    Example:
        >>> percent(0.98056)
        '98.06 %'
    """
    return f"{100 * value:.2f} %"


def duration(seconds: float) -> str:
    """A time span in the unit that suits it.

    Example:
        >>> duration(0.0123), duration(4.21), duration(75), duration(3725)
        ('12 ms', '4.2 s', '1m 15s', '1h 02m')
    """
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


_RULED = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)  # a rule under the heads, all ASCII


def _interval(score: Mapping[str, Any]) -> Text:
    parts = []
    if score.get("low") is not None:
        parts.append(f"95 % interval {_score_value(score, 'low')} to {_score_value(score, 'high')}")
    if score.get("samples") is not None:
        parts.append(f"{number(score['samples'])} samples")
    return Text(f"   {', '.join(parts)}" if parts else "", style="not bold default")


def _score_value(score: Mapping[str, Any], key: str) -> str:
    return percent(score[key]) if score.get("percent", True) else number(score[key], fixed=True)


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [", ".join(f"{key} {number(item)}" for key, item in value.items() if item is not None)]
    if isinstance(value, list | tuple):
        return [line for item in value for line in _lines(item)]
    return [number(value)]


def _print_pairs(
    on: Console, pairs: Mapping[str, Sequence[str]], *, label_style: str = "", value_style: str = ""
) -> None:
    """Print labels and beside each its lines, wrapped between words only and indented under the first."""
    width = max(map(len, pairs), default=0)
    indent = " " * (_INDENT + width + _GAP)
    space_left = max(20, on.width - len(indent))
    for label, lines in pairs.items():
        wrapped = [
            part
            for line in lines
            for part in textwrap.wrap(line, space_left, break_long_words=False, break_on_hyphens=False) or [""]
        ]
        first = Text(" " * _INDENT).append(label.ljust(width + _GAP), style=label_style)
        _print_whole(on, first.append(wrapped[0], style=value_style))
        for part in wrapped[1:]:
            _print_whole(on, Text(indent + part, style=value_style))


def _print_whole(on: Console, text: Text) -> None:
    """Print on one line, however long: what is to be copied must not be broken."""
    on.print(text, soft_wrap=True)
