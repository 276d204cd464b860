"""From symbolic outputs back to the inputs: the steps in the order in which they run, and their names."""

from __future__ import annotations

from collections.abc import Sequence

from scirs_neural.builder.symbol import Auto, Step, Symbol, dotted
from scirs_neural.core.errors import ConfigError


def in_order(inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> list[tuple[Step, Symbol]]:
    """The steps that lead from inputs to outputs, each after those that it needs.

    Raises:
        ConfigError: an output is no symbol, needs something that is no input, or needs itself; or an input is not used.
    """
    known = {id(symbol) for symbol in inputs}
    done: dict[int, Symbol] = {}
    open_: dict[int, Symbol] = {}
    result: list[tuple[Step, Symbol]] = []
    for output in outputs:
        if not isinstance(output, Symbol):
            raise ConfigError(f"the model's output is {output!r}, expected a symbolic tensor")
        waiting: list[tuple[Symbol, bool]] = [(output, False)]
        while waiting:
            symbol, back = waiting.pop()
            if back:
                del open_[id(symbol)]
                done[id(symbol)] = symbol
                assert symbol.step is not None
                result.append((symbol.step, symbol))
            elif id(symbol) in open_:
                names = [_name(s) for s in open_.values()]
                loop = [*names[names.index(_name(symbol)) :], _name(symbol)]
                raise ConfigError(f"the graph has a cycle: {' <- '.join(loop)}", fix="no value can depend on itself")
            elif id(symbol) in known:
                done[id(symbol)] = symbol
            elif id(symbol) not in done:
                if symbol.step is None:
                    raise ConfigError(f"the output needs {symbol!r}, which is not among the model's inputs")
                open_[id(symbol)] = symbol
                waiting.append((symbol, True))
                waiting += [(x, False) for x in reversed(symbol.step.operands) if isinstance(x, Symbol)]
    for symbol in inputs:
        if id(symbol) not in done:
            raise ConfigError(f"no output depends on the input {symbol!r}")
    return result


def named(steps: Sequence[tuple[Step, Symbol]], inputs: set[str]) -> dict[int, str]:
    """A name for each step's value, by the identity of its symbol.

    Paths that the user gave stay; the others get their layer's name, numbered. Later calls of a shared layer or block
    are marked with ``@``.

    Raises:
        ConfigError: two different layers, or a layer and an input, have one name.
    """
    stems = _stems([step.path[0] for step, _ in steps], inputs)
    paths = [dotted((stems.get(id(step.path[0]), str(step.path[0])), *step.path[1:])) for step, _ in steps]
    owners: dict[str, int] = {}
    for (step, _), path in zip(steps, paths, strict=True):
        if step.leaf is not None and (path in inputs or owners.setdefault(path, id(step.leaf)) != id(step.leaf)):
            raise ConfigError(f"two parts of the model are named '{path}'", fix="give one of them another name")
    taken = set(inputs)
    result: dict[int, str] = {}
    for (step, symbol), path in zip(steps, paths, strict=True):
        name, calls = path, 0
        while name in taken or (step.leaf is None and name in owners):
            calls += 1
            name = f"{path}@{calls}"
        taken.add(name)
        result[id(symbol)] = name
    return result


def _stems(firsts: Sequence[str | Auto], inputs: set[str]) -> dict[int, str]:
    """Free names for first parts of paths that nobody named, in order, by their identity."""
    taken = inputs | {first for first in firsts if isinstance(first, str)}
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
    return symbol.name or (dotted(symbol.step.path) if symbol.step else "input")
