"""Compositions: chain, repeat, parallel, branch, residual, dense and gated skips, and taps to later layers.

Each is called on symbolic tensors like a layer. An item of a composition is a layer or operation by name, a mapping as
in YAML (`scirs_neural.builder.parse`), a module, a `Leaf`, another composition, or a list of items (a chain).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scirs_neural.builder.leaf import Leaf
from scirs_neural.builder.symbol import Auto, Path, Symbol, dotted, operate, show_shape
from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.core.suggestions import did_you_mean

MERGES = ("concat", "add", "mul")
MAX_VALUES = 10_000  # of one network; a file that repeats repeats would never end


@dataclass
class Scope:
    """The values that later items may name: those of the same list and of the lists around it, innermost first.

    ``paths`` holds all values by full path, the same for all scopes of a network.
    """

    values: dict[str, Any] = field(default_factory=dict)
    outer: Scope | None = None
    leaves: dict[str, Leaf] = field(default_factory=dict)
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

    def leaf(self, name: str, path: Path, where: str | None) -> Leaf:
        """The layer under a name, to be shared.

        Raises:
            ConfigError: nothing before this place has that name, or it is no single layer.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.leaves:
                return scope.leaves[name]
            scope = scope.outer
        self.find(name, path, where)
        raise ConfigError(f"{dotted(path)}: '{name}' is no single layer that could be called again", where=where)


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


class Item:
    """One entry of a chain: what to do, under which name, on which values."""

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
        """The value of this item; ``x`` is the running one."""
        names = [*(self.inputs if self.inputs is not None else [x]), *self.more]
        values = [scope.find(v, path, self.where) if isinstance(v, str) else v for v in names]
        if isinstance(self.action, Operate):
            return operate(self.action.name, values, self.action.options, path, self.where)
        if isinstance(self.action, Share):
            return scope.leaf(self.action.name, path, self.where).apply(tuple(values), path)
        if isinstance(self.action, Leaf):
            return self.action.apply(tuple(values), self.action.path or path)
        if len(values) != 1:
            raise ConfigError(
                f"{dotted(path)}: {self.action.kind} takes one input, received {len(values)}", where=self.where
            )
        return self.action.apply(values[0], path, scope)


@dataclass
class Operate:
    """An operation as an item's action."""

    name: str
    options: dict[str, Any]


@dataclass
class Share:
    """Another call of a layer that stands before, as an item's action."""

    name: str


class Chain(Block):
    """One item after the other. Named items can be used by later ones."""

    kind = "sequential"

    def __init__(self, items: Any, **named: Any) -> None:
        super().__init__(**named)
        self.items = to_items(items, self.where)

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """Apply all items."""
        inner = scope.inner()
        for index, item in enumerate(self.items):
            name = item.name or str(index)
            value = item.apply(x, (*path, name), inner)
            inner.keep(name, (*path, name), value, item.where)
            if isinstance(item.action, Leaf):
                inner.leaves[name] = item.action
            elif isinstance(item.action, Share):
                inner.leaves[name] = inner.leaf(item.action.name, path, item.where)
            if not isinstance(item.action, Branch):
                x = value
        return x


class Repeat(Block):
    """The same items several times over, each time with parameters of its own."""

    kind = "repeat"

    def __init__(self, times: int, layers: Any, **named: Any) -> None:
        super().__init__(**named)
        if not isinstance(times, int) or isinstance(times, bool) or not 0 <= times <= 1000:
            raise ConfigError(f"repeat: times is {times!r}, expected a whole number from 0 to 1000", where=self.where)
        self.times, self.layers = times, layers
        self.bodies = [Chain(fresh(layers), where=self.where)]  # the others when they are needed; one shows faults now

    def unrolled(self) -> Iterator[Chain]:
        """The repetitions, made as they are needed."""
        for index in range(self.times):
            if index == len(self.bodies):
                self.bodies.append(Chain(fresh(self.layers), where=self.where))
            yield self.bodies[index]

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """Apply all repetitions."""
        for index, body in enumerate(self.unrolled()):
            x = body.apply(x, (*path, str(index)), scope)
        return x


class Parallel(Block):
    """Several chains on one input, their results merged."""

    kind = "parallel"

    def __init__(self, branches: Any, merge: str = "concat", dim: int = 1, **named: Any) -> None:
        super().__init__(**named)
        if merge not in MERGES:
            raise ConfigError(f"parallel: merge is {merge!r}", where=self.where, fix=", ".join(MERGES))
        if not isinstance(branches, (list, tuple, Mapping)) or not branches:
            raise ConfigError(f"parallel: branches is {branches!r}, expected lists of layers", where=self.where)
        pairs = branches.items() if isinstance(branches, Mapping) else ((str(i), b) for i, b in enumerate(branches))
        self.branches = {str(key): Chain(items, where=self.where) for key, items in pairs}
        self.merge, self.dim = merge, dim

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """Apply all branches and merge."""
        results = [branch.apply(x, (*path, name), scope) for name, branch in self.branches.items()]
        options = {"dim": self.dim} if self.merge == "concat" else {}
        return operate(self.merge, results, options, (*path, self.merge), self.where)


class Branch(Block):
    """A side path: its result is there under the item's name, the main path goes on from before it."""

    kind = "branch"

    def __init__(self, layers: Any, **named: Any) -> None:
        super().__init__(**named)
        self.body = Chain(layers, where=self.where)

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The side path's result."""
        return self.body.apply(x, path, scope)


