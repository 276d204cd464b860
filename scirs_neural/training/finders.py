"""A learning rate and a batch size that suit network and machine, found by Lightning's tuner before training."""

from __future__ import annotations

import tempfile
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.tuner import Tuner

from scirs_neural.config.schema import SchedulerConfig, TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.training.noise import quiet

LR_STEPS, BATCH_STEPS, BATCH_TRIALS = 60, 2, 12


def find_lr(task: L.LightningModule, data: L.LightningDataModule, settings: TrainerConfig) -> float:
    """The learning rate at which the loss falls most steeply, in a test that raises it from 1e-7 to 1.

    The network is as before when it ends.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3; Lightning's tuner.

    Raises:
        ConfigError: the loss falls nowhere.
    """
    with _plain_trainer(task, settings, max_epochs=-1, max_steps=LR_STEPS) as trainer:
        found = Tuner(trainer).lr_find(
            task, datamodule=data, min_lr=1e-7, max_lr=1.0, num_training=LR_STEPS, update_attr=False
        )
    rate = found.suggestion() if found is not None else None
    if rate is None:
        raise ConfigError("trainer.find_lr: the loss falls at no learning rate", fix="set optimizer.lr yourself")
    return float(f"{rate:.2g}")


def find_batch_size(task: L.LightningModule, data: Any, settings: TrainerConfig) -> int:
    """The largest power of two of samples whose training step fits into memory, up to the size of the training set.

    The network is as before when it ends, and so is the data's own batch size.
    """
    before = data.batch_size
    with _plain_trainer(task, settings, max_epochs=1, max_steps=BATCH_STEPS) as trainer:
        found = Tuner(trainer).scale_batch_size(
            task, datamodule=data, mode="power", steps_per_trial=BATCH_STEPS, init_val=8, max_trials=BATCH_TRIALS
        )
    data.batch_size = before
    return int(found or before)


class _plain_trainer:  # noqa: N801 - reads as a function in its with statement
    """A Trainer that keeps nothing, in a folder of its own for the tuner's checkpoint; the schedule rests."""

    def __init__(self, task: Any, settings: TrainerConfig, **limits: Any) -> None:
        self.task, self.settings, self.limits = task, settings, limits

    def __enter__(self) -> L.Trainer:
        self.folder, self.silence = tempfile.TemporaryDirectory(), quiet()
        self.silence.__enter__()
        self.schedule, self.task.scheduler_settings = self.task.scheduler_settings, SchedulerConfig(name="constant")
        s = self.settings
        return L.Trainer(
            accelerator=s.accelerator, devices=1, precision=s.precision, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=self.folder.name,
            num_sanity_val_steps=0, limit_val_batches=0, accumulate_grad_batches=s.accumulate_grad_batches,
            **self.limits,
        )  # fmt: skip

    def __exit__(self, *raised: Any) -> None:
        self.task.scheduler_settings = self.schedule
        self.silence.__exit__(*raised)
        self.folder.cleanup()
