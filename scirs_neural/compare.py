"""``python -m scirs_neural.compare RUN RUN [...]``: which run is better on the same test set, and how sure that is."""

from __future__ import annotations

import json
import sys
from typing import Any

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.runs.comparison import SPLITS, compare_runs


def main(argv: list[str]) -> int | None:
    """Compare runs by their saved predictions: no net is loaded, nothing is run again."""
    parser = Arguments(prog="python -m scirs_neural.compare", description=main.__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, such as runs/digits-resnet50/1")
    parser.add_argument("--split", choices=SPLITS, help="whose predictions (default: test, or what all runs have)")
    parser.add_argument("--metric", help="by which (default: the one that ranks epochs)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args(argv)
    found = compare_runs(args.runs, split=args.split, metric=args.metric, seed=args.seed)
    if args.json:
        print(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _show(found)
    return None


def _show(found: dict[str, Any]) -> None:
    on = terminal.console()
    names = list(found["runs"])
    metrics = found["metrics"]
    first = metrics[names[0]]
    rows = [["parameters", *(terminal.number(found["parameters"][name]) for name in names)]]
    rows += [[metric, *(_with_interval(metrics[name][metric]) for name in names)] for metric in first]
    terminal.table(on, [f"{found['split']}, {found['samples']:,} samples", *names], rows)
    if found["config"]:
        on.print()
        rows = [[key, *(_setting(values[name]) for name in names)] for key, values in found["config"].items()]
        terminal.table(on, ["setting", *names], rows)
    corrected = f", corrected for {len(found['pairs'])} pairs (Holm)" if len(found["pairs"]) > 1 else ""
    for pair in found["pairs"]:
        on.print()
        points, low, high = (_gap(pair[key], found["percent"]) for key in ("difference", "low", "high"))
        within = "no interval: resampling costs too much" if pair["low"] is None else f"95 % interval {low} to {high}"
        facts = {found["metric"]: f"{points}{' points' if found['percent'] else ''}, {within}"}
        if pair["only_a"] is not None:
            facts["right"] = f"{pair['only_b']} samples only in {pair['b']}, {pair['only_a']} only in {pair['a']}"
        p_value = "unknown: permutations cost too much" if pair["p_holm"] is None else terminal.number(pair["p_holm"])
        facts["p"] = f"{p_value} ({pair['test']}{corrected})"
        terminal.header(on, facts, title=f"{pair['b']} against {pair['a']}: {pair['verdict']}")


def _gap(value: float | None, percent: bool) -> str:
    return "-" if value is None else f"{100 * value:+.2f}" if percent else f"{value:+.4g}"


def _with_interval(score: dict[str, float | None]) -> str:
    value = terminal.number(score["value"], fixed=True)
    if score["low"] is None or score["high"] is None:
        return value
    return f"{value} ({score['low']:.4f} to {score['high']:.4f})"


def _setting(value: Any) -> str:
    return "-" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(run_command(main))
