"""Inner values that are computed again in the backward pass instead of being kept; and how much memory a run took."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from scirs_neural.training.precision import choose_modules


class Checkpointed(nn.Module):
    """Mixed into a module's class: while it learns, only its inputs are kept (`torch.utils.checkpoint`)."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own output."""
        if self.training and torch.is_grad_enabled():
            return checkpoint(super().forward, *args, use_reentrant=False, **kwargs)
        return super().forward(*args, **kwargs)


def checkpoint_activations(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Keep only the inputs of some modules in training. Names, weights and gradients stay what they were.

    The module's class is replaced by one with `Checkpointed` before it, so copies and saved states work as ever.

    Args:
        network: changed in place.
        patterns: class names, or regular expressions for dotted names; what is named should be a block, not one layer.

    Returns:
        The names of the modules.

    Raises:
        ConfigError: a pattern means no module.

    Example:
        >>> net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
        >>> checkpoint_activations(net, ["0"]), type(net[0]).__name__
        (['0'], 'CheckpointedSequential')
    """
    names = choose_modules(network, patterns, "trainer.activation_checkpointing")
    for name in names:
        part = network.get_submodule(name)
        if not isinstance(part, Checkpointed):
            kind = type(part)
            part.__class__ = type(f"Checkpointed{kind.__name__}", (Checkpointed, kind), {})
    return names


def peak_memory_mb() -> dict[str, float]:
    """The most memory that this process held so far, in MiB: of the host, and of the GPU if there is one."""
    found = {} if (host := _peak_of_host()) is None else {"host": round(host, 1)}
    if torch.cuda.is_available():
        found["gpu"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


def _peak_of_host() -> float | None:
    """In MiB. What Linux gives as ``ru_maxrss`` begins with the memory of the process that started this one."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
