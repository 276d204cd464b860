"""Which modules compute in which precision, beside the run's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean


def choose_modules(network: nn.Module, patterns: Sequence[str], setting: str) -> list[str]:
    """The dotted names of the modules that patterns mean, outermost first; what lies inside one of them is left out.

    Args:
        network: where to look.
        patterns: class names such as ``LayerNorm``, or regular expressions for whole dotted names: ``layer[12]``.
        setting: that the patterns come from, for the error.

    Raises:
        ConfigError: a pattern means no module, or is no regular expression.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
        >>> choose_modules(net, ["LayerNorm", "0"], "trainer.fp32_modules")
        ['0', '1.1']
    """
    named = [(name, type(part).__name__) for name, part in network.named_modules() if name]
    chosen: set[str] = set()
    for pattern in patterns:
        try:
            found = {name for name, kind in named if kind == pattern or re.fullmatch(pattern, name)}
        except re.error as error:
            raise ConfigError(f"{setting}: '{pattern}' is no regular expression: {error}") from error
        if not found:
            suggestions = did_you_mean(pattern, [*{kind for _, kind in named}, *(name for name, _ in named)])
            raise ConfigError(f"{setting}: no module of the network is called '{pattern}'", suggestions=suggestions)
        chosen |= found
    parents = [{".".join(name.split(".")[:i]) for i in range(1, name.count(".") + 1)} for name, _ in named]
    return [name for (name, _), above in zip(named, parents, strict=True) if name in chosen and not above & chosen]


def pin_to_fp32(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Let modules compute in float32 while the rest of the network runs under autocast.

    Their inputs are cast up, and autocast is off within them. Done by hooks, so the network keeps its names and can be
    copied. Some operations have no bf16 form on some processors (torch's LSTM on CPUs without AVX-512), and some lose
    too much in it.

    Args:
        network: changed in place.
        patterns: see `choose_modules`.

    Returns:
        The names of the modules.

    Raises:
        ConfigError: a pattern means no module.
    """
    names = choose_modules(network, patterns, "trainer.fp32_modules")
    for name in names:
        part = network.get_submodule(name)
        if _enter_fp32 in part._forward_pre_hooks.values():
            continue  # a second fit of the same network
        part.register_forward_pre_hook(_enter_fp32, with_kwargs=True)
        part.register_forward_hook(_leave_fp32, always_call=True)
    return names


def allow_tf32(allowed: bool) -> None:
    """Let GPUs compute float32 products and convolutions with TF32, or not; for the whole process."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


_enabled: list[tuple[str, bool]] = []


def _enter_fp32(part: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    kind = next((t.device.type for t in part.parameters()), "cpu")
    kind = kind if torch.amp.is_autocast_available(kind) else "cpu"  # "meta" has none
    _enabled.append((kind, torch.is_autocast_enabled(kind)))
    torch.set_autocast_enabled(kind, False)
    args, kwargs = apply_to_collection((args, kwargs), Tensor, _widened)
    return args, kwargs


def _leave_fp32(part: nn.Module, args: Any, output: Any) -> None:
    kind, enabled = _enabled.pop()
    torch.set_autocast_enabled(kind, enabled)


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
