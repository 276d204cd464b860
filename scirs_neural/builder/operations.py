"""What a graph can do between layers: arithmetic, joining, and reshaping, as names and lines of code.

Pure data: each operation has options with defaults and a function that writes the expression from its operands' code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.suggestions import did_you_mean


@dataclass(frozen=True)
class Operation:
    """How many operands it takes (None: two or more), its options, and the code that it becomes."""

    summary: str
    arity: int | None
    code: Callable[[Sequence[str], Mapping[str, Any]], str]
    options: Mapping[str, Any] = field(default_factory=dict)


def _joined(sign: str) -> Callable[[Sequence[str], Mapping[str, Any]], str]:
    return lambda xs, options: f" {sign} ".join(xs)


def _listed(values: Any) -> str:
    return ", ".join(repr(int(value)) for value in ([values] if isinstance(values, int) else values))


OPERATIONS: dict[str, Operation] = {
    "add": Operation("sum", None, _joined("+")),
    "sub": Operation("first less second", 2, _joined("-")),
    "mul": Operation("product", None, _joined("*")),
    "div": Operation("first over second", 2, _joined("/")),
    "matmul": Operation("matrix product", 2, _joined("@")),
    "neg": Operation("sign changed", 1, lambda xs, o: f"-{xs[0]}"),
    "concat": Operation(
        "joined along a dimension",
        None,
        lambda xs, o: f"torch.cat(({', '.join(xs)}), {o['dim']!r})",
        {"dim": 1},
    ),
    "stack": Operation(
        "joined along a new dimension", None, lambda xs, o: f"torch.stack(({', '.join(xs)}), {o['dim']!r})", {"dim": 1}
    ),
    "mean": Operation(
        "mean over dimensions", 1, lambda xs, o: f"{xs[0]}.mean(({_listed(o['dim'])},))", {"dim": REQUIRED}
    ),
    "amax": Operation(
        "largest over dimensions", 1, lambda xs, o: f"{xs[0]}.amax(({_listed(o['dim'])},))", {"dim": REQUIRED}
    ),
    "resize_as": Operation(
        "first at the height and width of the second, by the nearest place",
        2,
        lambda xs, o: f"torch.nn.functional.interpolate({xs[0]}, size={xs[1]}.shape[2:], mode='nearest')",
    ),
    "reshape": Operation(
        "another shape for each sample",
        1,
        lambda xs, o: f"{xs[0]}.reshape({xs[0]}.shape[0], {_listed(o['shape'])})",
        {"shape": REQUIRED},
    ),
    "transpose": Operation(
        "two dimensions swapped",
        1,
        lambda xs, o: f"{xs[0]}.transpose({o['dim0']!r}, {o['dim1']!r})",
        {"dim0": REQUIRED, "dim1": REQUIRED},
    ),
    "select": Operation(
        "one index of a dimension", 1, lambda xs, o: f"{xs[0]}.select({o['dim']!r}, {o['index']!r})",
        {"dim": REQUIRED, "index": REQUIRED},
    ),
    "item": Operation(
        "one of a layer's several outputs", 1, lambda xs, o: f"{xs[0]}[{o['index']!r}]", {"index": REQUIRED}
    ),
}  # fmt: skip

_WHOLE_NUMBERS = ("dim", "dim0", "dim1", "index", "shape")


def check_operation(name: str, count: int, options: Mapping[str, Any], where: str | None = None) -> dict[str, Any]:
    """The options of an operation, complete.

    Generated code holds their values, so nothing but whole numbers passes.

    Raises:
        ConfigError: an option that is unknown, missing, or no whole number; or a wrong number of operands.
    """
    operation = OPERATIONS[name]
    for option in options:
        if option not in operation.options:
            suggestions = did_you_mean(str(option), operation.options)
            raise ConfigError(f"operation '{name}' has no option '{option}'", where=where, suggestions=suggestions)
    complete = {**operation.options, **options}
    missing = [option for option, value in complete.items() if value is REQUIRED]
    if missing:
        raise ConfigError(f"operation '{name}' needs {', '.join(map(repr, missing))}", where=where)
    for option, value in complete.items():
        values = value if isinstance(value, (list, tuple)) and option in ("dim", "shape") else [value]
        if option in _WHOLE_NUMBERS and not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            raise ConfigError(f"operation '{name}': {option} is {value!r}, expected a whole number", where=where)
    if count < 1 or (operation.arity is not None and count != operation.arity):
        raise ConfigError(
            f"operation '{name}' takes {operation.arity or 'two or more'} inputs, received {count}", where=where
        )
    return {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}
