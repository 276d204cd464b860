"""Which parameters are shapes and scales rather than weights, and so must not decay."""

from __future__ import annotations

from torch import nn


def no_decay_names(model: nn.Module) -> set[str]:
    """Names of the parameters that an optimizer should not decay.

    These are: everything with fewer than two dimensions (biases, norms, slopes of activations), and what a module
    lists in its class attribute ``no_weight_decay`` (position tables, coefficients).

    Example:
        >>> sorted(no_decay_names(nn.Sequential(nn.Linear(2, 3), nn.PReLU())))
        ['0.bias', '1.weight']
    """
    names: set[str] = set()
    for path, module in model.named_modules():
        listed: frozenset[str] = getattr(module, "no_weight_decay", frozenset())
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() < 2 or name in listed:
                names.add(f"{path}.{name}" if path else name)
    return names
