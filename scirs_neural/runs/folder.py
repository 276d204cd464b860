"""The folder that a run leaves behind: what is where, and how it is read again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import RunConfig
from scirs_neural.core.environment import environment
from scirs_neural.core.errors import CheckpointError, ConfigError
from scirs_neural.core.paths import RUN_DIR_ENV, atomic_write, new_run_dir, refuse_links
from scirs_neural.guard.text import read_json, read_yaml, yaml_text

try:
    import fcntl
except ImportError:  # not on Windows, where an unfinished run is taken up whoever may be at it
    fcntl = None  # type: ignore[assignment]

_CHECKPOINT = re.compile(r"(best(-\d+)?|last|final)\.ckpt")
_HELD: dict[str, int] = {}  # open files of this process, by run folder


@dataclass
class RunFolder:
    """Paths within a run folder.

    Args:
        path: the folder.

    Attributes:
        config: the whole configuration, resolved; ``train --from FOLDER`` runs it again.
        metrics: one row an epoch.
        summary: how the run ended, as JSON.
        plots: pictures.
        best: the checkpoint with the best validation metric.
        last: the newest checkpoint: what a resumed run goes on from.
        final: the network as plugins finalized it, from the best weights; only of runs with plugins that do.

    Example:
        >>> RunFolder(Path("runs/digits-resnet18/1")).best.as_posix()
        'runs/digits-resnet18/1/checkpoints/best.ckpt'
    """

    path: Path

    def __post_init__(self) -> None:
        self.config, self.metrics = self.path / "config.yaml", self.path / "metrics.csv"
        self.summary, self.plots = self.path / "summary.json", self.path / "plots"
        checkpoints = self.path / "checkpoints"
        self.best, self.last, self.final = (checkpoints / f"{name}.ckpt" for name in ("best", "last", "final"))

    def predictions(self, split: str) -> Path:
        """The folder of the predictions for a split; of older runs, the file in its place."""
        from scirs_neural.runs.record import predictions_path

        return predictions_path(self.path, split)

    def begin(self, config: RunConfig) -> None:
        """Take the folder, and write what is known before training: the configuration, the command, the environment.

        Raises:
            ConfigError: a link in it leads elsewhere.
        """
        refuse_links(self.path)
        self._take()
        plain = config.model_dump(mode="json")
        plain["trainer"]["resume"] = None  # the file says what the run is, not where it was broken off
        atomic_write(self.config, yaml_text(plain))
        atomic_write(self.path / "command.txt", command_line() + "\n")
        atomic_write(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write how the run ended."""
        atomic_write(self.summary, json.dumps(summary, indent=2) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """How the run ended.

        Raises:
            CheckpointError: the run never got that far, or the file is not what a run writes.
        """
        if not self.summary.is_file():
            raise CheckpointError(f"the run has not ended: {self.path} has no {self.summary.name}")
        from scirs_neural.runs.record import checked_summary

        return checked_summary(read_json(self.summary, allow_nan=True), str(self.summary))

    def read_config(self, registries: Any, *, allow: Collection[str] = (), made: Collection[str] = ()) -> RunConfig:
        """The run's configuration, checked again.

        Args:
            registries: by config group.
            allow: what it names and may be imported.
            made: sections whose part is at hand.

        Raises:
            ConfigError: it is wrong, or names code that is not allowed.
        """
        return load_config(Request(config_file=self.config, allow=allow, made=made), registries)

    def checkpoint(self) -> Path:
        """The checkpoint to judge and use: the one that the summary's figures are of, of the best epoch or, where none
        was ranked, of the last; of a run that has not ended, what there is.

        Raises:
            CheckpointError: there is none.
        """
        summary = self.read_summary() if self.summary.is_file() else {}
        named = str(summary.get("weights", {}).get("checkpoint", ""))
        names = [named] if _CHECKPOINT.fullmatch(named) else [self.best.name, self.last.name]
        epoch = summary.get("best", {}).get("epoch")
        if not named and isinstance(epoch, int):  # of a run of before, whose summary does not name the file
            names.insert(0, f"best-{epoch - 1:03d}.ckpt")
        for name in names:
            if (path := self.best.with_name(name)).is_file():
                return path
        fold = next(iter(sorted(self.path.glob("*fold-1"))), None)
        fix = (
            "train it to its first epoch end"
            if fold is None
            else f"it is a cross-validation: name a fold, such as {fold}"
        )
        raise CheckpointError(f"no checkpoint in {self.path / 'checkpoints'}", fix=fix)

    @classmethod
    def of(cls, config: RunConfig, name: str) -> RunFolder:
        """The folder of a run that begins or goes on: the one that ``trainer.resume`` means, else a new one.

        Args:
            config: of the run.
            name: of the folder that holds all runs of its kind, such as digits-resnet18.
        """
        resumed = config.trainer.resume
        if resumed not in (None, "auto"):
            return cls.find(resumed)
        is_handed_down = bool(os.environ.get(RUN_DIR_ENV))
        found = cls.unfinished(Path(config.paths.runs) / name, config) if resumed and not is_handed_down else None
        return found or cls(new_run_dir(config.paths.runs, name))

    @classmethod
    def unfinished(cls, parent: Path, config: RunConfig) -> RunFolder | None:
        """The newest run of a configuration that has a checkpoint (or, of cross-validation, a fold), has not ended, and
        that no process is working on.

        Args:
            parent: the folder of the runs, such as runs/digits-resnet18.
            config: where runs are kept, and how progress is shown, may differ.
        """
        wanted = _what_decides(config.model_dump(mode="json"))
        numbered = [p for p in parent.iterdir() if p.name.isdigit()] if parent.is_dir() else []
        for path in sorted(numbered, key=lambda p: int(p.name), reverse=True):
            run = cls(path)
            is_begun = run.last.is_file() or any(run.path.glob("*fold-*"))
            is_open = is_begun and run.config.is_file() and not run.summary.is_file() and not run._is_taken()
            if is_open and _what_decides(read_yaml(run.config)) == wanted:
                return run
        return None

    def _take(self) -> None:
        """Hold the folder until this process ends, however it ends. Its loader processes do not hold it on."""
        if fcntl is not None and str(self.path) not in _HELD:
            with contextlib.suppress(OSError):  # another rank has it, or the file system knows no locks
                _HELD[str(self.path)] = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT)
                fcntl.lockf(_HELD[str(self.path)], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_taken(self) -> bool:
        if fcntl is None or not (self.path / ".lock").is_file():
            return False
        if str(self.path) in _HELD:
            return False  # by this very process, whose earlier run in it is over
        with open(self.path / ".lock", "r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @classmethod
    def find(cls, path: str | Path) -> RunFolder:
        """The run folder that a path means: the folder itself, or a file in it.

        Raises:
            ConfigError: there is no run there.
        """
        start = Path(path).expanduser()
        for folder in (start, *start.parents[:2]):
            if (folder / "config.yaml").is_file():
                return cls(folder)
        numbered = (
            [p for p in start.iterdir() if p.name.isdigit() and (p / "config.yaml").is_file()] if start.is_dir() else []
        )
        if numbered:  # runs/digits-resnet18 means its newest run
            return cls(max(numbered, key=lambda p: int(p.name)))
        raise ConfigError(f"no run in '{path}'", fix="name a run folder, such as runs/digits-resnet18/1")


def _what_decides(plain: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what may differ between two parts of one run."""
    trainer = {
        k: v
        for k, v in plain["trainer"].items()
        if k not in ("resume", "progress_bar", "num_threads", "num_interop_threads")
    }
    return {**plain, "trainer": trainer, "paths": None}


def command_line() -> str:
    """The command that started this process, as it could be pasted."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", "-m", spec.name] if spec is not None else [Path(sys.argv[0]).name]
    return shlex.join([*program, *sys.argv[1:]])
