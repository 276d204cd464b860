"""Kinds of predictions by name, as they are written into folders of predictions. No torch, no numpy here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import DataError, UnknownNameError
from scirs_neural.core.registry import Registry

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions

PREDICTIONS = Registry("predictions", plural="predictions")
for _kind, _target, _summary in (
    ("class", "classification.predictions:ClassPredictions", "one of several classes"),
    ("labels", "multi_label.predictions:LabelPredictions", "any number of several classes"),
    ("numbers", "regression.predictions:NumberPredictions", "one or several numbers"),
    ("mask", "segmentation.predictions:MaskPredictions", "a class for each pixel"),
    ("multi_task", "multi_task.predictions:ManyPredictions", "several targets"),
):
    PREDICTIONS.add(_kind, f"scirs_neural.tasks.{_target}", summary=_summary)


def load_predictions(path: str | Path) -> Predictions:
    """The predictions in a folder, of whatever kind; the ``.npz`` of older runs too.

    Raises:
        StorageError: there is no such folder, or it may not be read.
        DataError: it holds something else, or a kind of predictions that is not installed.
    """
    from scirs_neural.evaluation.storage import read_predictions

    return read_predictions(Path(path), kind_of)


def kind_of(name: Any, where: str) -> type[Predictions]:
    """The class of a kind that a file names: only among those that are registered.

    Raises:
        DataError: no such kind is installed.
    """
    try:
        found = PREDICTIONS.get(name) if isinstance(name, str) else None
    except UnknownNameError as error:
        raise DataError(
            f"predictions of the kind '{name}', which is not installed", where=where, suggestions=error.suggestions,
            fix="install the distribution that brings it",
        ) from error  # fmt: skip
    if not (isinstance(found, type) and hasattr(found, "scorer")):
        raise DataError("the header names no kind of predictions", where=where)
    return found
