"""``python -m scirs_neural.list [KIND [PATTERN]]``: which names there are. Answers without importing torch."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.registries import REGISTRIES, registry
from scirs_neural.core.registry import Registry
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.core.terminal import count, table, wide_console
from scirs_neural.models import catalogue, list_models

_FILTERS = ("task", "family", "max_params", "has_weights")
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_MODEL_KEYS = ("name", "summary", "family", "task", "num_params", "macs", "input_size")
_MODEL_COLUMNS = ["name", "params", "MACs", "px", "best weights, ImageNet top-1 %"]


def main(argv: list[str]) -> int | None:
    """Print the kinds, or the names of one kind."""
    asked = _parser().parse_args(argv)
    rows: list[dict[str, Any]]
    if asked.kind is None:
        rows = [{"kind": kind, "names": len(registry(kind))} for kind in REGISTRIES]
        _show(asked.json, rows, ["kind", "names"], [list(row.values()) for row in rows])
        return None
    entries = registry(asked.kind)
    filters = {key: getattr(asked, key) for key in _FILTERS if getattr(asked, key) is not None}
    if entries.kind == "model":
        rows = [_model_row(name, entries) for name in _names(entries, asked.pattern, filters)]
        columns, cells = _MODEL_COLUMNS, [_model_cells(row) for row in rows]
    elif filters:
        raise ConfigError("--task, --max-params, --has-weights and --family choose among models only")
    else:
        rows = [{"name": name, "summary": entries.entry(name).summary} for name in _names(entries, asked.pattern, {})]
        columns, cells = ["name", "what it is"], [list(row.values()) for row in rows]
    _show(asked.json, rows, columns, cells)
    return None


def parse_count(text: str) -> int:
    """A count as people write it.

    Example:
        >>> parse_count("10M"), parse_count("500k"), parse_count("2.5e6")
        (10000000, 500000, 2500000)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmgb]?)", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a count: write 10M, 500k or 2500000")
    return int(float(match[1]) * _SCALES[match[2]])


def _parser() -> Arguments:
    parser = Arguments(
        prog="python -m scirs_neural.list",
        description="Show the names that can be used in a configuration or in Python.",
        epilog="python -m scirs_neural.list models 'resnet*' --max-params 30M",
    )
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(REGISTRIES)}; without it: the kinds")
    parser.add_argument("pattern", nargs="?", help="with * and ?; or a part of the name")
    parser.add_argument("--task", help="models for this task")
    parser.add_argument("--family", help="models of this family, such as efficientnet_v2")
    parser.add_argument("--max-params", type=parse_count, metavar="N", help="models of at most so many parameters: 10M")
    parser.add_argument("--has-weights", action="store_true", default=None, help="models with published weights")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _names(entries: Registry, pattern: str | None, filters: dict[str, Any]) -> list[str]:
    pattern = pattern or "*"
    wild = pattern if set("*?[") & set(pattern) else f"*{pattern}*"
    names = list_models(wild, **filters) if filters else entries.names(wild)
    if not names:
        suggestions = [] if entries.names(wild) else did_you_mean(pattern.strip("*?"), entries.names())
        what = f"no {entries.kind} matches '{pattern}'{' and the other conditions' if filters else ''}"
        raise UnknownNameError(what, suggestions=suggestions, see=f"python -m scirs_neural.list {entries.plural}")
    return names


def _model_row(name: str, entries: Registry) -> dict[str, Any]:
    entry = catalogue().get(name)
    if entry is None:  # registered by the user: what it is, only building it would tell
        return {"name": name, "summary": entries.entry(name).summary, "weights": {}}
    weights = {w.name: w.metrics.get("acc@1") for w in sorted(entry.weights, key=lambda w: not w.default)}
    return {**{key: getattr(entry, key) for key in _MODEL_KEYS}, "weights": weights}


def _model_cells(row: dict[str, Any]) -> list[Any]:
    if "macs" not in row:
        return [row["name"], "-", "-", None, shorten(row["summary"], len(_MODEL_COLUMNS[-1]), placeholder=" …")]
    sizes = [f"{count(row[key]):>6}" for key in ("num_params", "macs")]
    more = len(row["weights"]) - 1
    best = next((f"{name} {top1:.1f}" for name, top1 in row["weights"].items()), "-")
    return [row["name"], *sizes, row["input_size"], best + (f" +{more}" if more > 0 else "")]


def _show(as_json: bool, rows: list[dict[str, Any]], columns: Sequence[str], cells: list[list[Any]]) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        table(wide_console(), columns, cells)


if __name__ == "__main__":
    sys.exit(run_command(main))
