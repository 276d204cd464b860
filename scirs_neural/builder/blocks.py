"""Compositions: chain, repeat, parallel, branch, residual, dense and gated skips.

Each is called on symbolic tensors like a layer. A node of a composition is a layer or operation by name, a mapping as
in YAML (`scirs_neural.builder.parse`), a module, a `LayerNode`, another composition, or a list of nodes (a chain).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scirs_neural.builder.layer_node import LayerNode
from scirs_neural.builder.nodes import Block, ListNode, Scope, SharedNode
from scirs_neural.builder.parse import parse_node
from scirs_neural.builder.symbol import Path, Symbol, apply_operation, dotted, show_shape
from scirs_neural.core.errors import ConfigError, ShapeError

MERGES = ("concat", "add", "mul")


class Chain(Block):
    """One node after the other. Named nodes can be used by later ones."""

    kind = "sequential"

    def __init__(self, items: Any, **named: Any) -> None:
        super().__init__(**named)
        self.nodes = [parse_node(item, self.where and f"{self.where}[{i}]") for i, item in enumerate(to_list(items))]

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """Apply all nodes."""
        inner = scope.inner()
        for index, node in enumerate(self.nodes):
            x = apply_node(node, index, x, path, inner)
        return x


def apply_node(node: ListNode, index: int, x: Any, path: Path, scope: Scope) -> Any:
    """Apply one node of a list, and file its value and its layer in the list's scope.

    Returns:
        What the next node takes.
    """
    name = node.name or str(index)
    value = node.apply(x, (*path, name), scope)
    scope.keep(name, (*path, name), value, node.where)
    if isinstance(node.action, LayerNode):
        scope.layers[name] = node.action
    elif isinstance(node.action, SharedNode):
        scope.layers[name] = scope.layer(node.action.name, path, node.where)
    return x if isinstance(node.action, Branch) else value


class Repeat(Block):
    """The same nodes several times over, each time with parameters of its own.

    Args:
        times: how often, at most 1000.
        layers: nodes by name or mapping, or a function that gives them.
        **named: its ``name`` in the model.

    Example:
        >>> from scirs_neural.builder import Input
        >>> Repeat(3, [{"linear": 8}, "relu"])(Input((4,))).shape
        (None, 8)
    """

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
    """Several chains on one input, merged.

    Args:
        branches: lists of nodes, or a mapping from names to such lists.
        merge: "concat", "add" or "mul".
        dim: along which to concatenate.
        **named: its ``name`` in the model.

    Example:
        >>> from scirs_neural.builder import Input
        >>> Parallel([[{"conv2d": [4, 1]}], [{"max_pool2d": [3, 1, 1]}]])(Input((3, 8, 8))).shape
        (None, 7, 8, 8)
    """

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
        return apply_operation(self.merge, results, options, (*path, self.merge), self.where)


class Branch(Block):
    """A side path: its result is there under the node's name, the main path goes on from before it."""

    kind = "branch"

    def __init__(self, layers: Any, **named: Any) -> None:
        super().__init__(**named)
        self.body = Chain(layers, where=self.where)

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The side path's result."""
        return self.body.apply(x, path, scope)


