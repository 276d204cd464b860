"""Settings that change nothing because of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydantic import BaseModel

from scirs_neural.config.schema import RunConfig


class Idle(NamedTuple):
    """Settings, as patterns of dotted names, that change nothing while a condition holds."""

    settings: tuple[str, ...]
    while_: Callable[[RunConfig], bool]
    because: str


IDLE = (
    Idle(("finetune.*",), lambda c: not c.finetune.enabled, "acts with finetune.enabled=true only"),
    Idle(("trainer.gradient_clip_algorithm",), lambda c: c.trainer.gradient_clip_val is None,
         "acts with trainer.gradient_clip_val only"),
    Idle(("trainer.tensor_parallel_colwise", "trainer.tensor_parallel_rowwise"),
         lambda c: c.trainer.tensor_parallel == 1, "acts with trainer.tensor_parallel=2 or more only"),
    Idle(("trainer.fp32_modules",), lambda c: c.trainer.precision == "32-true",
         "acts with a lower trainer.precision only: everything is float32"),
    Idle(("trainer.limit_train_batches", "trainer.limit_val_batches"), lambda c: bool(c.trainer.overfit_batches),
         "is overruled by trainer.overfit_batches"),
    Idle(("data.transforms", "data.mixup", "data.cutmix"), lambda c: bool(c.trainer.overfit_batches),
         "does nothing with trainer.overfit_batches: its batches are not augmented"),
    Idle(("trainer.min_epochs", "trainer.min_steps"), lambda c: not c.callbacks and c.trainer.max_time is None,
         "does nothing: no callback and no trainer.max_time could stop the run before"),
    Idle(("data.prefetch_factor", "data.persistent_workers"), lambda c: c.data.num_workers == 0,
         "does nothing with data.num_workers=0"),
    Idle(("optimizer.decay_norm_and_bias",),
         lambda c: not c.optimizer.weight_decay and not any(rule.weight_decay for rule in c.optimizer.groups),
         "does nothing without weight decay"),
    Idle(("trainer.checkpoint.every_n_steps",), lambda c: not c.trainer.checkpoint.save_last,
         "acts with trainer.checkpoint.save_last=true only"),
    Idle(("trainer.checkpoint.async_save", "trainer.checkpoint.format", "trainer.checkpoint.sharded"),
         lambda c: not c.trainer.checkpoint.save_last and not c.trainer.checkpoint.save_top_k,
         "does nothing: no checkpoint is kept"),
)  # fmt: skip
"""Every such rule. What two settings cannot do together is an error where they are checked, and not listed here."""


def without_effect(config: RunConfig) -> Iterator[str]:
    """A sentence for each setting that was changed and changes nothing.

    Example:
        >>> from scirs_neural.config.compose import Request, load_config
        >>> from scirs_neural.runs.groups import config_groups
        >>> config = load_config(Request(["finetune.head_epochs=3"]), config_groups())
        >>> list(without_effect(config))
        ['finetune.head_epochs=3 acts with finetune.enabled=true only']
    """
    for name, value, default in _leaves(config):
        if value != default:
            for rule in IDLE:
                if rule.while_(config) and any(fnmatchcase(name, pattern) for pattern in rule.settings):
                    shown = str(value).lower() if isinstance(value, bool) else value
                    yield f"{name}={shown} {rule.because}"


def _leaves(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every declared setting: its dotted name, value and default."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.get_default(call_default_factory=True)
