"""What torch can do with each shipped layer, as `scirs_neural.layers.capabilities` measured it. Read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from scirs_neural.core.paths import atomic_write
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.registry import SHIPPED

FILE = Path(__file__).with_name("capabilities.json")
CAPABILITIES = ("autocast", "compile", "export", "onnx")


@dataclass(frozen=True)
class Row:
    """The capabilities of one layer.

    Args:
        name: of the layer.
        inputs: the shapes that its example takes; ``i(9) (4, 7)`` are whole numbers below 9.
        output: the shape that they give.
        autocast: runs under bfloat16 autocast, close to its result in float32.
        compile: `torch.compile` captures it as one graph, with the same result.
        export: `torch.export` captures it, with the same result.
        onnx: becomes an ONNX model that gives the same result in ONNX Runtime.
    """

    name: str
    inputs: str
    output: str
    autocast: bool
    compile: bool
    export: bool
    onnx: bool


@cache
def capabilities() -> dict[str, Row]:
    """The capabilities of every shipped layer, by name.

    Example:
        >>> capabilities()["linear"].output, capabilities()["linear"].export
        ('(4, 3)', True)
    """
    return {name: Row(name, **held) for name, held in json.loads(FILE.read_text(encoding="utf-8")).items()}


def write(rows: Iterable[Row]) -> None:
    """Write the capabilities into the package, one layer a line."""
    lines = [
        f"{json.dumps(row.name)}: {json.dumps({k: v for k, v in asdict(row).items() if k != 'name'})}" for row in rows
    ]
    atomic_write(FILE, "{\n" + ",\n".join(lines) + "\n}\n")


def to_markdown(rows: Iterable[Row]) -> str:
    """The table as a page."""
    lines = [
        "# Layers",
        "",
        "Written by `make docs` from what `python -m scirs_neural.layers.capabilities --write` found; tests hold both",
        "against the code. One layer: `python -m scirs_neural.info NAME`.",
        "",
        "Each cell is found by trying the layer's example on the CPU: autocast to bfloat16; `torch.compile` as one",
        "graph; `torch.export`; ONNX compared in ONNX Runtime. i(9) are whole numbers below 9. No layer uses",
        "TorchScript, which torch has deprecated.",
        "",
        "| layer | is | from | input | output | autocast | compile | export | ONNX |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        target, summary, _ = SHIPPED[row.name]
        home = "here" if row.name in BUILTIN else target.partition(":")[0]
        marks = " | ".join("yes" if getattr(row, capability) else "no" for capability in CAPABILITIES)
        lines.append(f"| `{row.name}` | {summary} | {home} | {row.inputs} | {row.output} | {marks} |")
    return "\n".join(lines) + "\n"
