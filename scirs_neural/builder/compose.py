"""Compositions by function, for code: ``residual([...])(x)``. The classes behind them are in `blocks`."""

from __future__ import annotations

from typing import Any

from scirs_neural.builder.blocks import Branch, Chain, DenseSkip, GatedSkip, Parallel, Repeat, Residual
from scirs_neural.builder.nodes import ListNode


def chain(*items: Any, name: str | None = None) -> Chain:
    """One node after the other, as one block."""
    return Chain(list(items), name=name)


def repeat(times: int, layers: Any, *, name: str | None = None) -> Repeat:
    """The same nodes several times over, each time with parameters of its own.

    Args:
        times: how often, at most 1000.
        layers: nodes by name or mapping, or a function that gives them.
        name: in the model.

    Example:
        >>> from scirs_neural.builder import Input
        >>> repeat(3, [{"linear": 8}, "relu"])(Input((4,))).shape
        (None, 8)
    """
    return Repeat(times, layers, name=name)


def parallel(branches: Any, *, merge: str = "concat", dim: int = 1, name: str | None = None) -> Parallel:
    """Several chains on one input, merged.

    Args:
        branches: lists of nodes, or a mapping from names to such lists.
        merge: "concat", "add" or "mul".
        dim: along which to concatenate.
        name: in the model.

    Example:
        >>> from scirs_neural.builder import Input
        >>> parallel([[{"conv2d": [4, 1]}], [{"max_pool2d": [3, 1, 1]}]])(Input((3, 8, 8))).shape
        (None, 7, 8, 8)
    """
    return Parallel(branches, merge, dim, name=name)


def branch(layers: Any, *, name: str) -> ListNode:
    """A side path in a list: its result can be named later, the main path goes on from before it."""
    return ListNode(Branch(layers), name=name)


def residual(
    layers: Any,
    *,
    projection: Any = "auto",
    projection_norm: Any = None,
    activation: Any = None,
    name: str | None = None,
) -> Residual:
    """``activation(body(x) + projection(x))``.

    Args:
        layers: the body.
        projection: "auto": none where the shapes are equal, else a strided 1x1 convolution or a linear layer without
            bias; "none"; or nodes of your own.
        projection_norm: a layer after the projection, such as "batch_norm2d".
        activation: a layer after the sum.
        name: in the model.

    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", option B for the projection.

    Example:
        >>> from scirs_neural.builder import Input
        >>> residual([{"conv2d": [16, 3, 2, 1]}, "relu"])(Input((8, 32, 32))).shape
        (None, 16, 16, 16)
    """
    return Residual(layers, projection, projection_norm, activation, name=name)


def dense_skip(layers: Any, *, times: int = 1, dim: int = 1, name: str | None = None) -> DenseSkip:
    """Each of ``times`` bodies gets the channels of the input and of all bodies before it.

    Source: Huang et al. 2017, "Densely Connected Convolutional Networks".

    Example:
        >>> from scirs_neural.builder import Input
        >>> dense_skip([{"conv2d": [12, 3, 1, 1]}], times=3)(Input((24, 8, 8))).shape
        (None, 60, 8, 8)
    """
    return DenseSkip(layers, times, dim, name=name)


def gated_skip(layers: Any, *, gate_bias: float = -2.0, projection: Any = "auto", name: str | None = None) -> GatedSkip:
    """``g · body(x) + (1 - g) · x``, g a sigmoid of a linear layer or 1x1 convolution of x.

    Args:
        layers: the body.
        gate_bias: where the gate's bias starts; below 0 a new net passes its input on.
        projection: of the input where the shapes differ, see `residual`.
        name: in the model.

    Source: Srivastava et al. 2015, "Highway Networks", equation 3.

    Example:
        >>> from scirs_neural.builder import Input
        >>> gated_skip([{"linear": 8}, "relu"])(Input((8,))).shape
        (None, 8)
    """
    return GatedSkip(layers, gate_bias, projection, name=name)
