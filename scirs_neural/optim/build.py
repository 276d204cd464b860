"""An optimizer and its schedule from names and options."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.near import near_names
from scirs_neural.core.registry import Registry
from scirs_neural.optim import OPTIMIZERS, SCHEDULERS
from scirs_neural.optim.groups import ParameterGroup
from scirs_neural.optim.schedules import Span


def build_optimizer(name: str, model: nn.Module, groups: Sequence[ParameterGroup], /, **options: Any) -> Optimizer:
    """An optimizer over parameter groups.

    Args:
        name: a registry name.
        model: whose parameters the groups name.
        groups: from `scirs_neural.optim.parameter_groups`.
        **options: of the optimizer, under torch's names.

    Raises:
        UnknownNameError: no such optimizer.
        ConfigError: it takes no such option, or not such a value.

    Example:
        >>> from scirs_neural.optim import parameter_groups
        >>> net = nn.Linear(2, 1)
        >>> groups = parameter_groups(net, lr=0.1, weight_decay=0.0)
        >>> build_optimizer("sgd", net, groups, momentum=0.9).defaults["momentum"]
        0.9
    """
    check_options(OPTIMIZERS, name, options)
    by_name = dict(model.named_parameters())
    sets = [
        {"params": [by_name[p] for p in g.parameters], "lr": g.lr, "weight_decay": g.weight_decay, "name": g.name}
        for g in groups
    ]
    if name == "rprop" and any(group.weight_decay for group in groups):
        raise ConfigError("the optimizer 'rprop' knows no weight decay", fix="set its weight_decay to 0")
    with _refusals(f"the optimizer '{name}'"):
        optimizer: Optimizer = OPTIMIZERS.get(name)(sets, **{key: _tuples(value) for key, value in options.items()})
    return optimizer


def build_scheduler(name: str, optimizer: Optimizer, span: Span, /, **options: Any) -> LRScheduler | ReduceLROnPlateau:
    """A schedule for an optimizer.

    Raises:
        UnknownNameError: no such schedule.
        ConfigError: it takes no such option, or not such a value.
    """
    check_options(SCHEDULERS, name, options)
    with _refusals(f"the scheduler '{name}'"):
        schedule: LRScheduler | ReduceLROnPlateau = SCHEDULERS.get(name)(optimizer, span, **options)
    return schedule


def check_options(registry: Registry, name: str, options: dict[str, Any]) -> None:
    """Refuse options that the part named does not take.

    Raises:
        ConfigError: names the option and the nearest.
    """
    known = registry.options(name)
    for option in options:
        if option not in known:
            raise ConfigError(f"the {registry.kind} '{name}' has no option '{option}'", near=near_names(option, known))


@contextlib.contextmanager
def _refusals(part: str) -> Iterator[None]:
    """Torch's complaints about values as errors of the user's."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{part} refuses its options: {error}") from error


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # YAML has no tuples, torch wants betas as one
