"""The Trainer: Lightning's, with typed options, checked early, quiet, and resumable to the same bits."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.config.validate import check_section
from scirs_neural.core import terminal
from scirs_neural.core.errors import CheckpointError, ConfigError, NonFiniteError, UnknownNameError, expect
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.batching import share_batches
from scirs_neural.data.loader import is_worker_death, worker_error
from scirs_neural.data.pipeline import ID
from scirs_neural.plugins.order import prepare_all
from scirs_neural.serialization.checkpoint import read_index
from scirs_neural.training.async_checkpoint import SavingErrors
from scirs_neural.training.callbacks.averaged_weights import AveragedWeights
from scirs_neural.training.callbacks.best_checkpoint import BestCheckpoint
from scirs_neural.training.callbacks.clipping import GradientClipping
from scirs_neural.training.callbacks.finetuning import Finetuning
from scirs_neural.training.callbacks.last_checkpoint import LastCheckpoint, OnlyCheckpoint
from scirs_neural.training.callbacks.learning_rate import LearningRate
from scirs_neural.training.callbacks.plugin_calls import RECORDS, PluginCalls
from scirs_neural.training.callbacks.progress import EpochLines
from scirs_neural.training.callbacks.step_guard import StepGuard
from scirs_neural.training.callbacks.step_seed import StepSeed
from scirs_neural.training.callbacks.stopping import Stopping
from scirs_neural.training.compiling import Compiled
from scirs_neural.training.distributed.ranks import end_other_ranks, with_launched
from scirs_neural.training.feeding import Feed
from scirs_neural.training.loops.epoch_state import EpochState
from scirs_neural.training.loops.fit import FitLoop
from scirs_neural.training.machine import check_machine, is_model_parallel, machine_arguments
from scirs_neural.training.metrics_file import FiniteGuard, MetricsFile, Row
from scirs_neural.training.module import Module
from scirs_neural.training.nonfinite import NonFiniteSearch, network_of
from scirs_neural.training.optimizer_rules import check_optimizer
from scirs_neural.training.options import FirstBatches, anomaly_error, make_profiler
from scirs_neural.training.precision import allow_tf32
from scirs_neural.training.preparations import Compilation, Preparation, preparations
from scirs_neural.training.scoring import direction
from scirs_neural.training.tensorboard import TensorBoardExtras
from scirs_neural.training.warnings_capture import quiet


class Trainer:
    """Fits, validates and tests a module with its data.

    Args:
        given: all settings in one checked piece, in place of ``**settings``.
        folder: where checkpoints and ``metrics.csv`` go; None keeps nothing on the disk.
        seed: of every random stream of training.
        callbacks: Lightning callbacks, after this package's own.
        loggers: Lightning loggers, beside ``metrics.csv``.
        console: where epochs are reported; None for the terminal, ``Console(quiet=True)`` for silence.
        **settings: those of `TrainerConfig`, under Lightning's names: max_epochs, precision, devices, …

    Raises:
        ConfigError: a setting is unknown, out of range, or impossible on this machine.

    Example:
        >>> import scirs_neural as sn
        >>> data = sn.create_data("digits", batch_size=64)
        >>> task = sn.create_task(data.spec)
        >>> module = sn.Module(task, sn.create_model("cnn", **task.model_arguments()))
        >>> trainer = sn.Trainer(max_epochs=1, limit_train_batches=2, console=Console(quiet=True))
        >>> [sorted(row) for row in trainer.fit(module, data)]
        [['epoch', 'lr', 'step', 'train/loss', 'val/accuracy', 'val/loss']]
    """

    def __init__(
        self,
        given: TrainerConfig | None = None,
        *,
        folder: str | Path | None = None,
        seed: int = 0,
        callbacks: Sequence[L.Callback] = (),
        loggers: Sequence[Logger] = (),
        console: Console | None = None,
        **settings: Any,
    ) -> None:
        if given is not None and settings:
            raise ConfigError(f"settings come in one piece or each by its name, not both: {', '.join(settings)}")
        self.settings = with_launched(given or check_section(TrainerConfig, settings, "Trainer"))
        self.folder = Path(folder) if folder is not None else None
        self.seed, self.callbacks, self.loggers = seed, list(callbacks), list(loggers)
        self.console = console or terminal.console()
        self.metrics = MetricsFile(self.folder / "metrics.csv" if self.folder else None)
        self.warned: Counter[str] = Counter()
        self.lightning: L.Trainer | None = None
        self.preparations: list[Preparation] = []
        self.plugin_calls: PluginCalls | None = None
        check_machine(self.settings)

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best epoch so far."""
        found = getattr(self.lightning and self.lightning.checkpoint_callback, "best_model_path", "")
        return Path(found) if found else None

    @property
    def compiled(self) -> Compiled | None:
        """What became of ``trainer.compile``, if it was asked for."""
        return next((step.compiled for step in self.preparations if isinstance(step, Compilation)), None)

    def fit(self, module: L.LightningModule, data: Any, *, resume: str | Path | None = None) -> list[Row]:
        """Train.

        Args:
            module: a `Module`, or any LightningModule.
            data: from `scirs_neural.create_data`, or any LightningDataModule.
            resume: a run folder or checkpoint to go on from; "auto": this folder's, if there is one.

        Returns:
            One row an epoch: epoch, step, losses, metrics and learning rate.

        Raises:
            NonFiniteError: the loss became NaN or infinite.
            NoRankedEpochError: a plugin let no epoch be the best one.
            KeyboardInterrupt: after Ctrl-C. A checkpoint of the step that was running is kept, if there is a folder.
            PreemptedError: after SIGTERM or SIGUSR1, with a checkpoint likewise.
        """
        _check_arguments("fit", module, data)
        checkpoint = self.resumed(resume or self.settings.resume)
        self.lightning = self._lightning(module)
        feed = self._feed(module, data)
        self._prepare(module, feed, checkpoint)
        self.metrics.is_open = True
        try:
            with self._quietly():
                self.lightning.fit(module, feed, ckpt_path=checkpoint, weights_only=True)
            self.metrics.complete()
        except NonFiniteError as error:
            raise self._traced(error, module, feed) from error
        except SystemExit as stopped:  # Lightning ends the process after Ctrl-C; who called us may want to go on
            if not self.lightning.interrupted:
                raise
            raise KeyboardInterrupt from stopped
        finally:
            self.metrics.is_open = False
        if self.plugin_calls is not None and isinstance(module, Module):
            self.plugin_calls.check_ranked(module, self.metrics.rows)
        return self.metrics.rows

    def continue_on_rank_zero(self) -> None:
        """After training on several processes, the first goes on as if it were the only one; the others end here."""
        if self.lightning is None or (self.lightning.world_size == 1 and not is_model_parallel(self.settings)):
            return
        end_other_ranks()
        alone = {"devices": 1, "num_nodes": 1, "strategy": "auto", "tensor_parallel": 1}
        self.settings = self.settings.model_copy(update=alone)
        self.lightning = None

    def validate(self, module: L.LightningModule, data: Any) -> dict[str, float]:
        """Metrics on the validation set."""
        _check_arguments("validate", module, data)
        return self._scores(self._runner(module).validate, module, data)

    def test(self, module: L.LightningModule, data: Any) -> dict[str, float]:
        """Metrics on the test set."""
        _check_arguments("test", module, data)
        return self._scores(self._runner(module).test, module, data)

    def _feed(self, module: L.LightningModule, data: Any) -> L.LightningDataModule:
        """The data as Lightning takes it; a `Module` gets the batches of each optimizer step together."""
        s = self.settings
        if s.overfit_batches:
            data = FirstBatches(data)
        if isinstance(module, Module):
            module.seed, module.pipeline = self.seed, getattr(data, "pipeline", None) or module.pipeline
            if s.accumulate_grad_batches > 1:
                return Feed(data, s.accumulate_grad_batches, s.overfit_batches or s.limit_train_batches)
        return data if isinstance(data, L.LightningDataModule) else Feed(data)

    def _traced(self, error: NonFiniteError, module: L.LightningModule, data: L.LightningDataModule) -> NonFiniteError:
        """The error with the place where it came from, found by going through it again from the last checkpoint."""
        assert self.lightning is not None
        last, is_placed = self._last(), self.settings.detect_anomaly  # by autograd
        if is_placed or self.folder is None or last is None or self.lightning.world_size > 1:
            return error
        search = NonFiniteSearch(self.folder, self.seed, self.lightning.fit_loop.epoch_loop.total_batch_idx)
        again = self._lightning(module, search)
        with contextlib.suppress(NonFiniteError, CheckpointError), self._quietly():
            again.fit(module, data, ckpt_path=last, weights_only=True)
        if search.place is None:
            return error
        epoch, batch = int(search.step["epoch"]) + 1, int(search.step["batch"]) + 1
        return NonFiniteError(
            f"{error.what}: {search.found} is not finite, in batch {batch} of epoch {epoch}",
            where=f"{search.place}; python -m scirs_neural.runs.replay {search.place}",
            fix=error.fix,
        )

    def _runner(self, module: L.LightningModule) -> L.Trainer:
        if self.lightning is None:
            self.lightning = self._lightning(module)
        return self.lightning

    def _scores(self, run: Any, module: L.LightningModule, data: Any) -> dict[str, float]:
        with self._quietly():
            results = run(module, datamodule=self._feed(module, data), verbose=False)
        return {name: float(value) for result in results for name, value in result.items()}

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        with quiet() as warned:
            try:
                yield
            except MisconfigurationException as error:
                raise _unlogged(error) or ConfigError(str(error).splitlines()[0], where="Trainer") from error
            except ValueError as error:
                if "`val_check_interval`" not in str(error):
                    raise
                batches = (
                    f"an epoch has {self.lightning.num_training_batches}" if self.lightning else "an epoch has fewer"
                )
                what = f"trainer.val_check_interval={self.settings.val_check_interval} batches, and {batches}"
                raise ConfigError(what, fix="a smaller number, or a fraction below 1") from error
            except RuntimeError as error:
                if found := anomaly_error(error, warned):
                    raise found from error
                if not is_worker_death(error):
                    raise
                raise worker_error(error) from error
            finally:
                self.warned.update(warned)

    def _prepare(self, module: L.LightningModule, data: Any, checkpoint: str | None) -> None:
        """What is done to the network before the first step: the plugins' part, then the Trainer's own."""
        share_batches(self.settings.tensor_parallel)
        if self.settings.tf32 is not None:
            allow_tf32(self.settings.tf32)
        if isinstance(module, Module) and module.plugins:
            if is_model_parallel(self.settings):
                fix = "trainer.strategy=ddp, or no plugins"
                raise ConfigError("plugins need the whole network on each device", where="plugins", fix=fix)
            module.prepare(None if checkpoint is None else saved_records(checkpoint))
        assert self.lightning is not None
        self.preparations = preparations(self.lightning, module, data, self.settings)
        task: Any = getattr(module, "task", None)
        prepare_all(self.preparations, network_of(module), task, {})
        said = [self.compiled.sentence()] if self.compiled is not None else []
        if self.plugin_calls is not None and isinstance(module, Module):
            self.plugin_calls.preparations = self.preparations
            said += filter(None, [self.plugin_calls.foreseen(module, self.settings.max_epochs)])
        for sentence in said:
            self.console.print(sentence, soft_wrap=True, highlight=False, markup=False)

    def resumed(self, path: str | Path | None) -> str | None:
        """The checkpoint that a run folder, a file, or "auto" means; None: there is nothing to go on from.

        Raises:
            CheckpointError: there is no such file, or it holds no training state.
        """
        if path is None:
            return None
        if path == "auto":  # which run that is was settled with its folder
            return self._last()
        file = Path(path)
        file = file / "checkpoints" / "last.ckpt" if file.is_dir() else file
        state = read_index(file)
        if "loops" not in state:
            raise CheckpointError(f"{file} holds weights only, no training state", fix="use it as model.weights=…")
        return str(file)

    def _last(self) -> str | None:
        """The newest checkpoint in the folder."""
        last = None if self.folder is None else self.folder / "checkpoints" / "last.ckpt"
        return str(last) if last is not None and last.is_file() else None

    def _lightning(self, module: L.LightningModule, search: NonFiniteSearch | None = None) -> L.Trainer:
        """Lightning's Trainer with everything hung on to it; for a search without what writes or shows anything."""
        s = self.settings
        monitor, mode = self.monitor(module)
        host = module if isinstance(module, Module) else None
        terminal_bar = self.console.is_terminal if s.progress_bar is None else s.progress_bar
        lines = EpochLines(self.console, (monitor, mode), s.max_epochs, bar=terminal_bar)
        self.metrics.on_row = lines.finish_epoch
        shown = [lines] if search is None else []
        own: list[L.Callback] = [StepSeed(self.seed), LearningRate(s.log_every_n_steps), *shown]
        if s.gradient_clip_val is not None:
            own.append(GradientClipping(s.gradient_clip_val, s.gradient_clip_algorithm, s.log_every_n_steps))
        if host is not None:
            known = check_optimizer(host.optimizer_settings, host.scheduler_settings, s)
            own += [AveragedWeights()] if known.get("averages") else []
            own += [Finetuning(host.finetune)] if host.finetune.enabled else []
            if host.plugins:
                calls = PluginCalls(self.preparations)
                own.append(calls)
                self.plugin_calls = calls if search is None else self.plugin_calls
        loggers: list[Logger] = []
        if search is None:
            own += [SavingErrors()] if s.checkpoint.async_save else []
            own += [*([StepGuard()] if s.stop_on_nonfinite else []), *self._checkpoints(monitor, mode)]
            others = [*self.callbacks, EpochState(self.metrics)]
            loggers = [self.metrics, *([FiniteGuard()] if s.stop_on_nonfinite else []), *self.loggers]
        else:
            others = [held for held in self.callbacks if not isinstance(held, Checkpoint | TensorBoardExtras)]
            others += [EpochState(MetricsFile(None)), search]
        is_grouped = host is not None and s.accumulate_grad_batches > 1  # a step is a group of batches
        interval = s.val_check_interval
        if is_grouped and isinstance(interval, int):
            interval //= s.accumulate_grad_batches  # Lightning counts groups, which are optimizer steps
        few = s.overfit_batches or None
        with quiet() as warned:
            try:
                trainer = L.Trainer(
                    **machine_arguments(s), num_nodes=s.num_nodes, max_epochs=s.max_epochs, max_steps=s.max_steps,
                    accumulate_grad_batches=1 if is_grouped else s.accumulate_grad_batches,
                    limit_train_batches=None if is_grouped else few or s.limit_train_batches,  # `Groups` counts batches
                    limit_val_batches=few or s.limit_val_batches,
                    limit_test_batches=s.limit_test_batches, check_val_every_n_epoch=s.check_val_every_n_epoch,
                    log_every_n_steps=s.log_every_n_steps, deterministic=s.deterministic,
                    min_epochs=s.min_epochs, min_steps=s.min_steps, max_time=s.max_time,
                    val_check_interval=interval, detect_anomaly=s.detect_anomaly,
                    num_sanity_val_steps=s.num_sanity_val_steps if search is None else 0,
                    profiler=make_profiler(s.profiler if search is None else None, self.folder),
                    callbacks=[*own, *others],
                    logger=loggers,
                    default_root_dir=self.folder,
                    enable_progress_bar=False, enable_model_summary=False,
                    enable_checkpointing=any(isinstance(held, Checkpoint) for held in own),
                    use_distributed_sampler=False,  # the loaders shard themselves; Lightning's sampler shuffles unasked
                )  # fmt: skip
                listeners = [held for held in own if isinstance(held, LastCheckpoint)]
                trainer.fit_loop = FitLoop(trainer, listeners, s.on_out_of_memory)
                if host is not None and s.precision.endswith("-true"):
                    plugin: Any = trainer.precision_plugin
                    plugin.convert_input = partial(convert_inputs, plugin.convert_input, list(host.spec.inputs))
                return trainer
            except (MisconfigurationException, ValueError) as error:
                raise ConfigError(str(error).splitlines()[0], where="trainer settings") from error
            finally:
                self.warned.update(warned)

    def monitor(self, module: L.LightningModule) -> tuple[str, str]:
        """The metric that ranks epochs, and whether it is to be "max" or "min".

        Raises:
            UnknownNameError: nothing of that name will be logged.
        """
        chosen = self.settings.checkpoint
        name, mode = getattr(module, "main_metric", ("val/loss", "min"))
        if chosen.monitor != "auto":
            name = chosen.monitor
            if isinstance(module, Module):
                mode = direction(module.task, name)
            else:  # only the module knows what it logs
                mode = "min" if "loss" in name or "error" in name else "max"
        return name, mode if chosen.mode == "auto" else chosen.mode

    def _checkpoints(self, monitor: str, mode: str) -> list[L.Callback]:
        """What keeps the best epochs and the newest state, if there is a folder."""
        if self.folder is None:
            return []
        chosen, folder, best = self.settings.checkpoint, self.folder / "checkpoints", None
        if chosen.save_top_k:
            name = "best" if chosen.save_top_k == 1 else "best-{epoch:03d}"
            best = BestCheckpoint(
                folder, filename=name, monitor=monitor, mode=mode, save_top_k=chosen.save_top_k,
                auto_insert_metric_name=False, enable_version_counter=False,
            )  # fmt: skip
        kept: list[L.Callback] = [] if best is None else [best]
        if not chosen.save_last:
            return [*kept, OnlyCheckpoint(folder / "last.ckpt", best)]
        stopping = Stopping(self.console)
        return [*kept, stopping, LastCheckpoint(folder / "last.ckpt", chosen.every_n_steps, stopping)]


