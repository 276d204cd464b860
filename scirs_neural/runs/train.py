"""One run from a configuration: data, network, task, training, test, and the folder that holds it all."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from rich.console import Console
from torch import nn
from torch.utils._pytree import tree_map_only

from scirs_neural.config.effects import without_effect
from scirs_neural.config.schema import ModelConfig, RunConfig
from scirs_neural.core import terminal
from scirs_neural.core.environment import environment, num_cpus
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.paths import RUN_DIR_ENV, from_here, replacing
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.module import SPLITS, DataModule
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.models.meta import count_macs, count_parameters
from scirs_neural.optim.groups import group_table
from scirs_neural.runs.finalizing import finalize_run, load_checkpoint, write_artifacts
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.parts import Parts, build_parts, module_from_spec
from scirs_neural.runs.preflight import check_parts
from scirs_neural.tasks.collect import collect
from scirs_neural.tasks.judging import further_scores
from scirs_neural.tasks.task import Task
from scirs_neural.training.distributed.ranks import broadcast_from_rank_zero, is_first
from scirs_neural.training.finders import resolve_auto_settings
from scirs_neural.training.loggers import create_loggers
from scirs_neural.training.machine import is_model_parallel
from scirs_neural.training.memory import peak_memory_mb
from scirs_neural.training.optimizer_rules import check_optimizer
from scirs_neural.training.options import first_batches
from scirs_neural.training.precision import pin_to_fp32
from scirs_neural.training.scoring import EpochScores
from scirs_neural.training.trainer import Trainer, saved_records


@dataclass
class RunResult(Parts):
    """The parts of a run that has ended; the network has its best weights.

    Args:
        data: that it learnt from.
        module: hosts the task and the network.
        folder: what it left behind.
        summary: how it ended, as in ``summary.json``.
    """

    folder: RunFolder
    summary: dict[str, Any]


def train_run(
    config: RunConfig,
    *,
    model: nn.Module | None = None,
    data: DataModule | None = None,
    console: Console | None = None,
    folder: RunFolder | None = None,
    callbacks: Sequence[L.Callback] = (),
    splits: Sequence[str] = ("val", "test"),
) -> RunResult:
    """Train, test, and fill the run folder.

    Args:
        config: everything that decides the run.
        model: a network of the user's, in place of a named one.
        data: data of the user's, in place of a named one.
        console: where progress is reported.
        folder: where the run is kept, if it is part of something larger; None makes the next free one.
        callbacks: after those that the configuration names.
        splits: whose predictions are kept; a search among settings must leave "test" alone.
    """
    console = (console or terminal.console()) if is_first() else Console(quiet=True)
    _set_threads(config)
    began = time.perf_counter()
    check_optimizer(config.optimizer, config.scheduler, config.trainer, config.plugins)
    parts = build_parts(config, model=model, data=data)
    named = [*check_parts(config, parts), *callbacks]
    own = [part for part, given in (("model", model), ("data", data)) if given is not None]
    config = resolve_auto_settings(_as_given(config, model, data), parts.module, parts.data, console)
    name = f"{parts.data.spec.name}-{Path(config.model.name.partition(':')[0]).stem}"
    folder = folder or RunFolder(Path(broadcast_from_rank_zero(lambda: str(RunFolder.of(config, name).path))))
    if is_first():
        folder.begin(config)
    trainer = Trainer(
        config.trainer, folder=folder.path, seed=config.seed, console=console, callbacks=named,
        loggers=_loggers(config, folder),
    )  # fmt: skip
    resumed = trainer.resumed(config.trainer.resume) if config.plugins else None
    parts.module.prepare(None if resumed is None else saved_records(resumed))
    facts = run_facts(config, parts)
    terminal.header(console, {**facts["shown"], "run folder": str(from_here(folder.path))})
    if is_first():
        _save_input_batch(parts, folder)
    is_made_again = is_model_parallel(config.trainer) or bool(config.plugins)
    untrained = copy.deepcopy(model) if is_made_again else None
    with run_dir_env(folder):
        rows = trainer.fit(parts.module, parts.data)
    ranked = trainer.best_checkpoint
    trainer.continue_on_rank_zero()
    if is_made_again:  # its parts are in processes that are gone, or plugins have changed it since the best epoch
        parts = Parts(parts.data, module_from_spec(config, parts.data.spec, untrained))
        pin_to_fp32(parts.model, config.trainer.fp32_modules)
    trained_sec = time.perf_counter() - began
    checkpoint = ranked or folder.last
    epoch = load_checkpoint(parts.module, checkpoint)
    if trainer.lightning is not None and (device := trainer.lightning.strategy.root_device).type in ("cuda", "mps"):
        parts.model.to(device)  # Lightning has put it back on the CPU
    used = next((row for row in rows if row["epoch"] == epoch), {}) if ranked else (rows or [{}])[-1]
    checkpoint = finalize_run(parts, folder) or checkpoint
    artifacts = write_artifacts(parts.module.plugins, folder)
    scores: dict[str, float] = {}
    failed: dict[str, str] = {}
    if not all(value.isfinite().all() for value in parts.model.parameters()):
        splits = ()
        trainer.warned["the weights are not finite: nothing was judged"] += 1
    for split in sorted(splits, key=SPLITS.index):  # what follows from the validation set goes into the test
        if parts.data.spec.sizes[split] and limit_of(split, config) != 0:
            found, judged = judge(parts, split, config, failed)
            scores = judged if split == "test" else {}
            if split == "val":
                parts.task.use_settings(parts.task.fitted_settings(found))
                found.header = {**found.header, **parts.task.header()}
            found.save(folder.predictions(split))
    for what in failed.values():
        trainer.warned[what] += 1
    monitor, best = trainer.monitor(parts.module)[0], {}
    if ranked and monitor in used:
        best = {"epoch": int(used["epoch"]) + 1, "metric": monitor, "value": used[monitor]}
    summary = {
        "name": f"{parts.data.spec.name}-{config.model.name}",
        "seed": config.seed,
        "own": own,
        "model": facts["model"],
        "data": parts.data.spec.to_dict(),
        "notes": parts.data.source.notes,
        "task": parts.task.record(),
        "answer": dict(parts.task.settings),
        "best": best,
        "weights": {
            "of": "the best epoch" if ranked else "the last epoch",
            "epoch": int(used["epoch"]) + 1 if used else None,
            "checkpoint": checkpoint.name,
        },
        "val": {k.removeprefix("val/"): v for k, v in used.items() if k.startswith("val/")},
        "test": scores,
        "failed_metrics": failed,
        "epochs": len(rows),
        "timing": {"train_sec": round(trained_sec, 2), "sec_per_epoch": round(trained_sec / max(1, len(rows)), 2)},
        "peak_memory_mb": peak_memory_mb(),
        "compiled": dataclasses.asdict(trainer.compiled) if trainer.compiled is not None else None,
        "plugins": list(config.plugins),
        "artifacts": artifacts,
        "skipped_samples": parts.data.corrupt_count,
        "warnings": dict(trainer.warned),
    }
    folder.write_summary(summary)
    _log_hyper_parameters(trainer, config, summary)
    return RunResult(parts.data, parts.module, folder, summary)


def judge(parts: Parts, split: str, config: RunConfig, failed: dict[str, str]) -> tuple[Predictions, dict[str, float]]:
    """The answers to every sample of a split, in one pass, with their loss and scores.

    Args:
        parts: of the run.
        split: which.
        config: of the run.
        failed: takes the reason of each further metric that fails.
    """
    task, losses, ctx = parts.task, EpochScores(parts.task), Context(split, config.seed, settings=parts.task.settings)
    batches = first_batches(parts.data.eval_dataloader(split), limit_of(split, config))

    def add(outputs: Any, batch: Batch) -> None:
        losses.add_losses(task.losses(outputs, batch, ctx), parts.module.count(batch))

    has_loss = task.has_eval_loss and type(task).answer is Task.answer
    found = collect(task, parts.model, batches, ctx=ctx, units=parts.data.units(split), each=add if has_loss else None)
    further = further_scores(task, found, failed) if split == "test" else {}
    return found, {**losses.scores(), **found.score(), **further}


def limit_of(split: str, config: RunConfig) -> int | float | None:
    """How many batches of a split are answered for its predictions; None: all."""
    limit = config.trainer.limit_test_batches if split == "test" else None
    return config.trainer.limit_predict_batches if limit is None else limit


def _set_threads(config: RunConfig) -> None:
    if config.trainer.num_threads:
        torch.set_num_threads(config.trainer.num_threads)
    wanted = config.trainer.num_interop_threads
    if wanted and wanted != torch.get_num_interop_threads():
        try:
            torch.set_num_interop_threads(wanted)
        except RuntimeError as error:  # torch takes it once, before it has computed anything in parallel
            raise ConfigError(
                "trainer.num_interop_threads can be set once, before anything is computed", fix="start a new process"
            ) from error


def _as_given(config: RunConfig, model: nn.Module | None, data: DataModule | None) -> RunConfig:
    """The configuration that names what was really used, where the user gave objects instead of names."""
    given: dict[str, Any] = {}
    if model is not None:
        given["model"] = ModelConfig(name=type(model).__name__)
    if data is not None:
        given["data"] = config.data.model_copy(update={"name": f"{data.spec.name} in memory"})
    return config.model_copy(update=given)


@contextlib.contextmanager
def run_dir_env(folder: RunFolder) -> Iterator[None]:
    """Tell ranks that are started from here which folder is theirs."""
    before = os.environ.get(RUN_DIR_ENV)
    os.environ[RUN_DIR_ENV] = str(folder.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ[RUN_DIR_ENV]
        else:
            os.environ[RUN_DIR_ENV] = before


def _loggers(config: RunConfig, folder: RunFolder) -> list[Logger]:
    made = create_loggers(config.logger, folder.path)
    for logger in made:
        if not isinstance(logger, TensorBoardLogger):  # whose table of runs wants the scores too: at the end
            logger.log_hyperparams(_plain_settings(config))
    return made


def _plain_settings(config: RunConfig) -> dict[str, Any]:
    sections = config.model_dump(mode="json", exclude={"paths", "logger"})
    flat = {f"{s}/{k}": v for s, held in sections.items() if isinstance(held, dict) for k, v in held.items()}
    return {key: value for key, value in flat.items() if isinstance(value, int | float | str)}


def _log_hyper_parameters(trainer: Trainer, config: RunConfig, summary: Mapping[str, Any]) -> None:
    """Give TensorBoard's table of runs the settings, beside how the run ended."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(
                _plain_settings(config), {f"hp/test_{name}": value for name, value in summary["test"].items()}
            )
            logger.finalize("success")


