"""An optimizer and its schedule from names and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from scirs_neural.core.errors import ConfigError, refusals
from scirs_neural.core.registry import Entry
from scirs_neural.optim.groups import ParameterGroup
from scirs_neural.optim.registry import OPTIMIZERS, SCHEDULERS
from scirs_neural.optim.schedules import Span
from scirs_neural.optim.wrapper import tuples


def build_optimizer(name: str, model: nn.Module, groups: Sequence[ParameterGroup], /, **options: Any) -> Optimizer:
    """An optimizer over parameter groups.

    Args:
        name: a registry name, or a class of the user's as ``file.py:Class``. Called with groups and options.
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
    entry = OPTIMIZERS.typed(name)
    known = entry.traits
    if known.get("no_weight_decay") and any(group.weight_decay for group in groups):
        raise ConfigError(f"the optimizer '{name}' knows no weight decay", fix="set its weight_decay to 0")
    sets = _sets(entry, model, [group for group in groups if not group.frozen])
    entry.check(options)
    with refusals(f"the {entry.label}"):
        optimizer: Optimizer = entry.load()(sets, **{key: tuples(value) for key, value in options.items()})
    return optimizer


def _sets(entry: Entry, model: nn.Module, groups: Sequence[ParameterGroup]) -> list[dict[str, Any]]:
    """The groups in the form that torch's optimizers take."""
    by_name = dict(model.named_parameters())
    if not groups:
        raise ConfigError("there is nothing to learn: every parameter is frozen", where="optimizer.groups")
    known = entry.traits
    if known.get("single_group"):
        rates = {group.lr for group in groups}
        if len(rates) > 1:
            raise ConfigError(f"the {entry.label} has one learning rate for all parameters", where="optimizer.groups")
        everything = [by_name[p] for group in groups for p in group.parameters]
        return [{"params": everything, "lr": rates.pop(), "name": "all"}]
    decays = not known.get("no_weight_decay")
    sets = []
    for group in groups:
        common = {"lr": group.lr, **({"weight_decay": group.weight_decay} if decays else {}), "name": group.name}
        if entry.name != "muon":
            sets.append({"params": [by_name[p] for p in group.parameters], **common})
            continue
        from scirs_neural.optim.muon import hidden_matrices

        hidden = hidden_matrices(model)
        for is_hidden in (True, False):
            chosen = [by_name[p] for p in group.parameters if (p in hidden) is is_hidden]
            if chosen:
                sets.append({"params": chosen, **common, "by_matrix": is_hidden})
    return sets


def traits(name: str) -> Mapping[str, Any]:
    """What must be known of an optimizer before it is built; its table's, else its class attribute ``traits``.

    Example:
        >>> dict(traits("sam"))
        {'needs_closure': True}
    """
    return OPTIMIZERS.typed(name).traits


def build_scheduler(name: str, optimizer: Optimizer, span: Span, /, **options: Any) -> LRScheduler | ReduceLROnPlateau:
    """A schedule for an optimizer.

    Raises:
        UnknownNameError: no such schedule.
        ConfigError: it takes no such option, or not such a value.
    """
    entry = SCHEDULERS.typed(name)
    entry.check(options)
    with refusals(f"the {entry.label}"):
        schedule: LRScheduler | ReduceLROnPlateau = entry.load()(optimizer, span, **options)
    return schedule
