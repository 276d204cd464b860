"""What an optimizer cannot be combined with, said before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scirs_neural.config.schema import OptimizerConfig, SchedulerConfig, TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registries import registry
from scirs_neural.optim.build import traits


def check_optimizer(
    optimizer: OptimizerConfig, scheduler: SchedulerConfig, trainer: TrainerConfig, plugins: Iterable[str] = ()
) -> Mapping[str, Any]:
    """Refuse settings that an optimizer would make wrong or meaningless.

    Args:
        optimizer: which, with its settings.
        scheduler: of its learning rate.
        trainer: how it is driven.
        plugins: names of those in use.

    Returns:
        The optimizer's traits.

    Raises:
        ConfigError: two settings that exclude each other.

    Example:
        >>> sam, flat = OptimizerConfig(name="sam"), SchedulerConfig(name="constant")
        >>> check_optimizer(sam, flat, TrainerConfig(precision="16-mixed"))
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ConfigError: the optimizer 'sam' evaluates each step's loss several times, ...
          fix    use trainer.precision=bf16-mixed or 32-true
    """
    name, known = optimizer.name, traits(optimizer.name)
    if known.get("needs_closure") and trainer.precision == "16-mixed":
        raise ConfigError(
            f"the optimizer '{name}' evaluates each step's loss several times, which the loss scaling of 16-mixed does "
            "not allow",
            fix="use trainer.precision=bf16-mixed or 32-true",
        )
    if known.get("no_clipping") and trainer.gradient_clip_val is not None:
        raise ConfigError(
            f"the optimizer '{name}' compares gradients: clipped ones would mislead it",
            fix="set trainer.gradient_clip_val=null",
        )
    if known.get("averages"):
        if scheduler.name != "constant":
            raise ConfigError(
                f"the optimizer '{name}' averages in place of a schedule", fix="use scheduler=constant (with a warm-up)"
            )
        known_plugins = registry("plugins")
        averages = [one for one in plugins if one in known_plugins and known_plugins.entry(one).traits.get("averages")]
        if averages:
            fix = f"take {averages[0]} out of plugins"
            raise ConfigError(f"the optimizer '{name}' averages weights already", fix=fix)
    return known
