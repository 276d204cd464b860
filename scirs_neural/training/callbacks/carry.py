"""A new optimizer in the middle of a run, for a network whose parameters are other ones: what it takes over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.optim import Optimizer

from scirs_neural.training.module import Module


class Carried:
    """Optimizers and schedules as they are before plugins change the network.

    State goes over by the name of the parameter: whole where the shape is the same, by `Plugin.map_state` where it is
    another one, else it starts anew. Settings and learning rates go over by the name of the group; a new group stands
    where the schedule has brought the others.

    Args:
        trainer: has the optimizers.
        module: has the parameters.
    """

    def __init__(self, trainer: L.Trainer, module: Module) -> None:
        self.facts = _facts(module)
        self.names = {id(parameter): name for name, parameter in module.named_parameters()}
        self.optimizers = list(trainer.optimizers)
        self.schedules: list[Any] = [held.scheduler for held in trainer.lr_scheduler_configs]

    def is_changed(self, module: Module) -> bool:
        """Whether parameters are other ones now, or learn that did not, or the other way round."""
        return _facts(module) != self.facts

    def carry(self, trainer: L.Trainer, module: Module) -> None:
        """Make optimizers and schedules anew, and go on where the old ones stood."""
        strategy = trainer.strategy
        if isinstance(strategy, DDPStrategy):  # it adds gradients up over the parameters that it was made with
            strategy.model = module
            strategy.configure_ddp()
        strategy.setup_optimizers(trainer)
        parameters = dict(module.named_parameters())
        for old, new in zip(self.optimizers, trainer.optimizers, strict=True):
            self._carry_state(old, new, module, parameters)
        schedules: list[Any] = [held.scheduler for held in trainer.lr_scheduler_configs]
        for before, schedule, old, new in zip(
            self.schedules, schedules, self.optimizers, trainer.optimizers, strict=True
        ):
            places = dict(zip(_labels(old), range(len(old.param_groups)), strict=True))
            order = [places.get(label) for label in _labels(new)]
            schedule.load_state_dict(_mapped(before.state_dict(), schedule.state_dict(), order, len(places)))
            _carry_groups(old, new, order)

    def _carry_state(self, old: Optimizer, new: Optimizer, module: Module, parameters: Mapping[str, Tensor]) -> None:
        learning = {id(parameter) for group in new.param_groups for parameter in group["params"]}
        for parameter, state in list(old.state.items()):
            name = self.names.get(id(parameter))
            present = parameters.get(name or "")
            if name is None or present is None or id(present) not in learning:
                continue
            found: Mapping[str, Any] | None = state
            if present.shape != parameter.shape:
                mapped = (plugin.map_state(name.removeprefix("model."), state) for plugin in module.plugins)
                found = next((held for held in mapped if held is not None), None)
            if found is not None:
                new.state[present] = dict(found)


def _facts(module: Module) -> list[tuple[Any, ...]]:
    return [(name, id(p), p.shape, p.requires_grad) for name, p in module.named_parameters()]


def _labels(optimizer: Optimizer) -> list[tuple[Any, int]]:
    """A name for each group: its own, and which of that name it is."""
    names = [group.get("name") for group in optimizer.param_groups]
    return [(name, names[:place].count(name)) for place, name in enumerate(names)]


def _carry_groups(old: Optimizer, new: Optimizer, order: list[int | None]) -> None:
    """Give groups what schedules and the like have set in the old ones."""
    first = old.param_groups[0]
    for group, place in zip(new.param_groups, order, strict=True):
        if place is not None:
            group |= {key: value for key, value in old.param_groups[place].items() if key != "params"}
        elif first.get("initial_lr"):
            group["lr"] = group["initial_lr"] * (first["lr"] / first["initial_lr"])


def _mapped(old: Any, new: Any, order: list[int | None], num_old: int) -> Any:
    """A schedule's old state, where lists of a value a group follow the groups."""
    if isinstance(old, Mapping):
        return {key: _mapped(value, new.get(key, value), order, num_old) for key, value in old.items()}
    is_a_group_s = isinstance(old, list) and len(old) == num_old and isinstance(new, list) and len(new) == len(order)
    if is_a_group_s and all(isinstance(value, int | float) for value in old):
        return [new[i] if place is None else old[place] for i, place in enumerate(order)]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_mapped(a, b, order, num_old) for a, b in zip(old, new, strict=True)]
    return old
