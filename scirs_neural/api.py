"""Python in five lines: fit, evaluate, predict.

import scirs_neural as sn
run = sn.fit("resnet18", data="digits", overrides=["trainer.max_epochs=3"])
print(run.evaluate().metrics["accuracy"])
print(run.predict("scan.png"))
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.imports import import_strings
from scirs_neural.core import terminal
from scirs_neural.core.errors import CheckpointError, ConfigError
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups

if TYPE_CHECKING:
    from torch import nn

    from scirs_neural.config.schema import RunConfig
    from scirs_neural.data.module import DataModule
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.serialization import Package
    from scirs_neural.tasks.task import Task
    from scirs_neural.training.module import Module


@dataclass(frozen=True)
class Guess:
    """What the network says of one image.

    Args:
        source: the file, or the number of the image in what was given.
        classes: names, the most probable first.
        probabilities: of those classes.
    """

    source: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


class Run:
    """A run folder with its network: evaluate it, use it.

    Args:
        folder: what the run left behind.
        module: the task and the network with its best weights, if it is at hand already.
        model: the user's own network, if the run was of one.
        data: the user's own data, if the run was of that, or if it is at hand already.
        allow: what its configuration names and may be imported: "./net.py:Net".
    """

    def __init__(
        self,
        folder: RunFolder,
        module: Module | None = None,
        model: nn.Module | None = None,
        data: DataModule | None = None,
        allow: Collection[str] = (),
    ) -> None:
        self.folder, self._model, self._allow = folder, model, allow
        if module is not None:
            self.module = module
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
        from scirs_neural.data import create_data

        self._needs("data", "of data that was handed over in Python")
        config = self._config.data
        return create_data(config.name, seed=self._config.seed, **config.model_dump(exclude={"name"}))

    @cached_property
    def module(self) -> Module:
        """The task and the network with its best weights. The data itself is not touched.

        Raises:
            ConfigError: it is one of the user's own, and was not given.
        """
        from scirs_neural.runs.parts import load_checkpoint, module_from_spec

        if self._model is None:
            self._needs("model", "of a network of your own")
        module = module_from_spec(self._config, self._spec, self._model)
        load_checkpoint(module, self.folder.checkpoint())
        module.eval()
        return module

    @property
    def task(self) -> Task:
        """What is asked of the network."""
        return self.module.task

    @property
    def model(self) -> nn.Module:
        """The network with its best weights."""
        return self.module.model

    def fold_batchnorm(self) -> int:
        """Fold BatchNorm into the layers before it, for predictions: the same outputs with fewer modules.

        Returns:
            How many BatchNorms are gone.
        """
        from scirs_neural.models.folding import fold_batchnorm

        self.module.model, gone = fold_batchnorm(self.module.model)
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
        from scirs_neural.evaluation.report import evaluate
        from scirs_neural.runs.train import predict_split

        samples = self.data.dataset(split).samples
        columns = {column: column_of(samples, column, self.data.spec.name) for column in by}
        pred = predict_split(self.module, self.data, split)
        place = {str(name): index for index, name in enumerate(samples.ids)}  # unreadable ones have no prediction
        slices = {name: [values[place[sample]] for sample in pred.ids] for name, values in columns.items()}
        return evaluate(pred, slices=slices)

    def predict(self, inputs: Any, *, top_k: int = 1, batch_size: int = 64, num_workers: int = 0) -> list[Guess]:
        """What the network says of images.

        Args:
            inputs: a path, a PIL image, an array (H, W) or (H, W, C) of uint8, or any iterable of those.
            top_k: how many classes to name for each.
            batch_size: images at a time.
            num_workers: threads that read images while the network looks at earlier ones.

        Returns:
            One `Guess` an image.

        Raises:
            ConfigError: the run is of rows of numbers.
        """
        if self._spec.input["kind"] != "image":
            raise ConfigError(
                "the run is of rows of numbers, not of images", fix="scirs_neural.tasks.answering.answers(run.task, …)"
            )
        return _guesses(self.task, self.model, inputs, top_k, batch_size, num_workers)

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
            path, self.model, spec=self._spec, name=summary["name"], metrics=metrics,
            licences=_licences(model.name, model.weights, self._spec.licence),
        )  # fmt: skip

    def _needs(self, part: str, what: str) -> None:
        if part in self.summary.get("own", []):
            fix = f"scirs_neural.load_run(…, {part}=…), in Python"
            raise ConfigError(
                f"the run is {what}: its folder cannot make it again", where=str(self.folder.path), fix=fix
            )

    @cached_property
    def _config(self) -> Any:
        own = {*self.summary.get("own", []), *(["model"] if self._model is not None else [])}
        groups = {group: names for group, names in config_groups().items() if group not in own}
        made = () if self._model is None else ("model",)
        return self.folder.read_config(groups, allow=self._allow, made=made)

    @cached_property
    def _spec(self) -> Any:
        from scirs_neural.data.spec import DataSpec

        return DataSpec.from_dict(self.summary["data"])


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
        data: a registry name; arrays ``(images, labels)`` with images (N, H, W) or (N, H, W, C); a torch dataset, also
            an iterable one; or a data module, which is fed as it was made.
        overrides: settings as on the command line (``["trainer.max_epochs=3"]``) or as a mapping.
        console: where progress is reported; ``Console(quiet=True)`` for silence.

    Returns:
        The run: its folder, its summary, and the network with its best weights.

    Raises:
        ConfigError: a name or setting is wrong.
        ShapeError: network and data do not fit each other.
    """
    from torch import nn

    from scirs_neural.runs.finish import finish
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
    own_data = None if isinstance(data, str) else _own_data(data, config)
    for part, is_made in (("model", own_model is not None), ("data", own_data is data)):
        for text in texts:
            if is_made and text.lstrip("+~").startswith((f"{part}.", f"{part}=")):
                raise ConfigError(f"{text} says nothing to a {part} that is made already", fix="leave it out")
    console = console or terminal.console()
    done = train_run(config, model=own_model, data=own_data, console=console)
    finish(done, console)
    typed = [text for _, text in import_strings(config.model_dump())]
    return Run(done.folder, done.module, own_model, done.data, typed)


