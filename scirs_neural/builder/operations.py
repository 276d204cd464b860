"""What a graph can do between layers: arithmetic, joining, and reshaping, as names and lines of code.

Each operation has options with defaults and a function that writes the expression from its operands' code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import REQUIRED, Registry


@dataclass(frozen=True)
class Operation:
    """How many operands it takes (None: two or more), and the code that it becomes."""

    arity: int | None
    code: Callable[[Sequence[str], Mapping[str, Any]], str]


def _joined(sign: str) -> Callable[[Sequence[str], Mapping[str, Any]], str]:
    return lambda xs, options: f" {sign} ".join(xs)


def _listed(values: Any) -> str:
    return ", ".join(repr(int(value)) for value in ([values] if isinstance(values, int) else values))


OPERATIONS = Registry("operation")
for _name, _summary, _options, _arity, _code in (
    ("add", "sum", {}, None, _joined("+")),
    ("sub", "first less second", {}, 2, _joined("-")),
    ("mul", "product", {}, None, _joined("*")),
    ("div", "first over second", {}, 2, _joined("/")),
    ("matmul", "matrix product", {}, 2, _joined("@")),
    ("neg", "sign changed", {}, 1, lambda xs, o: f"-{xs[0]}"),
    ("concat", "joined along a dimension", {"dim": 1}, None,
     lambda xs, o: f"torch.cat(({', '.join(xs)}), {o['dim']!r})"),
    ("stack", "joined along a new dimension", {"dim": 1}, None,
     lambda xs, o: f"torch.stack(({', '.join(xs)}), {o['dim']!r})"),
    ("mean", "mean over dimensions", {"dim": REQUIRED}, 1, lambda xs, o: f"{xs[0]}.mean(({_listed(o['dim'])},))"),
    ("amax", "largest over dimensions", {"dim": REQUIRED}, 1, lambda xs, o: f"{xs[0]}.amax(({_listed(o['dim'])},))"),
    ("resize_as", "first at the height and width of the second, by the nearest place", {}, 2,
     lambda xs, o: f"torch.nn.functional.interpolate({xs[0]}, size={xs[1]}.shape[2:], mode='nearest')"),
    ("reshape", "another shape for each sample", {"shape": REQUIRED}, 1,
     lambda xs, o: f"{xs[0]}.reshape({xs[0]}.shape[0], {_listed(o['shape'])})"),
    ("transpose", "two dimensions swapped", {"dim0": REQUIRED, "dim1": REQUIRED}, 1,
     lambda xs, o: f"{xs[0]}.transpose({o['dim0']!r}, {o['dim1']!r})"),
    ("select", "one index of a dimension", {"dim": REQUIRED, "index": REQUIRED}, 1,
     lambda xs, o: f"{xs[0]}.select({o['dim']!r}, {o['index']!r})"),
    ("item", "one of a layer's several outputs", {"index": REQUIRED}, 1, lambda xs, o: f"{xs[0]}[{o['index']!r}]"),
):  # fmt: skip
    OPERATIONS.add(_name, Operation(_arity, _code), summary=_summary, options=_options)

_WHOLE_NUMBERS = ("dim", "dim0", "dim1", "index", "shape")


def check_operation(name: str, count: int, options: Mapping[str, Any], where: str | None = None) -> dict[str, Any]:
    """The options of an operation, complete.

    Generated code holds their values, so nothing but whole numbers passes.

    Raises:
        ConfigError: an option that is unknown, missing, or no whole number; or a wrong number of operands.
    """
    entry = OPERATIONS.entry(name, where=where)
    if faults := entry.faults(options, where=lambda option: where, types=False):
        raise faults[0]
    operation, complete = entry.load(), {**entry.options, **options}
    for option, value in complete.items():
        values = value if isinstance(value, (list, tuple)) and option in ("dim", "shape") else [value]
        if option in _WHOLE_NUMBERS and not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            raise ConfigError(f"operation '{name}': {option} is {value!r}, expected a whole number", where=where)
    if count < 1 or (operation.arity is not None and count != operation.arity):
        raise ConfigError(
            f"operation '{name}' takes {operation.arity or 'two or more'} inputs, received {count}", where=where
        )
    return {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}


def evaluate(name: str, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Run an operation on values: the code that it becomes in a network, of checked names and whole numbers only."""
    code = OPERATIONS.get(name).code([f"xs[{i}]" for i in range(len(operands))], options)
    return eval(code, {"torch": torch, "xs": operands, "__builtins__": {}})
