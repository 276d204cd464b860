"""What saved configurations of earlier versions mean today. They are promised to load; nothing else is migrated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from scirs_neural.core.registry import Registry

TASK_NAMES = {"image_classification": "auto", "table_classification": "auto"}
"""What tasks were called in the first run folders and packages; the data alone says which one it is now."""


def migrate(settings: dict[str, Any], registries: Mapping[str, Registry]) -> dict[str, Any]:
    """Saved settings in today's names.

    Args:
        settings: as they were read.
        registries: a name that is still registered is left alone.

    Example:
        >>> migrate({"logger": {"tensorboard": True, "histograms": True, "images": False, "graph": False}}, {})
        {'logger': {'tensorboard': {'histograms': True, 'images': False, 'graph': False}}}
        >>> migrate({"logger": {"tensorboard": False, "histograms": False}}, {})
        {'logger': {}}
        >>> migrate({"data": {"name": "table", "task": "regression"}}, {})
        {'data': {'name': 'table', 'target_kind': 'numbers'}}
        >>> migrate({"callbacks": {"ema": {"decay": 0.9, "use_buffers": True}}}, {})
        {'callbacks': {}, 'plugins': {'ema': {'decay': 0.9}}}
    """
    settings = {key: _SECTIONS.get(key, _as_it_is)(value, registries) for key, value in settings.items()}
    return _averages(settings, registries)


def _averages(settings: dict[str, Any], registries: Mapping[str, Registry]) -> dict[str, Any]:
    """Until November 2026 averaging the weights was a callback."""
    callbacks = settings.get("callbacks")
    if not isinstance(callbacks, dict) or "ema" not in callbacks or "ema" in registries.get("callbacks", ()):
        return settings
    saved, names = callbacks["ema"] or {}, {"decay": "decay", "update_every_n_steps": "every_n_steps"}
    options = {names[key]: value for key, value in saved.items() if key in names}
    lost = [f"{key}={value}" for key, value in saved.items() if key not in names and value not in (None, True)]
    if lost:
        warnings.warn(f"callbacks.ema is a plugin now, which has no {' and no '.join(lost)}", stacklevel=2)
    others = {key: value for key, value in callbacks.items() if key != "ema"}
    return {**settings, "callbacks": others, "plugins": {**(settings.get("plugins") or {}), "ema": options}}


def _logger(section: Any, registries: Mapping[str, Registry]) -> Any:
    """Until November 2026 there was TensorBoard or nothing: ``{tensorboard: true, histograms: false, …}``."""
    if not isinstance(section, dict) or not isinstance(section.get("tensorboard"), bool):
        return section
    options = {key: value for key, value in section.items() if key != "tensorboard"}
    return {"tensorboard": options} if section["tensorboard"] else {}


def _task(section: Any, registries: Mapping[str, Registry]) -> Any:
    """Until November 2026 classification had a name for each kind of data."""
    name = section.get("name") if isinstance(section, dict) else None
    tasks = registries.get("task", ())
    if isinstance(name, str) and name in TASK_NAMES and name not in tasks:
        return {**section, "name": TASK_NAMES[name]}
    return section


def _data(section: Any, registries: Mapping[str, Registry]) -> Any:
    """Until November 2026 a table said what is learnt from it by the name of a task, not by the kind of its target."""
    if not isinstance(section, dict) or section.get("name") != "table" or "task" not in section:
        return section
    kinds = {"table_classification": "class", "regression": "numbers"}
    options = {key: value for key, value in section.items() if key != "task"}
    return {**options, "target_kind": kinds.get(section["task"])}


def _as_it_is(section: Any, registries: Mapping[str, Registry]) -> Any:
    return section


_SECTIONS: dict[str, Callable[[Any, Mapping[str, Registry]], Any]] = {
    "data": _data, "logger": _logger, "task": _task,
}  # fmt: skip
