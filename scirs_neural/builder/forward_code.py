"""The source of a network's ``forward``: straight-line code, one statement a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any

from scirs_neural.builder.node_specs import InputSpec, NodeSpec
from scirs_neural.builder.operations import OPERATIONS


def write_code(inputs: Sequence[InputSpec], nodes: Sequence[NodeSpec], outputs: Any) -> str:
    """The source of ``forward``. Variables are used again once their value is not needed, so memory is freed early."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        last.update({x: index for x in node.operands if isinstance(x, str)})
    last.update({name: len(nodes) for name in flat(outputs)})
    arguments = [spec.name for spec in inputs]
    variable = {name: name for name in arguments}
    free: list[str] = []
    body: list[str] = []
    for index, node in enumerate(nodes):
        operands = [variable[x] if isinstance(x, str) else repr(x) for x in node.operands]
        for name in dict.fromkeys(x for x in node.operands if isinstance(x, str)):
            if last[name] == index:
                free.insert(0, variable[name])
        target = free.pop(0) if free else f"h{len(set(variable.values()))}"
        variable[node.name] = target
        code = (
            OPERATIONS.get(str(node.target)).code(operands, node.options)
            if not node.module
            else _call(node.module, operands)
        )
        body.append(f"{target} = {code}")
    result = _returned(outputs, variable)
    text = "\n".join(f"        {row}" for row in body) or "        pass"
    listed = ", ".join(arguments)
    return (
        f"def forward(self, {listed}):\n    given = ({listed},)\n    try:\n{text}\n"
        f"    except (RuntimeError, IndexError, ValueError) as error:\n"
        f"        self.explain(error, given)\n        raise\n    return {result}\n"
    )


def _call(path: str, operands: list[str]) -> str:
    if path.isidentifier() and not iskeyword(path):
        return f"self.{path}({', '.join(operands)})"
    inside = "".join(
        f"._modules[{part!r}]" for part in path.split(".")
    )  # no Python call a node, as attributes would be
    return f"self{inside}({', '.join(operands)})"


def _returned(outputs: Any, variable: Mapping[str, str]) -> str:
    if isinstance(outputs, str):
        return variable[outputs]
    if isinstance(outputs, Mapping):
        return "{" + ", ".join(f"{key!r}: {variable[name]}" for key, name in outputs.items()) + "}"
    return "(" + ", ".join(variable[name] for name in outputs) + ",)"


def flat(outputs: Any) -> list[Any]:
    """The outputs in a list, whether they are one, several, or named."""
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
