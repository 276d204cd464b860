"""A network as a list of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scirs_neural.builder.blocks import Chain, Scope
from scirs_neural.builder.model import Model
from scirs_neural.builder.symbol import Input, Symbol
from scirs_neural.core.errors import ConfigError


class Sequential(Model):
    """A list of layers, one after the other, with inferred shapes.

    State-dict keys are those of `torch.nn.Sequential`: ``0.weight``, or the item's own name.

    Args:
        layers: items, see `scirs_neural.builder.parse`: names, ``{name: options}``, modules, compositions.
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
        x = Input(input_shape, dtype=dtype)
        chain = Chain(list(layers), where=where)
        y = chain.apply(x, (), Scope())
        if not isinstance(y, Symbol):
            raise ConfigError("a list of layers must end in one tensor", where=where)
        super().__init__(x, y)
        self._items, self._shape = chain.items, y.shape
        self._input = (input_shape, dtype, where)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the result, None for the batch."""
        return self._shape

    def add(self, item: Any) -> Sequential:
        """Append an item; the layers that are there keep their parameters. Gives the network itself.

        Raises:
            ConfigError: a fault in the item, or it is this network itself.
            ShapeError: it cannot take this network's output. The network stays as it was.
        """
        if item is self or (isinstance(item, (list, tuple)) and any(part is self for part in item)):
            raise ConfigError("the graph has a cycle: a network cannot hold itself")
        training = self.training
        input_shape, dtype, where = self._input
        grown = Sequential([*self._items, item], input_shape, dtype=dtype, where=where)
        for line in self.lines:  # what has been put in a layer's place since (a quantized one, say) stays
            if line.first:
                way, _, last = line.module.rpartition(".")
                setattr(grown.get_submodule(way), last, self.get_submodule(line.module))
        self.__dict__ = grown.__dict__
        self._become(self.code)
        return self.train(training)