def run_facts(config: RunConfig, parts: Parts) -> dict[str, Any]:
    """What a run is made of: "shown" by label, as it is printed, and "model", as it is kept in the summary."""
    spec, found, pipeline = parts.data.spec, environment(), parts.data.pipeline
    one = tree_map_only(torch.Tensor, lambda t: t.to("meta"), pipeline.example(1))
    macs = count_macs(parts.model, lambda model: parts.task.answer(model, one, Context()))
    shapes = [list(field.shape()) for field in pipeline.inputs.values()]
    model = {
        "name": config.model.name,
        "num_params": count_parameters(parts.model),
        "macs": macs,
        "input_shape": shapes[0] if len(shapes) == 1 else shapes,
    }
    devices = ", ".join(found["devices"]) or f"CPU, {torch.get_num_threads()} of {num_cpus()} threads"
    packages = found["packages"]
    shown = {
        "versions": {name: packages[name] for name in ("scirs-neural", "torch", "lightning") if packages[name]},
        "device": f"{devices}; precision {config.trainer.precision}",
        "model": {
            "name": model["name"],
            "parameters": model["num_params"],
            "MACs": "not countable" if macs is None else terminal.count(macs),
            "weights": config.model.weights or "none, from scratch",
        },
        "data": [
            f"{spec.name}: {spec.description}" if spec.description else spec.name,
            {
                "input": ", ".join(field.describe() for field in pipeline.inputs.values()) or "none",
                "target": ", ".join(field.describe() for field in pipeline.targets.values()) or "none",
                **spec.sizes,
            },
            *parts.data.source.notes,
        ],
        "task": f"{parts.task.name}: {parts.task.reason}",
        "optimizer": [
            f"{config.optimizer.name}, {config.scheduler.name} schedule",
            *group_table(parts.model, parts.module.parameter_groups),
        ],
        "seed": config.seed,
    }
    if config.plugins:
        shown["plugins"] = [f"{plugin.name} {plugin.options or ''}".strip() for plugin in parts.module.plugins]
    if idle := list(without_effect(config)):
        shown["no effect"] = idle
    return {"model": model, "shown": shown}


def _save_input_batch(parts: Parts, folder: RunFolder) -> None:
    """Keep the first training batch as the network sees it, for the report."""
    batch = next(iter(parts.data.train_dataloader()))
    spec = parts.task.spec
    named = {"images": next(iter(spec.inputs), None), "targets": next(iter(spec.targets), None)}
    held = {key: batch[name][:32] for key, name in named.items() if name is not None}
    arrays: dict[str, Any] = {key: value.numpy() for key, value in held.items() if isinstance(value, torch.Tensor)}
    folder.plots.mkdir(parents=True, exist_ok=True)
    with replacing(folder.plots / "input_batch.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
