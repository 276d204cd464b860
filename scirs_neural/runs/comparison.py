"""Runs against each other on the same samples, from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scirs_neural.core.errors import DataError

SPLITS = ("test", "out_of_fold", "val")


def compare_runs(
    folders: list[str], *, split: str | None = None, metric: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Everything that ``python -m scirs_neural.compare`` prints, as plain data.

    Of a cross-validation, "test" is what the folds' networks together answer for the test set, and "out_of_fold" what
    each answered for its own part, in the first repeat.

    Raises:
        DataError: a folder is no run, has no predictions, or was tested on other samples than the first.
    """
    from scirs_neural.evaluation import compare_predictions, evaluate  # --help needs no numpy
    from scirs_neural.runs.record import RunRecord, differences, named

    if len(folders) < 2:
        raise DataError("a comparison needs at least two runs", fix="name two or more run folders")
    runs = named([RunRecord(Path(folder)) for folder in folders])
    if split is None:
        split = next((s for s in SPLITS if all(s in run.splits for run in runs.values())), SPLITS[0])
    predictions = {}
    for name, run in runs.items():
        pred = run.predictions(split)
        if pred is None:
            judge = f"python -m scirs_neural.evaluate {run.path}"
            raise DataError(
                f"the run '{name}' left no {split} predictions",
                where=str(run.path / "predictions" / split),
                fix="only a cross-validation has them: train … cv=5" if split == "out_of_fold" else judge,
            )
        predictions[name] = pred
    first = next(iter(predictions.values()))
    comparison = compare_predictions(predictions, metric=metric, seed=seed)
    evaluations = {name: evaluate(pred, seed=seed).to_dict() for name, pred in predictions.items()}
    return {
        "split": split,
        "runs": {name: str(run.path) for name, run in runs.items()},
        "parameters": {name: (run.summary.get("model") or {}).get("num_params") for name, run in runs.items()},
        "config": differences({name: run.config for name, run in runs.items()}),
        "metrics": {name: evaluation["metrics"] for name, evaluation in evaluations.items()},
        "samples": comparison.samples,
        "metric": comparison.metric,
        "percent": first.traits_of(first.header)[comparison.metric].percent,
        "pairs": comparison.to_dict()["pairs"],
        "intervals": comparison.settings,
    }
