"""Reading what a run left behind. What a run did not write is empty, what is damaged is an error."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from scirs_neural.core.errors import CheckpointError, DataError
from scirs_neural.data.spec import DataSpec
from scirs_neural.evaluation.predictions import Predictions
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.guard.arrays import read_arrays
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_bytes, read_json, read_yaml


class _Summary(BaseModel, extra="allow", strict=True):
    """What is read of a summary."""

    name: str = ""
    lightning: str | None = None
    own: list[str] = []
    data: dict[str, Any] = {}
    model: dict[str, Any] = {}
    task: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    best: dict[str, Any] = {}
    val: dict[str, float | None] = {}
    test: dict[str, float | None] = {}
    folds: list[dict[str, Any]] = []
    notes: list[str] = []


def checked_summary(found: Any, where: str) -> dict[str, Any]:
    """What was read, if it is the summary of a run.

    Raises:
        CheckpointError: it is not.
    """
    try:
        _Summary.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"not the summary of a run: {place}: {first['msg']}", where=where) from error
    if not ("data" in found or "lightning" in found):
        raise CheckpointError("not the summary of a run: it has no data", where=where)
    whole: dict[str, Any] = found
    return whole


@dataclass(frozen=True)
class RunRecord:
    """One run's folder.

    Args:
        path: the folder; it must hold a ``config.yaml`` or a ``summary.json``.

    Raises:
        DataError: it is no run folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not any((self.path / name).is_file() for name in ("config.yaml", "summary.json")):
            what = "is not a run folder: it holds neither config.yaml nor summary.json"
            raise DataError(
                f"'{self.path}' {what if self.path.is_dir() else 'does not exist'}",
                fix="name a folder that training printed, such as runs/digits-resnet50/1",
            )

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return self._mapping("config.yaml", read_yaml)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """How the run ended: model, data, best epoch, test scores, timing."""
        found = self._mapping("summary.json", read_json, allow_nan=True)
        return checked_summary(found, str(self.path / "summary.json")) if found else found

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """The columns of ``metrics.csv`` by name, each with one value a row; None where a cell is empty."""
        text = self._read("metrics.csv")
        rows = list(csv.DictReader(io.StringIO(text))) if text else []
        try:
            return {
                name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else ())
            }
        except (TypeError, ValueError) as error:
            raise self._damaged("metrics.csv", str(error)) from error

    @property
    def name(self) -> str:
        """Its last two parts, such as ``digits-resnet50/3``."""
        return "/".join(self.path.resolve().parts[-2:])

    @cached_property
    def spec(self) -> DataSpec | None:
        """The data's description; None if the run says nothing of its data."""
        held = self.summary.get("data")
        return DataSpec.from_dict(held, str(self.path / "summary.json")) if held else None

    @property
    def weighted_by(self) -> str:
        """What weighs its samples, in words."""
        column = self.config.get("data", {}).get("weight")
        return f"the column '{column}'" if column else "the samples' weights"

    @property
    def splits(self) -> list[str]:
        """The names of the splits that it made predictions for."""
        folder = self.path / "predictions"
        found = {path.stem for path in folder.glob("*") if path.is_dir() or path.suffix == ".npz"}
        return sorted(name for name in found if not name.startswith("."))

    def predictions(self, split: str = "test") -> Predictions | None:
        """The predictions on one split; None if the run made none."""
        return load_predictions(predictions_path(self.path, split)) if split in self.splits else None

    def input_batch(self) -> dict[str, np.ndarray] | None:
        """The first training batch as the net saw it, "images" (N, C, H, W) and "targets"; None if none was kept."""
        path = self.path / "plots" / "input_batch.npz"
        try:
            return read_arrays(path, ("images", "targets")) if path.is_file() else None
        except CheckpointError as error:
            raise DataError("this is no file of inputs", where=str(path), fix="run it again") from error

    def _read(self, name: str) -> str:
        path = self.path / name
        if not path.is_file():
            return ""
        try:
            return read_bytes(path, BUDGETS.text_bytes)[0].decode(errors="replace")
        except CheckpointError as error:
            raise self._damaged(name, error.what) from error

    def _mapping(self, name: str, read: Callable[..., Any], **options: Any) -> dict[str, Any]:
        if not (self.path / name).is_file() or (self.path / name).stat().st_size == 0:
            return {}
        try:
            value = read(self.path / name, **options)
        except CheckpointError as error:
            raise self._damaged(name, error.what) from error
        if not isinstance(value, dict):
            raise self._damaged(name, f"expected a mapping, found {type(value).__name__}")
        return value

    def _damaged(self, name: str, why: str) -> DataError:
        return DataError(f"{name} cannot be read: {why}", where=str(self.path / name))


def predictions_path(run_dir: Path, split: str) -> Path:
    """Where a run's predictions on a split are; older runs have a file in place of a folder."""
    folder = run_dir / "predictions" / split
    old = folder.with_name(f"{split}.npz")
    return old if old.is_file() and not folder.is_dir() else folder


def named(runs: list[RunRecord]) -> dict[str, RunRecord]:
    """Each run by the shortest end of its path that no other has.

    Raises:
        DataError: one is named twice.
    """
    paths = [run.path.resolve() for run in runs]
    if len(set(paths)) < len(paths):
        raise DataError("the same run is named twice")
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names) and (length > 1 or not any(name.isdigit() for name in names)):
            break
    return dict(zip(names, runs, strict=True))


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as dotted keys; lists stay whole.

    Example:
        >>> flat({"model": {"name": "resnet18"}, "seed": 0})
        {'model.name': 'resnet18', 'seed': 0}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings that are not the same in all runs: dotted key to (run to value, None where it has none).

    Example:
        >>> differences({"a": {"seed": 0, "lr": 1}, "b": {"seed": 1, "lr": 1}})
        {'seed': {'a': 0, 'b': 1}}
    """
    flattened = {run: flat(config) for run, config in configs.items()}
    keys = dict.fromkeys(key for config in flattened.values() for key in config)
    table = {key: {run: config.get(key) for run, config in flattened.items()} for key in keys}
    return {key: row for key, row in table.items() if any(value != next(iter(row.values())) for value in row.values())}
