"""A network as plain data: its inputs, its nodes in the order in which they run, and its outputs. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.plain import plain_data

FORMAT = 1


@dataclass(frozen=True)
class InputSpec:
    """One argument of ``forward``: its name, shape without the batch, and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class NodeSpec:
    """One node of the network.

    ``module`` is the path of the layer that it calls ("" for an operation), ``first`` whether no node before calls it.
    ``target`` is the registry name of the layer or operation, None where only a module object is known.
    """

    name: str
    operands: tuple[str | float, ...]
    module: str
    first: bool
    target: str | None
    options: Mapping[str, Any]
    init: Any = None
    freeze: bool = False


def to_spec(inputs: Sequence[InputSpec], nodes: Sequence[NodeSpec], outputs: Any) -> dict[str, Any]:
    """A network as plain data, flat: every layer with its full name and all that was inferred.

    Raises:
        ConfigError: a layer is known only as an object, or has an option that is not plain data.
    """
    shapes = {
        spec.name: list(spec.shape) if spec.dtype == "float32" else {"shape": list(spec.shape), "dtype": spec.dtype}
        for spec in inputs
    }
    return {"format": FORMAT, "inputs": shapes, "layers": [_entry(node) for node in nodes], "outputs": outputs}


def _entry(node: NodeSpec) -> dict[str, Any]:
    place = node.module or node.name
    if node.target is None:
        fix = "register its class in LAYERS and give it by name"
        raise ConfigError(f"{place}: a layer that is known only as an object cannot be written down", fix=fix)
    if node.module and not node.first:
        return {"call": node.module, "as": node.name, "from": list(node.operands)}
    entry = {node.target: _plain(dict(node.options), place), "as": node.name, "from": list(node.operands)}
    if node.init is not None:
        entry["init"] = _plain(node.init, place)
    if node.freeze:
        entry["freeze"] = True
    return entry


def _plain(value: Any, place: str) -> Any:
    def refuse(part: Any) -> NoReturn:
        raise ConfigError(f"{place}: the option {part!r} cannot be written down", fix="give it as a name or number")

    return plain_data(value, refuse)
