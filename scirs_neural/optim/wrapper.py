"""Optimizers that wrap others, whose parameter groups and state they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.registry import OPTIMIZERS


class Wrapper(Optimizer):
    """An optimizer made of others: one list of groups and one state for all of them.

    So schedules, checkpoints and whoever looks at the groups need not know what is inside.

    Args:
        parts: the optimizers inside, each over groups of its own.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], dict(parts[0].defaults))
        self.parts = list(parts)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Give a group to the last of the parts."""
        parts = getattr(self, "parts", None)
        if parts is None:  # torch's own __init__
            super().add_param_group(param_group)
            return
        held = {id(p) for group in self.param_groups for p in group["params"]}
        given = param_group["params"]
        given = [given] if isinstance(given, Tensor) else list(given)
        if any(id(parameter) in held for parameter in given):
            raise ValueError("some parameters appear in more than one parameter group")
        parts[-1].add_param_group({**param_group, "params": given})
        self.param_groups.append(parts[-1].param_groups[-1])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take in a saved state, for the parts too."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        start = 0
        for part in self.parts:
            part.param_groups = self.param_groups[start : start + len(part.param_groups)]
            part.state = self.state
            start += len(part.param_groups)


def make_base(name: str, params: Iterable[Any], options: Mapping[str, Any] | None, **common: Any) -> Optimizer:
    """The optimizer inside another, by its registry name.

    Args:
        name: such as "sgd".
        params: groups of parameters.
        options: of that optimizer.
        **common: learning rate and weight decay.

    Raises:
        ConfigError: it takes no such option, or needs to be driven by itself.
    """
    entry, options = OPTIMIZERS.entry(name), dict(options or {})
    entry.check(options)
    if entry.traits:
        raise ConfigError(f"the optimizer '{name}' cannot be wrapped by another one", where="optimizer.base")
    made: Optimizer = entry.load()(params, **common, **{key: tuples(value) for key, value in options.items()})
    return made


def tuples(value: Any) -> Any:
    """A list as a tuple: YAML has none, and torch wants betas as one."""
    return tuple(value) if isinstance(value, list) else value
