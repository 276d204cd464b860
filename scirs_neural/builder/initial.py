"""How a layer's parameters start, as plain data: names of `torch.nn.init` functions, or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean

INITIALISERS = (
    "constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "ones", "orthogonal", "sparse",
    "trunc_normal", "uniform", "xavier_normal", "xavier_uniform", "zeros",
)  # fmt: skip


def check_init(init: Any, where: str | None = None) -> Any:
    """Refuse what `apply_init` does not understand.

    Raises:
        ConfigError: an unknown name, or another type.
    """
    rules = init.values() if isinstance(init, Mapping) and "name" not in init else [init]
    for rule in rules:
        name = rule.get("name") if isinstance(rule, Mapping) else rule
        if name is None or (isinstance(name, (int, float)) and not isinstance(name, bool)):
            continue
        if name not in INITIALISERS:
            suggestions = did_you_mean(str(name), INITIALISERS)
            raise ConfigError(
                f"unknown initialisation {name!r}", where=where, suggestions=suggestions, fix=", ".join(INITIALISERS)
            )
    return init


def apply_init(module: nn.Module, init: Any, place: str, where: str | None = None) -> None:
    """Initialise a module's parameters in place.

    Args:
        module: whose parameters start anew.
        init: None: leave them; a name or ``{name: …, options}``: for every parameter of two or more dimensions; or a
            mapping from parameter names (their last part: ``weight``) to such names or to numbers.
        place: how errors call the module.
        where: where ``init`` came from, for errors.

    Raises:
        ConfigError: a parameter that the module does not have, or an initialisation that does not fit.

    Example:
        >>> linear = nn.Linear(2, 1)
        >>> apply_init(linear, {"weight": "ones", "bias": -2}, "gate")
        >>> linear.weight.tolist(), linear.bias.tolist()
        ([[1.0, 1.0]], [-2.0])
    """
    if init is None:
        return
    parameters = list(module.named_parameters())
    if isinstance(init, Mapping) and "name" not in init:
        for key, rule in init.items():
            chosen = [p for name, p in parameters if name == key or name.rpartition(".")[2] == key]
            if not chosen:
                what = f"{place}: init names the parameter '{key}', which {type(module).__name__} lacks"
                raise ConfigError(what, where=where)
            for parameter in chosen:
                _fill(parameter, rule, place, where)
    else:
        for _, parameter in parameters:
            if parameter.dim() >= 2:
                _fill(parameter, init, place, where)


def _fill(parameter: nn.Parameter, rule: Any, place: str, where: str | None) -> None:
    if isinstance(rule, (int, float)):
        nn.init.constant_(parameter, rule)
        return
    options = {key: value for key, value in rule.items() if key != "name"} if isinstance(rule, Mapping) else {}
    name = rule["name"] if isinstance(rule, Mapping) else rule
    try:
        getattr(nn.init, f"{name}_")(parameter, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{place}: initialisation '{name}' does not fit: {error}", where=where) from error
