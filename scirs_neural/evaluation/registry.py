"""Kinds of predictions by name, as they are written into folders of predictions. No torch, no numpy here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

    return read_predictions(Path(path))
