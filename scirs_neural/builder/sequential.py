"""A network as a list of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from scirs_neural.builder.blocks import apply_node
from scirs_neural.builder.model import Model, base_class
from scirs_neural.builder.nodes import Scope
from scirs_neural.builder.order import Names, topological_order
from scirs_neural.builder.parse import parse_node
from scirs_neural.builder.symbol import Input, Symbol
from scirs_neural.core.errors import ConfigError


class Sequential(Model):
    """A list of layers, one after the other, with inferred shapes.

    State-dict keys are those of `torch.nn.Sequential`: ``0.weight``, or the node's own name.

    Args:
        layers: see `scirs_neural.builder.parse`: names, ``{name: options}``, modules, compositions.
        input_shape: of one sample, without the batch.
        dtype: of the input, by torch's name.
        where: where the list came from, for errors.

    Raises:
        ConfigError: a fault in the list.
        ShapeError: a layer that cannot take what comes to it, named by its path.

    Example:
        >>> net = Sequential([{"conv2d": [4, 3]}, "relu", "flatten", {"linear": 10}], input_shape=(1, 8, 8))
        >>> net.add({"softmax": {"dim": 1}}).output_shape, sorted(net.state_dict())
        ((None, 10), ['0.bias', '0.weight', '3.bias', '3.weight'])
    """

    def __init__(
        self, layers: Sequence[Any], input_shape: Sequence[int], *, dtype: str = "float32", where: str | None = None
    ) -> None:
        if not isinstance(layers, (list, tuple)):
            raise ConfigError(f"layers is {layers!r}, expected a list", where=where)
        nn.Module.__init__(self)
        x = Input(input_shape, dtype=dtype, name="x")
        self._start({"x": x})
        self._where, self._scope, self._names, self._last = where, Scope(), Names(["x"]), x
        for item in layers:
            self._last = self._extend(item)
        self._take(self._last)
        self._write()

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the result, None for the batch."""
        return self._last.shape

    def add(self, item: Any) -> Sequential:
        """Append a layer; those that are there keep their parameters. Gives the network itself.

        The code is written at the next use of the network, so a loop of ``add`` takes time in proportion to its length.

        Raises:
            ConfigError: a fault in it, or it is this network itself.
            ShapeError: it cannot take this network's output. The network stays as it was.
        """
        if item is self or (isinstance(item, (list, tuple)) and any(part is self for part in item)):
            raise ConfigError("the graph has a cycle: a network cannot hold itself")
        scope = self._scope
        num_values, num_paths = len(scope.values), len(scope.paths)
        try:
            last = self._extend(item)
            self._take(last)
        except Exception:
            for values, size in ((scope.values, num_values), (scope.paths, num_paths)):
                for name in list(values)[size:]:
                    del values[name]
            scope.layers = {name: layer for name, layer in scope.layers.items() if name in scope.values}
            raise
        self._last, self._code = last, None
        self.__class__ = base_class(type(self))  # type: ignore[assignment]
        return self

    def _extend(self, item: Any) -> Any:
        index = len(self._scope.values)
        node = parse_node(item, self._where and f"{self._where}[{index}]")
        return apply_node(node, index, self._last, (), self._scope)

    def _take(self, last: Any) -> None:
        """Make ``last`` the output, and the nodes that lead to it part of the network.

        Their symbols are then values without an origin, so that no chain of symbols grows with the network.
        """
        if not isinstance(last, Symbol):
            raise ConfigError("a list of layers must end in one tensor", where=self._where)
        last.shape  # noqa: B018 - one tensor has a shape; several are an error that says how to pick one
        order = topological_order([last], lambda symbol: symbol.node is None)
        name_of = self._names.give(order)
        num_nodes = len(self.nodes)
        try:
            self._record(order, name_of, self._names)
        except ConfigError:
            del self.nodes[num_nodes:]
            self._names.take_back(name_of.values())
            raise
        for node in self.nodes[num_nodes:]:
            if node.first:
                self.get_submodule(node.module).train(self.training)
        for symbol in order:
            symbol.name, symbol.node = name_of[id(symbol)], None
        self.outputs = last.name
