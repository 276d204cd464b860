"""``python -m scirs_neural.info NAME``: everything about one name. Answers for models without importing torch."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from inspect import Parameter
from typing import Any

from rich.console import Console

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.registries import find
from scirs_neural.core.registry import Registry
from scirs_neural.core.terminal import count, header, table, wide_console
from scirs_neural.layers.declared_capabilities import Row, capabilities
from scirs_neural.models.cache import cached_file
from scirs_neural.models.catalog import ModelEntry, WeightsEntry, catalogue
from scirs_neural.models.vision.families import FAMILIES, SMALL_BY_DEFAULT, SMALL_INPUT, SMALL_INPUT_OF


def main(argv: list[str]) -> int | None:
    """Print what is known of a name, once for each kind of thing that it names."""
    parser = Arguments(
        prog="python -m scirs_neural.info",
        description="Show everything about one model, data set, layer, loss, optimizer, scheduler, metric, …",
        epilog="python -m scirs_neural.info resnet50",
    )
    parser.add_argument("name", help="a name that python -m scirs_neural.list shows; KIND:NAME chooses among several")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(argv)
    described = [describe(registry, name) for registry, name in find(asked.name)]
    if asked.json:
        print(json.dumps(described, indent=1, default=str))
        return None
    on = wide_console()
    for index, facts in enumerate(described):
        if index:
            on.print()
        _show(on, facts)
    return None


def describe(registry: Registry, name: str) -> dict[str, Any]:
    """What is known of a name: plain data."""
    entry = registry.entry(name)
    model = catalogue().get(name) if registry.kind == "model" else None
    options = {
        key: "required" if value is Parameter.empty else repr(value) for key, value in registry.options(name).items()
    }
    target = entry.target if isinstance(entry.target, str) else f"{entry.target.__module__}:{entry.target.__qualname__}"
    facts: dict[str, Any] = {"name": name, "kind": registry.kind, "summary": entry.summary}
    if model is not None:
        facts |= _model_facts(model)
    if registry.kind == "layer" and name in capabilities():
        facts |= _layer_facts(capabilities()[name])
    facts |= {"target": target, "options": options}
    return facts if model is None else {**facts, "weights": [_weights_facts(weights) for weights in model.weights]}


def _model_facts(model: ModelEntry) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "task": model.task,
        "family": model.family,
        "paper": f"{model.paper}, {model.year}",
        "licence": f"{model.licence} (code)",
        "input": f"(N, {model.in_channels}, {model.input_size}, {model.input_size})",
        "output": f"(N, {model.num_classes})",
        "parameters": model.num_params,
        "MACs": f"{count(model.macs)} a sample",
    }
    if model.family in FAMILIES:
        has_small = FAMILIES[model.family].layout.small is not None
        up_to = SMALL_INPUT_OF.get(model.family, SMALL_INPUT)
        by_default = f"; stem=auto takes small up to {up_to} px" if model.family in SMALL_BY_DEFAULT else ""
        facts["stem"] = f"standard or small{by_default}" if has_small else "standard"
    return facts


def _layer_facts(row: Row) -> dict[str, Any]:
    """The layer's contract: the shapes of an example, and what torch can do with the layer."""
    kept = {
        "bfloat16 autocast": row.autocast,
        "torch.compile as one graph": row.compile,
        "torch.export": row.export,
        "ONNX": row.onnx,
    }
    return {"input": row.inputs, "output": row.output} | {
        what: "yes" if works else "no" for what, works in kept.items()
    }


def _weights_facts(weights: WeightsEntry) -> dict[str, Any]:
    return {**asdict(weights), "path": str(cached_file(weights)), "cached": cached_file(weights).is_file()}


def _show(on: Console, facts: dict[str, Any]) -> None:
    header(on, {key: facts[key] for key in facts if key not in ("name", "options", "weights")}, title=facts["name"])
    if facts["options"]:
        table(on, ["option", "default"], [list(row) for row in facts["options"].items()])
    rows = [
        [
            weights["name"],
            weights["metrics"].get("acc@1"),
            weights["input_size"],
            round(weights["size_mb"]),
            weights["licence"],
            "yes" if weights["cached"] else "no",
        ]
        for weights in sorted(facts.get("weights", []), key=lambda weights: not weights["default"])
    ]
    if rows:
        table(on, ["weights, DEFAULT first", "top-1 %", "px", "MB", "licence", "cached"], rows)


if __name__ == "__main__":
    sys.exit(run_command(main))
