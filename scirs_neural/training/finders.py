"""Settings that suit network and machine, found before training: learning rate, batch size, memory format."""

from __future__ import annotations

import contextlib
import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.tuner import Tuner
from rich.console import Console
from torch import Tensor, nn

from scirs_neural.config.schema import RunConfig, SchedulerConfig, TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Batch, Context
from scirs_neural.training.distributed.ranks import launcher
from scirs_neural.training.feeding import Feed
from scirs_neural.training.module import Module, weighted_sum
from scirs_neural.training.warnings_capture import quiet

LR_STEPS, BATCH_STEPS, BATCH_TRIALS, FORMAT_ROUNDS = 60, 2, 12, 5
FINDERS = ("find_lr", "find_batch_size", "find_memory_format")


def resolve_auto_settings(config: RunConfig, module: Module, data: Any, console: Console) -> RunConfig:
    """The configuration with what suits network and machine in it, where that is asked for.

    What is found is printed and kept in the run's ``config.yaml``: a run that goes on, or is made again, looks for
    nothing.

    Raises:
        ConfigError: the run goes on from another, or has several processes.
    """
    asked = config.trainer
    if not any(getattr(asked, name) for name in FINDERS):
        return config
    settings = ", ".join(f"trainer.{name}" for name in FINDERS)
    if asked.resume is not None:
        fix = f"leave out {settings}, and give what the run's config.yaml has"
        raise ConfigError("a run goes on with the settings that it began with", where="trainer.resume", fix=fix)
    if asked.devices not in ("auto", 1) or asked.num_nodes > 1 or launcher() is not None:
        fix = "find them with trainer.devices=1 first, then give what was found"
        raise ConfigError(f"{settings} work in one process", fix=fix)
    if config.plugins:
        warnings.warn(f"{settings} measure the network as it is without its plugins", stacklevel=2)
    settled: dict[str, Any] = dict.fromkeys(FINDERS, False)
    if asked.find_batch_size:
        data.batch_size = find_batch_size(module, data, asked)
        config = config.model_copy(update={"data": config.data.model_copy(update={"batch_size": data.batch_size})})
        console.print(f"found data.batch_size={data.batch_size}")
    if asked.find_memory_format:
        task, ctx = module.task, Context("train")

        def loss_of(network: Any, batch: Batch) -> Tensor:
            return weighted_sum(task.losses(task.forward(network, batch, ctx), batch, ctx), None, None)

        speed = find_memory_format(module.model, loss_of, next(iter(data.train_dataloader())), asked)
        settled["channels_last"] = speed > 1
        said = f"a step is {speed:.2f} times as fast with it as without"
        console.print(f"found trainer.channels_last={str(speed > 1).lower()}: {said}", soft_wrap=True)
    if asked.find_lr:
        module.optimizer_settings = config.optimizer.model_copy(update={"lr": find_lr(module, data, asked)})
        config = config.model_copy(update={"optimizer": module.optimizer_settings})
        console.print(f"found optimizer.lr={config.optimizer.lr:g}")
    return config.model_copy(update={"trainer": asked.model_copy(update=settled)})


def find_memory_format(
    network: nn.Module, loss_of: Callable[[Any, Batch], Tensor], batch: Batch, settings: TrainerConfig
) -> float:
    """How many times as fast a training step is with pictures as NHWC in memory (`torch.channels_last`).

    Both ways take turns, on copies: the network is as before.

    Args:
        network: is trained.
        loss_of: the loss of a network for a batch.
        batch: for a step; its tensors (N, C, H, W) are pictures.
        settings: which device, and which precision.
    """
    on_gpu = settings.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    lower = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(settings.precision)
    times: dict[torch.memory_format, list[float]] = {torch.contiguous_format: [], torch.channels_last: []}
    copies = {form: copy.deepcopy(network).to(device).to(memory_format=form).train() for form in times}
    for turn in range(FORMAT_ROUNDS + 1):
        for form in list(times) if turn % 2 else list(reversed(times)):
            moved = {
                name: value.to(device, memory_format=form if value.ndim == 4 else torch.preserve_format)
                if isinstance(value, Tensor) else value for name, value in batch.items()
            }  # fmt: skip
            start = time.perf_counter()
            with torch.autocast(device.type, lower) if lower is not None else contextlib.nullcontext():
                loss = loss_of(copies[form], moved)
            loss.backward()
            if on_gpu:
                torch.cuda.synchronize()
            if turn:  # the first turn warms up
                times[form].append(time.perf_counter() - start)
    return statistics.median(times[torch.contiguous_format]) / statistics.median(times[torch.channels_last])


def find_lr(module: Module, data: Any, settings: TrainerConfig) -> float:
    """The learning rate at which the loss falls most steeply, in a test that raises it from 1e-7 to 1.

    The network is as before when it ends.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3; Lightning's tuner.

    Raises:
        ConfigError: the loss falls nowhere.
    """
    with _plain_trainer(module, settings, max_epochs=-1, max_steps=LR_STEPS) as trainer:
        found = Tuner(trainer).lr_find(
            module, datamodule=Feed(data), min_lr=1e-7, max_lr=1.0, num_training=LR_STEPS, update_attr=False
        )
    rate = found.suggestion() if found is not None else None
    if rate is None:
        raise ConfigError("trainer.find_lr: the loss falls at no learning rate", fix="set optimizer.lr yourself")
    return float(f"{rate:.2g}")


def find_batch_size(module: Module, data: Any, settings: TrainerConfig) -> int:
    """The largest power of two of samples whose training step fits into memory, up to the size of the training set.

    The network is as before when it ends, and so is the data's own batch size.
    """
    before = data.batch_size
    with _plain_trainer(module, settings, max_epochs=1, max_steps=BATCH_STEPS) as trainer:
        found = Tuner(trainer).scale_batch_size(
            module,
            datamodule=Feed(data),
            mode="power",
            steps_per_trial=BATCH_STEPS,
            init_val=8,
            max_trials=BATCH_TRIALS,
        )
    data.batch_size = before
    return int(found or before)


@contextlib.contextmanager
def _plain_trainer(module: Module, s: TrainerConfig, **limits: Any) -> Iterator[L.Trainer]:
    """A Trainer that keeps nothing, in a folder of its own for the tuner's checkpoint; the schedule rests."""
    schedule, module.scheduler_settings = module.scheduler_settings, SchedulerConfig(name="constant")
    try:
        with tempfile.TemporaryDirectory() as folder, quiet():
            yield L.Trainer(
                accelerator=s.accelerator, devices=1, precision=s.precision, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
                num_sanity_val_steps=0, limit_val_batches=0, accumulate_grad_batches=s.accumulate_grad_batches,
                **limits,
            )  # fmt: skip
    finally:
        module.scheduler_settings = schedule
