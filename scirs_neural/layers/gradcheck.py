"""Checks a layer's derivatives against finite differences and names the layer that is wrong."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from torch.func import functional_call

from scirs_neural.core.errors import ParityError


def check_gradients(
    layer: nn.Module,
    *inputs: Any,
    second_order: bool = False,
    fast: bool = False,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> None:
    """Compare every derivative of a layer or model, by its inputs and parameters, with finite differences in float64.

    When one is wrong, the layers inside are checked one by one with the inputs that they get, and the first wrong one
    is named by its path.

    Args:
        layer: the module; it is copied, not changed. Layers that draw random numbers must be in evaluation mode.
        *inputs: its inputs; floating ones are turned into float64 and differentiated.
        second_order: check the derivatives of the derivatives too.
        fast: compare along random directions instead of element by element; for large layers.
        eps: step of the differences.
        atol: absolute tolerance.
        rtol: relative tolerance.

    Raises:
        ParityError: a derivative is wrong; the error names the layer and says how wrong.

    Example:
        >>> import torch
        >>> check_gradients(nn.Linear(3, 2), torch.randn(4, 3))
        >>> class Wrong(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return 2 * x
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         return grad
        >>> class Doubler(nn.Module):
        ...     def forward(self, x):
        ...         return Wrong.apply(x)
        >>> check_gradients(nn.Sequential(nn.Linear(3, 2), Doubler()), torch.randn(4, 3))
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ParityError: layer '1' (Doubler) has a wrong gradient by input 0: Jacobian mismatch ...
    """
    exact = copy.deepcopy(layer).double()
    how = {"eps": eps, "atol": atol, "rtol": rtol, "fast_mode": fast, "check_undefined_grad": not fast}
    fault = _fault(exact, inputs, second_order, how)
    if fault is None:
        return
    for path, module, arguments in _calls(exact, inputs):
        inner = _fault(module, arguments, second_order, how)
        if inner is not None:
            raise ParityError(f"layer '{path}' ({type(module).__name__}) has a wrong gradient by {inner}")
    raise ParityError(f"{type(layer).__name__} has a wrong gradient by {fault}")


def _fault(layer: nn.Module, inputs: tuple[Any, ...], second_order: bool, how: dict[str, Any]) -> str | None:
    """What is wrong: by which input or parameter, and how; None if nothing is."""
    arguments = [_exact(value) for value in inputs]
    parameters = {name: p.detach().clone() for name, p in layer.named_parameters()}
    places: list[tuple[str, Any]] = [(f"input {i}", i) for i, value in enumerate(arguments) if _is_float(value)]
    places += [(f"parameter '{name}'", name) for name in parameters]
    for label, place in places:
        start = (arguments[place] if isinstance(place, int) else parameters[place]).detach().clone().requires_grad_()

        def call(value: Tensor, place: Any = place) -> tuple[Tensor, ...]:
            given, held = list(arguments), dict(parameters)
            if isinstance(place, int):
                given[place] = value
            else:
                held[place] = value
            outputs = _tensors(functional_call(layer, held, tuple(given)))
            return tuple(output for output in outputs if output.requires_grad)

        if start.numel() == 0 or not call(start):
            continue
        try:
            gradcheck(call, (start,), **how)
            if second_order:
                gradgradcheck(call, (start,), **how)
        except GradcheckError as error:
            return f"{label}: {' '.join(str(error).split())}"
    return None


def _calls(model: nn.Module, inputs: tuple[Any, ...]) -> list[tuple[str, nn.Module, tuple[Any, ...]]]:
    """The layers without layers inside, with their paths and the inputs of their first call, in order of calling."""
    calls: dict[str, tuple[str, nn.Module, tuple[Any, ...]]] = {}
    hooks = []
    for path, module in model.named_modules():
        if path and not list(module.children()):

            def keep(module: nn.Module, arguments: tuple[Any, ...], path: str = path) -> None:
                calls.setdefault(path, (path, module, arguments))

            hooks.append(module.register_forward_pre_hook(keep))
    try:
        model(*[_exact(value) for value in inputs])
    finally:
        for hook in hooks:
            hook.remove()
    return list(calls.values())


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _exact(value: Any) -> Any:
    return value.detach().double() if _is_float(value) else value


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (tuple, list)):
        return [tensor for output in outputs for tensor in _tensors(output)]
    return []
