"""A run of a LightningModule of the user's, ``task=./my.py:MyModule``: trained, checkpointed, resumed and logged.

What its network takes and answers is not known. So such a run has the figures that the module logs, and no intervals,
package or predictions: those need a task of the contract.
"""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.model_helpers import is_overridden
from rich.console import Console

from scirs_neural.config.schema import DataConfig, RunConfig, Section, TaskConfig
from scirs_neural.core import terminal
from scirs_neural.core.environment import environment
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.registry import Entry
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.registry import DATA
from scirs_neural.models.meta import count_parameters
from scirs_neural.models.weights import load_strictly
from scirs_neural.runs.build import make_data, settings_of
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.parts import make_callbacks
from scirs_neural.runs.preflight import check_resumed
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.tasks.registry import TASKS
from scirs_neural.training.loggers import check_loggers, create_loggers
from scirs_neural.training.trainer import Trainer


def is_lightning(config: RunConfig) -> bool:
    """Whether the task is a LightningModule in a file or module of the user's."""
    return ":" in config.task.name and _is_kind(TASKS.typed(config.task.name), L.LightningModule)


def train_lightning(config: RunConfig, console: Console, *, check: bool = False) -> RunFolder | None:
    """Train a LightningModule, test it if it can be tested, and keep the run.

    Args:
        config: its ``task`` and ``data`` may have further settings: the arguments of their classes.
        console: where progress is reported.
        check: build everything and train nothing.

    Raises:
        ConfigError: a part of the configuration needs a task of this package.
    """
    began = time.perf_counter()
    for part, is_set in (("cv", config.cv.folds), ("plugins", config.plugins), ("finetune", config.finetune.enabled)):
        if is_set:
            raise ConfigError(f"{part} needs a task, and {config.task.name} is a LightningModule", where=part)
    data = _data(config)
    L.seed_everything(stream_seed("init", config.seed) % 2**32, verbose=False)
    module = _made(TASKS.typed(config.task.name), config.task, TaskConfig())
    callbacks = make_callbacks(config, None)
    name = "-".join(part.rpartition(":")[2] for part in (config.data.name, config.task.name))
    size = count_parameters(module)
    facts = {"model": {"name": type(module).__name__, "num_params": size}, "seed": config.seed}
    shown = {
        "versions": {k: v for k, v in environment()["packages"].items() if v and k in ("torch", "lightning")},
        "module": {"name": config.task.name, "parameters": size},
        "data": config.data.name,
        "seed": config.seed,
        "no effect": ["model, optimizer and scheduler: the module has its own"],
    }
    check_loggers(config.logger)
    check_resumed(config)
    if check:
        terminal.header(console, shown)
        console.print("ok: this configuration can be run")
        return None
    folder = RunFolder.of(config, name)
    folder.begin(config)
    terminal.header(console, {**shown, "run folder": str(folder.path)})
    trainer = Trainer(
        config.trainer, folder=folder.path, seed=config.seed, console=console, callbacks=callbacks,
        loggers=create_loggers(config.logger, folder.path),
    )  # fmt: skip
    rows = trainer.fit(module, data)
    best = trainer.best_checkpoint
    kept = best or folder.last
    found = read_checkpoint(kept)
    load_strictly(module, found["state_dict"], str(kept))
    has_test = is_overridden("test_step", module) and getattr(data, "has_test", is_overridden("test_dataloader", data))
    scores = trainer.test(module, data) if has_test else {}
    used = next((row for row in rows if row["epoch"] == found.get("epoch")), {})
    folder.write_summary({
        "name": name, "lightning": config.task.name, **facts,
        "weights": {"of": "the best epoch" if best else "the last epoch", "epoch": int(found["epoch"]) + 1,
                    "checkpoint": kept.name},
        "val": {key: value for key, value in used.items() if key not in ("epoch", "step", "lr")},
        "test": scores, "epochs": len(rows), "timing": {"train_sec": round(time.perf_counter() - began, 2)},
        "warnings": dict(trainer.warned),
    })  # fmt: skip
    terminal.summary(console, {
        "facts": {"weights": f"of {'the best' if best else 'the last'} epoch, {int(found['epoch']) + 1} of {len(rows)}",
                  **{key: f"{value:.4g}" for key, value in scores.items()}},
        "folder": str(folder.path),
        "written": {"summary.json": "its figures", "metrics.csv": "one row an epoch", "checkpoints/": kept.name},
    })  # fmt: skip
    return folder


def _is_kind(entry: Entry, kind: type) -> bool:
    thing = entry.load()
    return isinstance(thing, type) and issubclass(thing, kind)


def _data(config: RunConfig) -> Any:
    entry = DATA.typed(config.data.name)
    if _is_kind(entry, L.LightningDataModule):
        return _made(entry, config.data, DataConfig(name=config.data.name))
    return make_data(config)


def _made(entry: Entry, section: Section, default: Section) -> Any:
    """A class of the user's with those settings of its section that it takes; one that it does not take is refused."""
    settings = {key: value for key, value in settings_of(section).items() if value is not None}
    asked = {key: value for key, value in settings.items() if value != getattr(default, key, None)}
    entry.check(asked)
    known = {key: value for key, value in settings.items() if key in entry.parameters}
    return entry.load()(**known, **{key: value for key, value in asked.items() if key not in known})