def _unlogged(error: MisconfigurationException) -> UnknownNameError | None:
    """The error for a monitor that a module of the user's never logs, with what it does log."""
    found = re.search(
        r"monitor='([^']+)'\)` could not find the monitored key in the returned metrics: \[(.*?)\]", str(error)
    )
    if found is None:
        return None
    logged = [name for name in re.findall(r"'([^']+)'", found[2]) if name not in ("epoch", "step", "lr")]
    near = did_you_mean(found[1].replace("/", "_"), [name.replace("/", "_") for name in logged])
    return UnknownNameError(
        f"nothing called '{found[1]}' is logged",
        where="trainer.checkpoint.monitor",
        suggestions=[name for name in logged if name.replace("/", "_") in near],
        fix=f"one of {', '.join(logged)}",
    )


def _check_arguments(method: str, module: object, data: object) -> None:
    usage = f"trainer.{method}(module, data): an sn.Module or a LightningModule, then its data"
    expect(module, L.LightningModule, "the module, which comes first,", usage)
    if not callable(getattr(data, "train_dataloader", None)) or isinstance(data, L.LightningModule):
        raise ConfigError(f"the data, which comes second, is a {type(data).__name__} without loaders", fix=usage)


def convert_inputs(convert: Callable[[Any], Any], names: Sequence[str], batch: Any) -> Any:
    """Batches with their inputs in the network's precision; targets and weights keep theirs.

    Args:
        convert: Lightning's, which converts everything.
        names: of the inputs.
        batch: one, or a group of them.
    """
    if isinstance(batch, list):
        return [convert_inputs(convert, names, part) for part in batch]
    return {
        name: convert_inputs(convert, names, value) if isinstance(value, dict) and ID in value
        else convert(value) if name in names else value for name, value in batch.items()
    }  # fmt: skip


def saved_records(checkpoint: str | Path) -> list[dict[str, Any]]:
    """What plugins had done to the network of a checkpoint."""
    records: list[dict[str, Any]] = read_index(checkpoint).get(RECORDS, [])
    return records
