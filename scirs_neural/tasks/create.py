"""The task that data is for. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.config.migrate import TASK_NAMES
from scirs_neural.core.errors import ConfigError, expect
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.registry import TASKS
from scirs_neural.tasks.task import Task

AUTO = "auto"


def create_task(spec: DataSpec, name: str | None = None, **options: Any) -> Task:
    """A task for data.

    Args:
        spec: the data's description.
        name: a registry name, or a class of the user's as ``file.py:Class``; None or "auto": what the data's targets
            are for. ``task.reason`` then says why.
        **options: of the task.

    Raises:
        UnknownNameError: no such task.
        ConfigError: the task does not fit the data, it takes no such option, or no task follows from the data.

    Example:
        >>> spec = DataSpec("toy", {}, {"label": {"kind": "class", "classes": ["cat", "dog"]}})
        >>> task = create_task(spec, label_smoothing=0.1)
        >>> task.name, task.reason
        ('classification', "the target 'label' is of the kind class")
    """
    expect(spec, DataSpec, "the description of data, which comes first,", "sn.create_task(data.spec, name)")
    if name in (None, AUTO, *TASK_NAMES):
        chosen, reason = task_of(spec)
    else:
        chosen, reason = str(name), "it was named"
        _check_fit(chosen, spec)
    entry = TASKS.typed(chosen, where="task")
    kind = entry.load()
    if isinstance(kind, type) and not issubclass(kind, Task):
        raise ConfigError(
            f"'{chosen}' is no Task: what its answers are worth is not known", where="task",
            fix="derive it from scirs_neural.tasks.Task; a LightningModule is trained by scirs_neural.train alone",
        )  # fmt: skip
    entry.check(options, where="task", types=False)
    try:
        task: Task = kind(spec, **options)
    except TypeError as error:
        raise ConfigError(f"the task '{chosen}' refuses its options: {error}", where="task") from error
    task.name, task.reason = chosen, reason
    return task


def task_of(spec: DataSpec) -> tuple[str, str]:
    """The name of the task that data's targets are for, and why it is that one.

    Raises:
        ConfigError: no task follows from the data, or several do.
    """
    if len(spec.targets) > 1:
        found = [name for name in TASKS.names() if TASKS.entry(name).traits.get("heads")]
        reason = f"the data has {len(spec.targets)} targets: {', '.join(spec.targets)}"
    elif spec.targets:
        target, held = next(iter(spec.targets.items()))
        found = _fitting(held["kind"])
        name = held.get("column") or ", ".join(held.get("names", ())) or target
        reason = f"the target '{name}' is of the kind {held['kind']}"
    else:
        found, reason = [], "the data has no targets"
    if len(found) != 1:
        fix = f"task={found[0]}" if found else "name one: task=…"
        what = f"could be {', '.join(found)}" if found else "has no task that follows from it"
        raise ConfigError(f"the data '{spec.name}' {what}: {reason}", fix=fix, see="python -m scirs_neural.list tasks")
    return found[0], reason


def _fitting(kind: str) -> list[str]:
    return [name for name in TASKS.names() if kind in TASKS.entry(name).traits.get("targets", ())]


def _check_fit(name: str, spec: DataSpec) -> None:
    """Refuse a task for another kind of targets than the data has."""
    if ":" in name:
        return
    kinds = TASKS.entry(name).traits.get("targets")
    has = [held["kind"] for held in spec.targets.values()]
    if kinds and (len(has) != 1 or has[0] not in kinds):
        fitting = _fitting(has[0]) if len(has) == 1 else []
        raise ConfigError(
            f"the task '{name}' is for targets of the kind {' or '.join(kinds)}, and '{spec.name}' has "
            f"{' and '.join(has) or 'none'}",
            fix=f"task={fitting[0]}" if fitting else "leave task out: it follows from the data",
        )
