"""Say what a model file is and what is in it: ``python -m scirs_neural.inspect FILE``. Nothing in it is executed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command

SHOWN, FACTS, WIDEST = 20, 12, 300


def main(argv: list[str]) -> int | None:
    """Name a file's kind, its tensors and its metadata; 2 if it would be refused."""
    parser = Arguments("python -m scirs_neural.inspect", description=__doc__)
    parser.add_argument("file", help="a file or folder: package, safetensors, torch, Lightning, ONNX, .pt2, …")
    parser.add_argument("--all", action="store_true", help=f"every tensor and fact, not the first {SHOWN} and {FACTS}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)
    from scirs_neural.serialization.describe import describe_file

    description = describe_file(args.file)
    if args.json:
        print(json.dumps(description.to_dict(), indent=2))
        return 2 if description.refused else None
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in description.dtypes.items())
    facts: dict[str, Any] = {
        "file": description.path,
        "kind": f"{description.title} ({description.kind})",
        "size": f"{description.num_bytes:,} bytes",
    }
    if description.tensors:
        facts["tensors"] = f"{len(description.tensors):,} with {description.num_values:,} numbers: {dtypes}"
    if description.refused:
        facts["refused"] = description.refused.removeprefix("refused: ").removeprefix("refused, and ")
    console = terminal.console()
    said = list(description.facts.items()) if args.all else list(description.facts.items())[:FACTS]
    terminal.summary(console, {"facts": {**facts, **{_short(key): _short(value) for key, value in said}}})
    if len(said) < len(description.facts):
        print(f"… and {len(description.facts) - len(said):,} more facts: --all")
    shown: Sequence[Any] = description.tensors if args.all else description.tensors[:SHOWN]
    if shown:
        rows = [[t.name, t.dtype, "x".join(map(str, t.shape)) or "scalar", f"{math.prod(t.shape):,}"] for t in shown]
        terminal.table(console, ["tensor", "dtype", "shape", "numbers"], rows)
    if len(shown) < len(description.tensors):
        print(f"… and {len(description.tensors) - len(shown):,} more tensors: --all")
    return 2 if description.refused else None


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= WIDEST else f"{printable[:WIDEST]}…"


if __name__ == "__main__":
    sys.exit(run_command(main))
