"""From symbolic outputs back to the inputs: the nodes in the order in which they run, and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from scirs_neural.builder.layer_node import LayerNode
from scirs_neural.builder.symbol import Auto, Symbol, dotted
from scirs_neural.core.errors import ConfigError


def topological_order(outputs: Sequence[Symbol], is_known: Callable[[Symbol], bool]) -> list[Symbol]:
    """The values that lead to outputs, each after those that it needs.

    Args:
        outputs: what is wanted.
        is_known: whether a value is there already, such as an input.

    Raises:
        ConfigError: an output is not a symbol, needs an input that is not known, or needs itself.
    """
    done: set[int] = set()
    open_: dict[int, Symbol] = {}
    result: list[Symbol] = []
    for output in outputs:
        if not isinstance(output, Symbol):
            raise ConfigError(f"the model's output is {output!r}, expected a symbolic tensor")
        waiting: list[tuple[Symbol, bool]] = [(output, False)]
        while waiting:
            symbol, back = waiting.pop()
            if back:
                del open_[id(symbol)]
                done.add(id(symbol))
                result.append(symbol)
            elif id(symbol) in open_:
                names = [_name(s) for s in open_.values()]
                loop = [*names[names.index(_name(symbol)) :], _name(symbol)]
                raise ConfigError(f"the graph has a cycle: {' <- '.join(loop)}", fix="no value can depend on itself")
            elif id(symbol) not in done and not is_known(symbol):
                if symbol.node is None:
                    raise ConfigError(f"the output needs {symbol!r}, which is not among the model's inputs")
                open_[id(symbol)] = symbol
                waiting.append((symbol, True))
                waiting += [(x, False) for x in reversed(symbol.node.operands) if isinstance(x, Symbol)]
    return result


class Names:
    """Gives each value of a network its name, and each layer its path.

    Paths that the user gave stay; the others get their layer's name, numbered. Later calls of a shared layer or block
    are marked with ``@``.

    Args:
        inputs: the names of the network's inputs.
    """

    def __init__(self, inputs: Iterable[str]) -> None:
        self.taken = set(inputs)
        self.path_of: dict[LayerNode, str] = {}

    def give(self, symbols: Sequence[Symbol]) -> dict[int, str]:
        """Name values that follow those named before, in the order in which they run.

        Returns:
            The names by the identity of the values.

        Raises:
            ConfigError: two different layers, or a layer and an input, have one name.
        """
        nodes = [(symbol, symbol.node) for symbol in symbols if symbol.node is not None]
        stems = self._stems([node.path[0] for _, node in nodes])
        paths = [dotted((stems.get(id(node.path[0]), str(node.path[0])), *node.path[1:])) for _, node in nodes]
        owners: dict[str, LayerNode] = {}
        for (_, node), path in zip(nodes, paths, strict=True):
            if node.layer is None or node.layer in self.path_of:
                continue
            if path in self.taken or owners.setdefault(path, node.layer) is not node.layer:
                raise ConfigError(f"two parts of the model are named '{path}'", fix="give one of them another name")
        result: dict[int, str] = {}
        for (symbol, node), path in zip(nodes, paths, strict=True):
            name, calls = path, 0
            while name in self.taken or (node.layer is None and name in owners):
                calls += 1
                name = f"{path}@{calls}"
            self.taken.add(name)
            result[id(symbol)] = name
            if node.layer is not None:
                self.path_of.setdefault(node.layer, name)
        return result

    def take_back(self, names: Iterable[str]) -> None:
        """Forget names that were given last."""
        self.taken.difference_update(names)
        self.path_of = {layer: path for layer, path in self.path_of.items() if path in self.taken}

    def _stems(self, firsts: Sequence[str | Auto]) -> dict[int, str]:
        """Free names for first parts of paths that nobody named, in order, by their identity."""
        taken = self.taken | {first for first in firsts if isinstance(first, str)}
        stems: dict[int, str] = {}
        for first in firsts:
            if isinstance(first, Auto) and id(first) not in stems:
                number, name = 0, first.stem
                while name in taken:
                    number += 1
                    name = f"{first.stem}_{number}"
                taken.add(name)
                stems[id(first)] = name
        return stems


def _name(symbol: Symbol) -> str:
    return symbol.name or (dotted(symbol.node.path) if symbol.node else "input")
