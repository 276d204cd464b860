"""Python in five lines: fit, evaluate, predict.

import scirs_neural as sn
run = sn.fit("resnet18", data="digits", overrides=["trainer.max_epochs=3"])
print(run.evaluate().metrics["accuracy"])
print(run.predict("scan.png"))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.config.imports import TRAINING_ONLY
from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError, expect
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from scirs_neural.data.module import DataModule
    from scirs_neural.data.spec import DataSpec
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.runs.predictor import Prediction, Predictor
    from scirs_neural.serialization import Package
    from scirs_neural.tasks.task import Task


class Run:
    """A run folder with its network: evaluate it, use it.

    Args:
        folder: what the run left behind.
        predictor: the network with its best weights, if it is at hand already.
        model: the user's own network, if the run was of one.
        data: the user's own data, if the run was of that, or if it is at hand already.
        allow: what its configuration names and may be imported: "./net.py:Net".
    """

    def __init__(
        self,
        folder: RunFolder,
        predictor: Predictor | None = None,
        model: nn.Module | None = None,
        data: DataModule | None = None,
        allow: Collection[str] = (),
    ) -> None:
        self.folder, self._model, self._allow = folder, model, allow
        if predictor is not None:
            self.predictor = predictor
        if data is not None:
            self.data = data

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    @property
    def summary(self) -> dict[str, Any]:
        """How the run ended."""
        return self.folder.read_summary()

    @cached_property
    def data(self) -> DataModule:
        """The data that it learnt from.

        Raises:
            ConfigError: it was handed over in Python, and is gone with that program.
        """
        from scirs_neural.runs.build import make_data

        self._needs("data", "of data that was handed over in Python")
        return make_data(self._config)

    @cached_property
    def predictor(self) -> Predictor:
        """The network with its best weights, ready to answer raw inputs. The data itself is not touched.

        Raises:
            ConfigError: it is one of the user's own, and was not given.
        """
        from scirs_neural.runs.predictor import run_predictor

        if self._model is None:
            self._needs("model", "of a network of your own")
        return run_predictor(self.folder, self._config, self._model)

    @property
    def task(self) -> Task:
        """What is asked of the network."""
        return self.predictor.task

    @property
    def model(self) -> nn.Module:
        """The network with its best weights."""
        return self.predictor.model

    def fold_batchnorm(self) -> int:
        """Fold BatchNorm into the layers before it, for predictions: the same outputs with fewer modules.

        Returns:
            How many BatchNorms are gone.
        """
        from scirs_neural.models.folding import fold_batchnorm

        self.predictor.model, gone = fold_batchnorm(self.model)
        return gone

    def predictions(self, split: str = "test") -> Predictions:
        """The answers and targets of every sample of a split, as they were saved.

        Raises:
            ConfigError: the run saved none for that split.
        """
        from scirs_neural.evaluation.registry import load_predictions
        from scirs_neural.runs.record import RunRecord

        path = self.folder.predictions(split)
        if not path.exists():
            have = RunRecord(self.folder.path).splits
            raise ConfigError(
                f"the run has no predictions for the split '{split}'", where=str(self.folder.path), suggestions=have
            )
        return load_predictions(path)

    def evaluate(self, split: str = "test", *, by: Sequence[str] = ()) -> Evaluation:
        """Run the network over a split anew and judge it.

        Args:
            split: "train", "val" or "test".
            by: columns of the data, such as "camera": the samples of each value are scored on their own too.

        Raises:
            DataError: the data has no such column.
        """
        from scirs_neural.data.splits import column_of
        from scirs_neural.tasks.collect import collect
        from scirs_neural.tasks.judging import judge

        samples = self.data.dataset(split).samples
        columns = {column: column_of(samples, column, self.data.spec.name) for column in by}
        pred = collect(self.task, self.model, self.data.eval_dataloader(split), units=self.data.units(split))
        place = {str(name): index for index, name in enumerate(samples.ids)}  # unreadable ones have no prediction
        slices = {name: [values[place[sample]] for sample in pred.ids] for name, values in columns.items()}
        return judge(self.task, pred, slices=slices)

    def predict(
        self, inputs: Any, *, batch_size: int = 64, num_workers: int = 0, skip_bad: bool = False, **settings: Any
    ) -> list[Prediction]:
        """What the network answers to raw inputs.

        Args:
            inputs: of images, a path, a PIL image, an array (H, W) or (H, W, C) of uint8, or any iterable of those; of
                a table, a file, a frame, arrays or dicts; a list of `Path` is of files of any kind; see
                `Pipeline.read`.
            batch_size: samples at a time.
            num_workers: threads that read samples while the network looks at earlier ones.
            skip_bad: give what cannot be used as a `Prediction` with an ``error``, and go on.
            **settings: of answering, such as ``top_k`` or ``threshold``.

        Returns:
            One `Prediction` a sample.

        Raises:
            DataError: a sample cannot be used, and ``skip_bad`` is not set.
        """
        from scirs_neural.runs.predictor import Predictor

        use = Predictor(self.task, self.model, settings) if settings else self.predictor
        return use.predict(inputs, batch_size=batch_size, num_workers=num_workers, skip_bad=skip_bad)

    def package(self, path: str | Path | None = None) -> Path:
        """Write the network with its best weights, and what is needed to use it, as one package (docs/format.md).

        Args:
            path: ``….zip`` for a single file, any other name for a folder; None means package.zip in the run folder.
        """
        from scirs_neural.serialization import save_package

        model, summary = self._config.model, self.summary
        path = self.folder.path / "package.zip" if path is None else Path(path)
        metrics = {split: summary[split] for split in ("val", "test") if summary.get(split)}
        return save_package(
            path, self.model, spec=self._spec, task=self.task, answer=dict(self.task.settings), name=summary["name"],
            plugins=self._records(),
            metrics=metrics,
            licences=_licences(model.name, model.weights, self._spec.licence),
        )  # fmt: skip

    def _records(self) -> list[dict[str, Any]]:
        """What plugins did to the network, as its checkpoint has it."""
        from scirs_neural.serialization.checkpoint import read_index

        if not self._config.plugins:
            return []
        saved = read_index(self.folder.checkpoint()).get("plugins", [])
        return [{key: held[key] for key in ("name", "version", "record")} for held in saved if held["record"]]

    def _needs(self, part: str, what: str) -> None:
        if part in self.summary.get("own", []):
            fix = f"scirs_neural.load_run(…, {part}=…), in Python"
            raise ConfigError(
                f"the run is {what}: its folder cannot make it again", where=str(self.folder.path), fix=fix
            )

    @cached_property
    def _config(self) -> Any:
        if module := self.summary.get("lightning"):
            raise ConfigError(
                f"the run is of {module}, a LightningModule: what it takes and answers is not known",
                where=str(self.folder.path),
                fix="for intervals, predictions and packages make it a scirs_neural.tasks.Task",
            )
        own = {*self.summary.get("own", []), *(["model"] if self._model is not None else [])}
        groups = {group: names for group, names in config_groups().items() if group not in own}
        made = (*TRAINING_ONLY, *(() if self._model is None else ("model",)))
        return self.folder.read_config(groups, allow=self._allow, made=made)

    @cached_property
    def _spec(self) -> DataSpec:
        from scirs_neural.data.spec import DataSpec

        return DataSpec.from_dict(self.summary["data"], str(self.folder.summary))


def fit(
    model: str | nn.Module = "resnet18",
    data: Any = "digits",
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    console: Console | None = None,
) -> Run:
    """Train a network, test it, and keep the run.

    Args:
        model: a registry name, or any ``nn.Module`` from images (N, C, H, W) to logits (N, K).
        data: a registry name; ``(x, y)``: pictures (N, H, W) or (N, H, W, C), texts, or rows of a table (an array
            (N, C), a frame, dicts); a torch dataset, also an iterable one; or a data module, fed as it was made.
        overrides: settings as on the command line (``["trainer.max_epochs=3"]``) or as a mapping.
        console: where progress is reported; ``Console(quiet=True)`` for silence.

    Returns:
        The run: its folder, its summary, and the network with its best weights.

    Raises:
        ConfigError: a name or setting is wrong.
        ShapeError: network and data do not fit each other.
    """
    from torch import nn

    from scirs_neural.config.compose import Request, load_config
    from scirs_neural.config.imports import import_strings
    from scirs_neural.data.create import data_module
    from scirs_neural.runs.build import settings_of
    from scirs_neural.runs.finish import finish
    from scirs_neural.runs.predictor import Predictor
    from scirs_neural.runs.train import train_run

    if not isinstance(model, str | nn.Module):
        what = f"model is a {type(model).__name__}, not a name or a network"
        raise ConfigError(what, fix="a name of sn.list_models(), or an nn.Module: call a class or function first")
    texts = [f"{k}={v}" for k, v in overrides.items()] if isinstance(overrides, Mapping) else list(overrides)
    names = [f"{group}={value}" for group, value in (("model", model), ("data", data)) if isinstance(value, str)]
    config = load_config(Request([*names, *texts]), config_groups())
    if config.cv.folds:
        raise ConfigError("sn.fit trains one run: it takes no cv", fix="python -m scirs_neural.train … cv=5")
    own_model = None if isinstance(model, str) else model
    feeding = {**settings_of(config.data), "seed": config.seed}
    own_data = None if isinstance(data, str) else data_module(data, feeding)
    for part, is_made in (("model", own_model is not None), ("data", own_data is data)):
        for text in texts:
            if is_made and text.lstrip("+~").startswith((f"{part}.", f"{part}=")):
                raise ConfigError(f"{text} says nothing to a {part} that is made already", fix="leave it out")
    console = console or terminal.console()
    done = train_run(config, model=own_model, data=own_data, console=console)
    finish(done, console)
    typed = [text for _, text in import_strings(config.model_dump())]
    return Run(done.folder, Predictor(done.task, done.model), own_model, done.data, typed)


def load_run(
    path: str | Path, *, model: nn.Module | None = None, data: DataModule | None = None, allow: Collection[str] = ()
) -> Run:
    """A run from its folder.

    Args:
        path: the run folder, a file in it, or the folder of several runs (then its newest).
        model: your own network, for a run of one: the folder holds its weights, not its code.
        data: your own data, for a run of that: the folder holds predictions for it, not the data.
        allow: code that the folder's configuration names and that may be imported: ``["./net.py:Net"]``. What is
            not named here is refused when it is needed, whoever wrote the folder.

    Raises:
        ConfigError: there is no run there.
    """
    expect(path, (str, Path), "the folder of a run", "sn.load_run('runs/digits-resnet18/1')")
    return Run(RunFolder.find(path), model=model, data=data, allow=allow)


def load_predictor(
    source: str | Path | Package, settings: Mapping[str, Any] | None = None, *, allow: Collection[str] = ()
) -> Predictor:
    """The network of a run or of a package, ready to answer raw inputs: ``sn.load_predictor(it).predict(inputs)``.

    Args:
        source: a run folder, a package, or a loaded one.
        settings: of answering, in place of those that the run or package has.
        allow: as in `load_run`.

    Raises:
        CheckpointError: the package is damaged, of a network of one's own, or does not say what it takes and answers.
    """
    from scirs_neural.runs.predictor import Predictor, package_predictor
    from scirs_neural.serialization import Package, load_package
    from scirs_neural.serialization.contents import is_package

    usage = "sn.load_predictor(folder or package).predict(inputs)"
    expect(source, (str, Path, Package), "what a predictor is loaded from", usage)
    if isinstance(source, str | Path):
        if not is_package(source):
            run = load_run(source, allow=allow)
            return Predictor(run.task, run.model, settings)
        source = load_package(source)
    return package_predictor(source, settings)


def _licences(model: str, weights: str | None, data: str) -> dict[str, str]:
    """Of the network's code, of the published weights that it began with, and of the data: what is known."""
    from scirs_neural.models import catalogue

    entry = catalogue().get(model)
    published = [w for w in entry.weights if weights in (w.name, "DEFAULT" if w.default else None)] if entry else []
    found = {
        "model": entry.licence if entry else "",
        "weights": published[0].licence if published else "",
        "data": data,
    }
    return {what: licence for what, licence in found.items() if licence}