class Residual(Block):
    """``activation(body(x) + projection(x))``.

    Args:
        layers: the body.
        projection: "auto": none where the shapes are equal, else a strided 1x1 convolution or a linear layer without
            bias; "none"; or nodes of your own.
        projection_norm: a layer after the projection, such as "batch_norm2d".
        activation: a layer after the sum.
        **named: its ``name`` in the model.

    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", option B for the projection.

    Example:
        >>> from scirs_neural.builder import Input
        >>> Residual([{"conv2d": [16, 3, 2, 1]}, "relu"])(Input((8, 32, 32))).shape
        (None, 16, 16, 16)
    """

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
        total = apply_operation("add", [y, skip], {}, (*path, "add"), self.where)
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
    """``times`` bodies, each of which gets the channels of the input and of all bodies before it.

    Source: Huang et al. 2017, "Densely Connected Convolutional Networks".

    Example:
        >>> from scirs_neural.builder import Input
        >>> DenseSkip([{"conv2d": [12, 3, 1, 1]}], times=3)(Input((24, 8, 8))).shape
        (None, 60, 8, 8)
    """

    kind = "dense_skip"

    def __init__(self, layers: Any, times: int = 1, dim: int = 1, **named: Any) -> None:
        super().__init__(**named)
        self.repeat, self.dim = Repeat(times, layers, where=self.where), dim

    def apply(self, x: Any, path: Path, scope: Scope) -> Any:
        """The input's channels and all bodies' results."""
        for index, body in enumerate(self.repeat.unrolled()):
            y = body.apply(x, (*path, str(index)), scope)
            x = apply_operation("concat", [x, y], {"dim": self.dim}, (*path, f"concat{index}"), self.where)
        return x


class GatedSkip(Block):
    """``g · body(x) + (1 - g) · x`` with ``g = sigmoid(gate(x))``: a highway.

    Args:
        layers: the body.
        gate_bias: where the bias of the gate, a linear layer or 1x1 convolution, starts; below 0 a new net passes its
            input on.
        projection: of the input where the shapes differ, see `Residual`.
        **named: its ``name`` in the model.

    Source: Srivastava et al. 2015, "Highway Networks", equation 3.

    Example:
        >>> from scirs_neural.builder import Input
        >>> GatedSkip([{"linear": 8}, "relu"])(Input((8,))).shape
        (None, 8)
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
            layer = pointwise(y, x, path, self.where, init={"bias": self.gate_bias}, bias=True)
            self.gate = Chain([layer, "sigmoid"], where=self.where)
        gate = self.gate.apply(x, (*path, "gate"), scope)
        skip = self.passing.skip(x, y, path, scope)
        change = apply_operation("sub", [y, skip], {}, (*path, "change"), self.where)
        passed = apply_operation("mul", [gate, change], {}, (*path, "passed"), self.where)
        return apply_operation("add", [skip, passed], {}, (*path, "add"), self.where)


# As code calls them: ``residual([...])(x)``.
repeat, parallel, residual, dense_skip, gated_skip = Repeat, Parallel, Residual, DenseSkip, GatedSkip


def chain(*items: Any, name: str | None = None) -> Chain:
    """One node after the other, as one block."""
    return Chain(list(items), name=name)


def branch(layers: Any, *, name: str) -> ListNode:
    """A side path in a list: its result can be named later, the main path goes on from before it."""
    return ListNode(Branch(layers), name=name)


def pointwise(y: Symbol, x: Symbol, path: Path, where: str | None, *, init: Any = None, bias: bool = True) -> LayerNode:
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
            return LayerNode(name, options=options, init=init, where=where)
    if len(xs) == len(ys) and xs[:-1] == ys[:-1]:
        return LayerNode("linear", options={"out_features": ys[-1], "bias": bias}, init=init, where=where)
    raise ShapeError(
        f"{dotted(path)}: no projection takes {show_shape(x.value)} to {show_shape(y.value)}",
        where=where,
        fix="give projection: [layers]",
    )


def fresh(layers: Any) -> Any:
    """Entries that can be built once more. Modules and layers made outside cannot: they would be shared.

    Raises:
        ConfigError: there is one.
    """
    if isinstance(layers, (str, Mapping, type)):
        return layers
    if isinstance(layers, (list, tuple)):
        return [fresh(item) for item in layers]
    if callable(layers) and not isinstance(layers, (LayerNode, Block)) and not hasattr(layers, "forward"):
        return layers()
    raise ConfigError(
        f"{layers!r} cannot be repeated: it has its parameters already", fix="give a name, a mapping or a function"
    )


def to_list(items: Any) -> list[Any]:
    """A list, from one entry or several."""
    return list(items) if isinstance(items, (list, tuple)) else [items]
