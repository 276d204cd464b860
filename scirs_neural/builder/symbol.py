"""Symbolic tensors: values of a network that does not run yet. Only their shapes and origins are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scirs_neural.builder.operations import check_operation, evaluate
from scirs_neural.core.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from scirs_neural.builder.layer_node import LayerNode

BATCH = 2  # the batch size with which shapes are found; shown as N

DTYPES = ("float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8", "bool")


class Auto:
    """The first part of a path whose user gave none: it gets a name that is still free when the model is made."""

    def __init__(self, stem: str) -> None:
        self.stem = stem

    def __str__(self) -> str:
        return self.stem


Path = tuple[str | Auto, ...]


def dotted(path: Path) -> str:
    """A path as users read it: ``blocks.3.attn``."""
    return ".".join(str(part) for part in path)


@dataclass(eq=False)
class Node:
    """A layer or an operation, applied to earlier values."""

    path: Path
    operands: list[Symbol | float]
    layer: LayerNode | None = None
    operation: str = ""
    options: dict[str, Any] = field(default_factory=dict)


class Symbol:
    """A value in a network under construction. Layers, operators and `concat` take it and give new ones.

    ``+ - * / @`` work between symbols and with numbers; ``x[:, 3]`` picks one index of one dimension, and ``x[0]`` one
    of several outputs of a layer.
    """

    def __init__(self, value: Any, node: Node | None = None, name: str | None = None) -> None:
        self.value, self.node, self.name = value, node, name

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, None for the batch.

        Raises:
            ShapeError: this is several tensors at once.
        """
        if not isinstance(self.value, Tensor):
            raise ShapeError(f"{self!r} is several tensors: pick one with x[0]")
        return (None, *self.value.shape[1:]) if self.value.shape[:1] == (BATCH,) else tuple(self.value.shape)

    def __repr__(self) -> str:
        origin = self.name or (dotted(self.node.path) if self.node else "?")
        return f"Symbol({origin}: {show_shape(self.value)})"

    def __add__(self, other: Any) -> Symbol:
        return apply_operation("add", [self, other])

    def __radd__(self, other: Any) -> Symbol:
        return apply_operation("add", [other, self])

    def __sub__(self, other: Any) -> Symbol:
        return apply_operation("sub", [self, other])

    def __rsub__(self, other: Any) -> Symbol:
        return apply_operation("sub", [other, self])

    def __mul__(self, other: Any) -> Symbol:
        return apply_operation("mul", [self, other])

    def __rmul__(self, other: Any) -> Symbol:
        return apply_operation("mul", [other, self])

    def __truediv__(self, other: Any) -> Symbol:
        return apply_operation("div", [self, other])

    def __rtruediv__(self, other: Any) -> Symbol:
        return apply_operation("div", [other, self])

    def __matmul__(self, other: Any) -> Symbol:
        return apply_operation("matmul", [self, other])

    def __neg__(self) -> Symbol:
        return apply_operation("neg", [self])

    def __getitem__(self, index: Any) -> Symbol:
        if not isinstance(self.value, Tensor):
            return apply_operation("item", [self], {"index": index})
        picked = index if isinstance(index, tuple) else (index,)
        places = [place for place, part in enumerate(picked) if isinstance(part, int) and not isinstance(part, bool)]
        if len(places) == 1 and all(part == slice(None) for part in picked if not isinstance(part, int)):
            return apply_operation("select", [self], {"dim": places[0], "index": picked[places[0]]})
        raise ConfigError(f"{self!r} can be indexed at one dimension only, as in x[:, -1], not by {index!r}")

    def __iter__(self) -> Any:
        if isinstance(self.value, Tensor):
            raise ConfigError(f"{self!r} cannot be iterated over: it is one tensor")
        return (self[index] for index in range(len(self.value)))

    def __bool__(self) -> bool:
        raise ConfigError(f"{self!r} has no value yet: a graph cannot branch on one", fix="write an nn.Module instead")

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Symbol:
        """``torch.cat`` and ``torch.stack`` of symbols; other functions of torch are refused."""
        name = {torch.cat: "concat", torch.concat: "concat", torch.stack: "stack"}.get(function)
        if name is None:
            raise ConfigError(
                f"{getattr(function, '__name__', function)} was called on a symbolic tensor",
                fix="apply modules as layer(module)(x); for other functions write a small nn.Module",
            )
        dim = args[1] if len(args) > 1 else (kwargs or {}).get("dim", 0)
        return apply_operation(name, list(args[0]), {"dim": dim})


def Input(shape: Sequence[int], *, dtype: str = "float32", name: str | None = None) -> Symbol:  # noqa: N802
    """An input of a functional model.

    Args:
        shape: of one sample, without the batch.
        dtype: by torch's name; "int64" for token ids.
        name: of the argument of the model's ``forward``; None: ``x``, or ``x0 x1 …`` if there are several.

    Raises:
        ShapeError: the shape is not made of whole numbers from 1.
        ConfigError: unknown dtype.

    Example:
        >>> Input((3, 32, 32)).shape
        (None, 3, 32, 32)
    """
    sizes = tuple(shape) if isinstance(shape, (list, tuple, torch.Size)) else (shape,)
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes):
        raise ShapeError(f"the input shape is {shape!r}, expected whole numbers from 1, without the batch")
    if dtype not in DTYPES:
        raise ConfigError(f"the input's dtype is {dtype!r}", fix=", ".join(DTYPES))
    return Symbol(torch.empty(BATCH, *sizes, dtype=getattr(torch, dtype), device="meta"), name=name)


def concat(symbols: Sequence[Symbol], dim: int = 1) -> Symbol:
    """Join symbols along a dimension (1: the channels).

    Example:
        >>> concat([Input((3, 8)), Input((5, 8))]).shape
        (None, 8, 8)
    """
    return apply_operation("concat", list(symbols), {"dim": dim})


def apply_operation(
    name: str,
    operands: list[Any],
    options: dict[str, Any] | None = None,
    path: Path | None = None,
    where: str | None = None,
) -> Symbol:
    """Apply an operation of `OPERATIONS`.

    Raises:
        ConfigError: wrong operands or options.
        ShapeError: the operands' shapes do not fit together.
    """
    path = path or (Auto(name),)
    for operand in operands:
        finite = isinstance(operand, (int, float)) and not isinstance(operand, bool) and math.isfinite(operand)
        if not isinstance(operand, Symbol) and not finite:
            raise ConfigError(f"{dotted(path)}: '{name}' got {operand!r}, expected a symbol or number", where=where)
    complete = check_operation(name, len(operands), options or {}, where)
    values = [operand.value if isinstance(operand, Symbol) else operand for operand in operands]
    try:
        result = evaluate(name, values, complete)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        shapes = " and ".join(show_shape(value) for value in values)
        raise ShapeError(
            f"{dotted(path)}: '{name}' cannot take {shapes}", where=where, fix=first_sentence(error)
        ) from error
    return Symbol(result, Node(path, list(operands), operation=name, options=complete))


def show_shape(value: Any) -> str:
    """A value's shape as users read it, N for the batch: ``(N, 3, 32, 32)``."""
    if isinstance(value, Tensor):
        sizes = ["N" if i == 0 and size == BATCH else str(size) for i, size in enumerate(value.shape)]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(show_shape(part) for part in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show_shape(part)}" for key, part in value.items()) + "}"
    return str(value)


def first_sentence(error: BaseException) -> str:
    """What torch said, cut to one line."""
    return str(error).strip().partition("\n")[0][:160]
