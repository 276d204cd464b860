"""From plain data to the nodes of a list: the language of network files.

A node is a name (``relu``), a name with options (``conv2d: {out_channels: 16, kernel_size: 3}``, ``conv2d: [16, 3]``
by position, inferred options left out), or a composition (``residual: [...]``). Beside its name a node may have

- ``as``: its name, for the state dict and for later nodes;
- ``from``: the value or values that it takes instead of the value of the node before; ``with``: values after it;
- ``init``, ``freeze``: how a layer's parameters start, and whether they stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from scirs_neural.builder.layer_node import LayerNode
from scirs_neural.builder.nodes import Block, ListNode, OperationNode, SharedNode
from scirs_neural.builder.operations import OPERATIONS
from scirs_neural.builder.registry import COMPOSITIONS
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.layers.registry import LAYERS

MODIFIERS = ("as", "from", "with", "init", "freeze")


def parse_node(item: Any, where: str | None = None) -> ListNode:
    """One entry of a list of layers.

    Raises:
        UnknownNameError: a layer, operation or composition that does not exist.
        ConfigError: another fault in the entry.
    """
    if isinstance(item, ListNode):
        return item
    if isinstance(item, (LayerNode, Block)):
        return ListNode(item, name=item.name, where=where)
    if isinstance(item, nn.Module) or (isinstance(item, type) and issubclass(item, nn.Module)):
        return ListNode(LayerNode(item, where=where), where=where)
    if isinstance(item, (list, tuple)):
        return ListNode(COMPOSITIONS.get("sequential")(list(item), where=where), where=where)
    if isinstance(item, str):
        return ListNode(_action(item, None, {}, where), where=where)
    if isinstance(item, Mapping):
        return _from_mapping(item, where)
    raise ConfigError(f"{item!r} is not a layer", where=where, fix="give a name, a mapping {name: options}, or a list")


def _from_mapping(item: Mapping[Any, Any], where: str | None) -> ListNode:
    kinds = [key for key in item if key not in MODIFIERS]
    if len(kinds) != 1 or not isinstance(kinds[0], str):
        known = [*MODIFIERS]
        suggestions = [word for kind in kinds for word in did_you_mean(str(kind), known)]
        names = ", ".join(map(str, kinds)) or "none"
        fix = "write {name: {options}, as: …, from: …}"
        raise ConfigError(
            f"an entry must name one layer, this names {names}", where=where, suggestions=suggestions, fix=fix
        )
    name = _word(item.get("as"), "as", where)
    inputs = None if item.get("from") is None else _references(item["from"], "from", where)
    more = _references(item["with"], "with", where) if item.get("with") is not None else ()
    rest = {key: item[key] for key in ("init", "freeze") if key in item}
    return ListNode(_action(kinds[0], item[kinds[0]], rest, where), name=name, inputs=inputs, more=more, where=where)


def _action(name: str, options: Any, rest: Mapping[str, Any], where: str | None) -> Any:
    if name in COMPOSITIONS:
        _refuse(rest, name, where)
        return _composition(name, options, where)
    if name in OPERATIONS:
        _refuse(rest, name, where)
        return OperationNode(name, _options(name, options, where))
    if name == "call":
        _refuse(rest, name, where)
        return SharedNode(str(_word(options, "call", where)))
    if name not in LAYERS and ":" not in name:
        error = LAYERS.unknown(name, where=where)
        error.suggestions = tuple(did_you_mean(name, [*LAYERS, *OPERATIONS, *COMPOSITIONS]))
        raise error
    freeze = rest.get("freeze", False)
    if not isinstance(freeze, bool):
        raise ConfigError(f"freeze is {freeze!r}, expected true or false", where=where)
    by_position = isinstance(options, (list, tuple)) or (options is not None and not isinstance(options, Mapping))
    args = tuple(options if isinstance(options, (list, tuple)) else [options]) if by_position else ()
    named = {} if by_position else _options(name, options, where)
    return LayerNode(name, args, named, init=rest.get("init"), freeze=freeze, where=where)


def _composition(name: str, options: Any, where: str | None) -> Block:
    entry = COMPOSITIONS.entry(name)
    main = next(iter(entry.options))
    chosen = dict(options) if isinstance(options, Mapping) and main in options else {main: options}
    if faults := entry.faults(chosen, where=lambda option: where, types=False):
        raise faults[0]
    if chosen[main] is None:
        raise ConfigError(f"{name} is empty", where=where, fix=f"write {name}: [layers]")
    inside = f"{where or 'model'}.{name}"
    block: Block = entry.load()(**chosen, where=inside)
    return block


def _options(name: str, options: Any, where: str | None) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigError(f"'{name}' has options {options!r}, expected a mapping", where=where)
    return {str(key): value for key, value in options.items()}


def _refuse(rest: Mapping[str, Any], name: str, where: str | None) -> None:
    for key in rest:
        raise ConfigError(f"'{name}' has no parameters of its own for '{key}'", where=where, fix="give it to a layer")


def _word(value: Any, key: str, where: str | None) -> str | None:
    if value is None and key == "as":
        return None
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} is {value!r}, expected a name", where=where)
    return value


def _references(value: Any, key: str, where: str | None) -> list[Any]:
    values = value if isinstance(value, (list, tuple)) else [value]
    for one in values:
        if not isinstance(one, (str, int, float)) or isinstance(one, bool):
            raise ConfigError(f"{key} holds {one!r}, expected names of earlier nodes", where=where)
    return list(values)