def _own_data(data: Any, config: RunConfig) -> DataModule:
    """Data that is no name, fed as the configuration says, unless it is a data module already."""
    from scirs_neural.data.create import data_module

    return data_module(data, {**config.data.model_dump(exclude={"name"}), "seed": config.seed})


def load_run(
    path: str | Path,
    *,
    model: nn.Module | None = None,
    data: DataModule | None = None,
    allow: Collection[str] = (),
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
    return Run(RunFolder.find(path), model=model, data=data, allow=allow)


def guess(
    source: str | Path | Package,
    inputs: Any,
    *,
    top_k: int = 1,
    batch_size: int = 64,
    num_workers: int = 0,
    allow: Collection[str] = (),
) -> list[Guess]:
    """What the network of a run or of a package says of images.

    Args:
        source: a run folder, a package, or a loaded one.
        inputs: a path, a PIL image, an array (H, W) or (H, W, C) of uint8, or any iterable of those.
        top_k: how many classes to name for each.
        batch_size: images at a time.
        num_workers: threads that read images while the network looks at earlier ones.
        allow: as in `load_run`.

    Raises:
        CheckpointError: the package is damaged, of a network of one's own, or lacks labels or preprocessing.
    """
    from scirs_neural.serialization import load_package
    from scirs_neural.serialization.contents import is_package

    if isinstance(source, str | Path):
        if not is_package(source):
            run = load_run(source, allow=allow)
            return run.predict(inputs, top_k=top_k, batch_size=batch_size, num_workers=num_workers)
        source = load_package(source)
    if source.spec is None:
        raise CheckpointError(
            "the package lacks labels, preprocessing or its task", where=str(source.path), fix="save it with spec="
        )
    from scirs_neural.tasks.create import create_task

    return _guesses(create_task(source.spec), source.model, inputs, top_k, batch_size, num_workers)


def _guesses(task: Task, model: nn.Module, inputs: Any, top_k: int, batch_size: int, num_workers: int) -> list[Guess]:
    from scirs_neural.tasks.answering import answers

    task.settings = {**task.settings, "top_k": top_k}
    found = []
    for source, answer in answers(task, model, inputs, batch_size=batch_size, num_workers=num_workers):
        ranked = (
            answer["top"] if "top" in answer else sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
        )
        names, values = zip(*ranked[:top_k], strict=True)
        found.append(Guess(source, names, values))
    return found


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


def expand(inputs: Iterable[str]) -> list[Path]:
    """The image files that paths, folders and globs mean, in a stable order.

    Raises:
        ConfigError: one of them means no file.
    """
    from scirs_neural.data.image.image_file import IMAGE_SUFFIXES

    found: list[Path] = []
    for text in inputs:
        path = Path(text).expanduser()
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        elif path.is_file():
            files = [path]
        else:
            base = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else text
            files = sorted(p for p in base.glob(pattern) if p.is_file()) if any(c in text for c in "*?[") else []
        if not files:
            raise ConfigError(
                f"no image there: {text}", fix="name files, folders, or patterns in quotes, such as 'scans/*.png'"
            )
        found += files
    return list(dict.fromkeys(found))
