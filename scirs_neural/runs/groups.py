"""The registries whose names are values of config groups. No torch here."""

from __future__ import annotations

from scirs_neural.core.registries import registry
from scirs_neural.core.registry import Registry

GROUPS = ("model", "data", "task", "optimizer", "scheduler", "callbacks", "plugins", "logger")


def config_groups() -> dict[str, Registry]:
    """By config group: the registry whose names are its values.

    Example:
        >>> "resnet50" in config_groups()["model"]
        True
    """
    return {group: registry(group) for group in GROUPS}
