"""The registries whose names are values of config groups. No torch here."""

from __future__ import annotations

from scirs_neural.core.registry import Registry
from scirs_neural.data.registry import DATA
from scirs_neural.models.registry import MODELS
from scirs_neural.optim.registry import OPTIMIZERS, SCHEDULERS
from scirs_neural.plugins.registry import PLUGINS
from scirs_neural.tasks.registry import TASKS
from scirs_neural.training.registry import CALLBACKS, LOGGERS


def config_groups() -> dict[str, Registry]:
    """By config group: the registry whose names are its values.

    Example:
        >>> "resnet50" in config_groups()["model"]
        True
    """
    return {
        "model": MODELS,
        "data": DATA,
        "task": TASKS,
        "optimizer": OPTIMIZERS,
        "scheduler": SCHEDULERS,
        "callbacks": CALLBACKS,
        "plugins": PLUGINS,
        "logger": LOGGERS,
    }
