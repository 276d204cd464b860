"""The nodes of a list of layers, the blocks that they may be, and the values that they may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scirs_neural.builder.layer_node import LayerNode
from scirs_neural.builder.symbol import Auto, Path, Symbol, apply_operation, dotted
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean

MAX_VALUES = 10_000  # of one network; a file that repeats repeats would never end


@dataclass
class Scope:
    """The values that later nodes may name: those of the same list and of the lists around it, innermost first.

    ``paths`` holds all values by full path, the same for all scopes of a network.
    """

    values: dict[str, Any] = field(default_factory=dict)
    outer: Scope | None = None
    layers: dict[str, LayerNode] = field(default_factory=dict)
    paths: dict[str, Any] = field(default_factory=dict)

    def inner(self) -> Scope:
        """A scope inside this one."""
        return Scope(outer=self, paths=self.paths)

    def keep(self, name: str, path: Path, value: Any, where: str | None) -> None:
        """File a value under its name and path.

        Raises:
            ConfigError: the name is taken, or the network has grown beyond all measure.
        """
        if name in self.values:
            raise ConfigError(f"{dotted(path)}: the name '{name}' is used twice", where=where)
        if len(self.paths) >= MAX_VALUES:
            raise ConfigError(f"{dotted(path)}: more than {MAX_VALUES} layers", where=where, fix="repeat less")
        self.values[name] = self.paths[dotted(path)] = value

    def find(self, name: str, path: Path, where: str | None) -> Any:
        """The value under a name.

        Raises:
            ConfigError: nothing before this place has that name.
        """
        scope: Scope | None = self
        known: list[str] = []
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            known += scope.values
            scope = scope.outer
        for depth in range(len(path), -1, -1):  # inside a block: "encoder.2"
            if dotted((*path[:depth], name)) in self.paths:
                return self.paths[dotted((*path[:depth], name))]
        suggestions = did_you_mean(name, known)
        raise ConfigError(f"{dotted(path)}: nothing before it is named '{name}'", where=where, suggestions=suggestions)

    def layer(self, name: str, path: Path, where: str | None) -> LayerNode:
        """The layer under a name, to be shared.

        Raises:
            ConfigError: nothing before this place has that name, or it is not a single layer.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.layers:
                return scope.layers[name]
            scope = scope.outer
        self.find(name, path, where)
        raise ConfigError(f"{dotted(path)}: '{name}' is not a single layer that could be called again", where=where)


class Block:
    """A composition. Call it on a symbolic tensor, or put it in a list."""

    kind = "block"

    def __init__(self, *, name: str | None = None, where: str | None = None) -> None:
        self.name, self.where = name, where

    def __call__(self, x: Symbol) -> Any:
        """Apply to a symbolic tensor."""
        return self.apply(x, (self.name,) if self.name else (Auto(self.kind),), Scope())

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """Apply under a path, with the values that may be named."""
        raise NotImplementedError


class ListNode:
    """One entry of a list: a layer, operation or block, its name, and the values that it takes."""

    def __init__(
        self,
        action: Any,
        *,
        name: str | None = None,
        inputs: Sequence[Any] | None = None,
        more: Sequence[Any] = (),
        where: str | None = None,
    ) -> None:
        self.action, self.name, self.inputs, self.more, self.where = action, name, inputs, more, where

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The value of this node; ``x`` is the one of the node before it."""
        names = [*(self.inputs if self.inputs is not None else [x]), *self.more]
        values = [scope.find(v, path, self.where) if isinstance(v, str) else v for v in names]
        if isinstance(self.action, OperationNode):
            return apply_operation(self.action.name, values, self.action.options, path, self.where)
        if isinstance(self.action, SharedNode):
            return scope.layer(self.action.name, path, self.where).apply(tuple(values), path)
        if isinstance(self.action, LayerNode):
            return self.action.apply(tuple(values), self.action.path or path)
        if len(values) != 1:
            raise ConfigError(
                f"{dotted(path)}: {self.action.kind} takes one input, received {len(values)}", where=self.where
            )
        return self.action.apply(values[0], path, scope)


@dataclass
class OperationNode:
    """An operation in a list."""

    name: str
    options: dict[str, Any]


@dataclass
class SharedNode:
    """Another call of a layer that stands before."""

    name: str
