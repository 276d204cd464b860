"""Building and running networks without memory or time: on torch's meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle


class _SmallTensorsOnCPU(TorchFunctionMode):
    """Keep tensors that builders compute sizes with off the meta device (RegNet derives its widths from some)."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.arange, torch.tensor):
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[None]:
    """Build networks without memory inside this block: shapes and names are true, there are no values.

    Example:
        >>> from scirs_neural.models import create_model
        >>> with on_meta():
        ...     net = create_model("regnet_y_128gf")
        >>> sum(p.numel() for p in net.parameters()), next(net.parameters()).device.type
        (644812894, 'meta')
    """
    with torch.device("meta"), _SmallTensorsOnCPU():
        yield


def is_on_meta() -> bool:
    """Whether what is built now is built on the meta device."""
    return torch.empty(0).device.type == "meta"


Call = tuple[int, ...] | Callable[[Any], Any]
"""How a network is tried: with an input of a shape, or by a function that calls it with inputs on the meta device."""


def run_on_meta(model: nn.Module, call: Call) -> Any:
    """What a network gives in evaluation mode, without values; the network stays as it is.

    Args:
        model: a network whose forward pass does not look at values.
        call: see `Call`.

    Raises:
        RuntimeError: and what else torch raises where the input does not fit.

    Example:
        >>> run_on_meta(nn.Linear(4, 2), lambda net: net(torch.empty(3, 4, device="meta"))).shape
        torch.Size([3, 2])
    """
    net = _Called(model)
    state = {name: tensor.to("meta") for name, tensor in (*net.named_parameters(), *net.named_buffers())}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return torch.func.functional_call(net, state, (call,))
    finally:
        for module, training in modes:
            module.training = training


class _Called(nn.Module):
    """A network that is called by a function: torch swaps the parameters of a module for the time of its call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, call: Call) -> Any:
        if callable(call):
            return call(self.network)
        return self.network(torch.empty(call, device="meta"))


def output_shape(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a network gives for an input of a shape, found on the meta device; the network stays as it is.

    Args:
        model: a network whose forward pass does not look at values.
        input_shape: with the batch, such as (1, 3, 224, 224).

    Raises:
        RuntimeError: and what else torch raises where the input does not fit.
    """
    return tuple(run_on_meta(model, input_shape).shape)


def failing_layer(model: nn.Module, call: Call) -> str | None:
    """The innermost layer that fails, with what came to it; None when none does.

    Args:
        model: a network; it stays as it is.
        call: see `Call`; a shape has the batch, such as (1, 3, 224, 224).

    Example:
        >>> failing_layer(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), (2, 1, 9, 9))
        'layer 1 (Linear), which received (2, 81)'
    """
    running: list[str] = []

    def enter(path: str) -> Callable[..., None]:
        def note(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            shapes = [str(tuple(x.shape)) for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
            running.append(f"layer {path} ({type(layer).__name__}), which received {', '.join(shapes)}")

        return note

    def leave(layer: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    handles: list[RemovableHandle] = []
    for path, layer in model.named_modules():
        if path:
            handles.append(layer.register_forward_pre_hook(enter(path), prepend=True, with_kwargs=True))
            handles.append(layer.register_forward_hook(leave))
    try:
        run_on_meta(model, call)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return running[-1] if running else None
    finally:
        for handle in handles:
            handle.remove()
    return None


def count_macs(model: nn.Module, call: Call) -> int | None:
    """Multiply-accumulate operations of one sample in convolutions, linear layers and attention.

    Args:
        model: a network; it stays as it is.
        call: see `Call`, of one sample; a shape is without the batch, such as (3, 224, 224).

    Returns:
        The count, or None when the network looks at values and so cannot be run without any.

    Example:
        >>> count_macs(nn.Linear(10, 4), (10,))
        40
    """
    with FlopCounterMode(display=False) as counter:
        try:
            run_on_meta(model, call if callable(call) else (1, *call))
        except (RuntimeError, NotImplementedError, ValueError):
            return None
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """How many numbers a network learns or may learn: every parameter once, frozen ones too."""
    return sum(parameter.numel() for parameter in model.parameters())