class Residual(Block):
    """``activation(body(x) + projection(x))``; the projection is there only where the shapes differ."""

    kind = "residual"

    def __init__(
        self, layers: Any, projection: Any = "auto", projection_norm: Any = None, activation: Any = None, **named: Any
    ) -> None:
        super().__init__(**named)
        self.body = Chain(layers, where=self.where)
        self.projection, self.projection_norm = projection, projection_norm
        self.projecting: Chain | None = None  # known at the first call
        self.activation = None if activation is None else Chain([activation], where=self.where)

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The sum of the body's result and the (projected) input."""
        y = self.body.apply(x, (*path, "body"), scope)
        skip = self.skip(x, y, path, scope)
        total = operate("add", [y, skip], {}, (*path, "add"), self.where)
        return total if self.activation is None else self.activation.apply(total, (*path, "activation"), scope)

    def skip(self, x: Symbol, y: Symbol, path: Path, scope: Scope) -> Symbol:
        """The input in the shape of ``y``."""
        if self.projection in ("none", None) or (self.projection == "auto" and x.shape == y.shape):
            return x
        if self.projecting is None:
            place = (*path, "projection")
            auto = self.projection == "auto"
            items = [pointwise(y, x, place, self.where, bias=False)] if auto else to_list(self.projection)
            norm = [] if self.projection_norm is None else [self.projection_norm]
            self.projecting = Chain([*items, *norm], where=self.where)
        result: Symbol = self.projecting.apply(x, (*path, "projection"), scope)
        return result


class DenseSkip(Block):
    """``times`` bodies, each of which gets the channels of the input and of all bodies before it."""

    kind = "dense_skip"

    def __init__(self, layers: Any, times: int = 1, dim: int = 1, **named: Any) -> None:
        super().__init__(**named)
        self.repeat, self.dim = Repeat(times, layers, where=self.where), dim

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The input's channels and all bodies' results."""
        for index, body in enumerate(self.repeat.unrolled()):
            y = body.apply(x, (*path, str(index)), scope)
            x = operate("concat", [x, y], {"dim": self.dim}, (*path, f"concat{index}"), self.where)
        return x


class GatedSkip(Block):
    """``g · body(x) + (1 - g) · x`` with ``g = sigmoid(gate(x))``: a highway.

    The gate is a linear layer or 1x1 convolution whose bias starts at ``gate_bias``: a new net passes its input on.
    """

    kind = "gated_skip"

    def __init__(self, layers: Any, gate_bias: float = -2.0, projection: Any = "auto", **named: Any) -> None:
        super().__init__(**named)
        self.body, self.gate_bias = Chain(layers, where=self.where), gate_bias
        self.passing = Residual([], projection, where=self.where)
        self.gate: Chain | None = None  # known at the first call

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The gated sum."""
        y = self.body.apply(x, (*path, "body"), scope)
        if self.gate is None:
            leaf = pointwise(y, x, path, self.where, init={"bias": self.gate_bias}, bias=True)
            self.gate = Chain([leaf, "sigmoid"], where=self.where)
        gate = self.gate.apply(x, (*path, "gate"), scope)
        skip = self.passing.skip(x, y, path, scope)
        change = operate("sub", [y, skip], {}, (*path, "change"), self.where)
        passed = operate("mul", [gate, change], {}, (*path, "passed"), self.where)
        return operate("add", [skip, passed], {}, (*path, "add"), self.where)


def pointwise(y: Symbol, x: Symbol, path: Path, where: str | None, *, init: Any = None, bias: bool = True) -> Leaf:
    """A layer that looks at single places of ``x`` (a strided 1x1 convolution, or linear) and has the shape of ``y``.

    Raises:
        ShapeError: there is none.
    """
    xs, ys = x.shape, y.shape
    if len(xs) == len(ys) and 3 <= len(xs) <= 5 and (xs[1] != ys[1] or len(xs) > 3):
        strides = [-(-(a or 1) // (b or 1)) for a, b in zip(xs[2:], ys[2:], strict=True)]
        fits = all(-(-(a or 1) // s) == b for a, b, s in zip(xs[2:], ys[2:], strides, strict=True))
        if fits:
            name = f"conv{len(xs) - 2}d"
            stride: Any = strides[0] if len(set(strides)) == 1 else strides
            options = {"out_channels": ys[1], "kernel_size": 1, "stride": stride, "bias": bias}
            return Leaf(name, options=options, init=init, where=where)
    if len(xs) == len(ys) and xs[:-1] == ys[:-1]:
        return Leaf("linear", options={"out_features": ys[-1], "bias": bias}, init=init, where=where)
    raise ShapeError(
        f"{dotted(path)}: no projection takes {show_shape(x.value)} to {show_shape(y.value)}",
        where=where,
        fix="give projection: [layers]",
    )


def fresh(layers: Any) -> Any:
    """Items that can be built once more. Modules and layers made outside cannot: they would be shared.

    Raises:
        ConfigError: there is one.
    """
    if isinstance(layers, (str, Mapping, type)):
        return layers
    if isinstance(layers, (list, tuple)):
        return [fresh(item) for item in layers]
    if callable(layers) and not isinstance(layers, (Leaf, Block)) and not hasattr(layers, "forward"):
        return layers()
    raise ConfigError(
        f"{layers!r} cannot be repeated: it has its parameters already", fix="give a name, a mapping or a function"
    )


def to_list(items: Any) -> list[Any]:
    """A list of items, from one or several."""
    return list(items) if isinstance(items, (list, tuple)) else [items]


def to_items(items: Any, where: str | None) -> list[Item]:
    """Items of a chain, from anything that may stand in a list."""
    from scirs_neural.builder.parse import parse_item  # it makes the blocks above

    return [parse_item(item, f"{where}[{index}]" if where else None) for index, item in enumerate(to_list(items))]
