"""What can be known to stop a run, asked before the run has a folder: by ``--check`` and by every run alike."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from scirs_neural.config.schema import RunConfig, TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.module import SPLITS
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.parts import Parts, make_callbacks
from scirs_neural.tasks.judging import try_metrics
from scirs_neural.training.loggers import check_loggers
from scirs_neural.training.trainer import Trainer


def check_parts(config: RunConfig, parts: Parts) -> list[L.Callback]:
    """Hold what a configuration names to each other, and to the run that it goes on from.

    Returns:
        The callbacks that it names.

    Raises:
        ScirsError: whatever would have stopped the run.
    """
    check_loggers(config.logger)
    callbacks = make_callbacks(config, parts.task)
    try_metrics(parts.task, parts.model, parts.data.pipeline)
    Trainer(config.trainer).monitor(parts.module)
    check_batches(config.trainer, parts.data)
    check_resumed(config)
    return callbacks


def check_resumed(config: RunConfig) -> None:
    """Refuse a run to go on from that is not there, or holds no state of training.

    Raises:
        ConfigError: there is no such run.
        CheckpointError: it has no such checkpoint.
    """
    resumed = config.trainer.resume
    if resumed not in (None, "auto"):
        RunFolder.find(resumed)
        Trainer(config.trainer).resumed(resumed)


def check_batches(settings: TrainerConfig, data: Any) -> None:
    """Hold the limits of a run to how many batches its data has.

    Raises:
        ConfigError: a fraction is of less than one batch, or validation would be after more batches than there are.
    """
    counts = {split: _num_batches(data, split) for split in SPLITS if data.spec.sizes[split]}
    limits = [("limit_predict_batches", split) for split in counts if split != "train"]
    limits += [(f"limit_{split}_batches", split) for split in counts] + [("overfit_batches", "train")]
    for name, split in limits:
        limit, count = getattr(settings, name), counts.get(split)
        if isinstance(limit, float) and limit and count is not None and int(limit * count) < 1:
            what = f"trainer.{name}={limit:g} of {count} batches of the {split} split is none"
            raise ConfigError(what, fix="a larger fraction, or a number of batches")
    count, every = counts.get("train"), settings.val_check_interval
    for limit in (settings.overfit_batches or settings.limit_train_batches,):
        if count is not None and limit is not None:
            count = min(count, limit) if isinstance(limit, int) else int(limit * count)
    if isinstance(every, int) and count is not None and every > count:
        what = f"trainer.val_check_interval={every} batches, and an epoch has {count}"
        raise ConfigError(what, fix="a smaller number, or a fraction below 1")


def _num_batches(data: Any, split: str) -> int | None:
    """None where only reading tells."""
    try:
        return len(data.train_dataloader() if split == "train" else data.eval_dataloader(split))
    except TypeError:
        return None
