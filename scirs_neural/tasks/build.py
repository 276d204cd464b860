"""A task from its name, wired to a network and to what the data says of itself."""

from __future__ import annotations

from typing import Any

from torch import nn

from scirs_neural.config.schema import FinetuneConfig, OptimizerConfig, SchedulerConfig, TaskConfig
from scirs_neural.config.validate import check_section
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.classification.lightning_module import ImageClassification
from scirs_neural.tasks.registry import TASKS


def create_task(
    name: str,
    *,
    model: nn.Module,
    spec: DataSpec,
    optimizer: OptimizerConfig | dict[str, Any] | str = "adamw",
    scheduler: SchedulerConfig | dict[str, Any] | str = "one_cycle",
    finetune: FinetuneConfig | dict[str, Any] | None = None,
    **settings: Any,
) -> ImageClassification:
    """A LightningModule: network, loss, metrics and optimizer.

    Args:
        name: a registry name, such as "image_classification".
        model: images (N, C, H, W) to logits (N, num_classes).
        spec: what the data says of itself.
        optimizer: a name, or settings as in a config.
        scheduler: a name, or settings as in a config.
        finetune: how pretrained weights are adapted.
        **settings: of the task: loss, label_smoothing, metrics.

    Raises:
        ConfigError: a setting is unknown or out of range, or the task does not fit the data.

    Example:
        >>> import scirs_neural as sn
        >>> data = sn.create_data("digits", batch_size=64)
        >>> model = sn.create_model("cnn", num_classes=10, in_channels=1)
        >>> task = sn.create_task("image_classification", model=model, spec=data.spec, optimizer="sgd")
        >>> task.main_metric
        ('val/accuracy', 'max')
    """
    make = TASKS.get(name)
    fitting = task_name(spec)
    if fitting != name:
        raise ConfigError(f"the data '{spec.name}' is for the task '{fitting}', not '{name}'", fix=f"task={fitting}")
    return make(
        model,
        spec,
        check_section(TaskConfig, {"name": name, **settings}, "task"),
        check_section(OptimizerConfig, _named(optimizer), "optimizer"),
        check_section(SchedulerConfig, _named(scheduler), "scheduler"),
        check_section(FinetuneConfig, finetune or {}, "finetune"),
    )


def task_name(spec: DataSpec) -> str:
    """The task that a data spec is for."""
    if spec.target["kind"] == "numbers":
        return "regression"
    return "table_classification" if spec.input["kind"] == "table" else "image_classification"


def _named(settings: Any) -> Any:
    return {"name": settings} if isinstance(settings, str) else settings
