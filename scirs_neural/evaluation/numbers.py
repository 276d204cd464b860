"""What a regression network said of a set of samples, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scirs_neural.core.errors import DataError, ShapeError
from scirs_neural.core.paths import replacing, storage_errors
from scirs_neural.evaluation.old_predictions import Predictions, load_arrays

_ARRAYS = ("ids", "targets", "values", "outputs")


@dataclass(frozen=True, eq=False)
class NumberPredictions:
    """Predicted and true numbers of N samples and K outputs.

    Args:
        ids: one name a sample.
        targets: the true numbers (N, K).
        values: the predicted numbers (N, K).
        outputs: K names.

    Raises:
        ShapeError: they do not fit each other.

    Example:
        >>> pred = NumberPredictions(["a", "b"], [[1.0], [2.0]], [[1.5], [2.0]], ["height"])
        >>> len(pred), scores(pred)["mae"]
        (2, 0.25)
    """

    ids: Sequence[str]
    targets: np.ndarray
    values: np.ndarray
    outputs: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(map(str, self.ids)))
        object.__setattr__(self, "outputs", tuple(map(str, self.outputs)))
        object.__setattr__(self, "targets", np.asarray(self.targets, dtype=np.float64))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        shape = (len(self.ids), len(self.outputs))
        if self.targets.shape != shape or self.values.shape != shape:
            raise ShapeError(
                f"targets are {self.targets.shape} and values {self.values.shape}, but there are {shape[0]} ids and "
                f"{shape[1]} outputs"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, path: str | Path) -> None:
        """Write everything into one ``.npz`` without pickles, whole or not at all.

        Raises:
            StorageError: it could not be written.
        """
        path = Path(path)
        with storage_errors(path.parent, "make the folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
        names = {"ids": np.asarray(self.ids, dtype=np.str_), "outputs": np.asarray(self.outputs, dtype=np.str_)}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, targets=self.targets, values=self.values, **names)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> NumberPredictions:
        """Read what `save` wrote.

        Raises:
            StorageError: there is no such file, or it may not be read.
            DataError: it holds something else.
        """
        parts = load_arrays(path, _ARRAYS, "predicted numbers")
        return cls(parts["ids"].tolist(), parts["targets"], parts["values"], parts["outputs"].tolist())


def load_predictions(path: str | Path) -> Predictions | NumberPredictions:
    """The predictions in a file, of classes or of numbers.

    Raises:
        StorageError: there is no such file, or it may not be read.
        DataError: it holds something else.
    """
    try:
        return Predictions.load(path)
    except DataError as error:
        try:
            return NumberPredictions.load(path)
        except DataError:
            raise error from None


def as_predictions(arrays: dict[str, np.ndarray]) -> Predictions | NumberPredictions:
    """Predictions from the arrays that a file of them holds."""
    kind = NumberPredictions if "values" in arrays else Predictions
    return kind(**arrays)  # type: ignore[arg-type]


def scores(pred: NumberPredictions) -> dict[str, float]:
    """The figures by name, the main one first: R2 and errors are means over the outputs, RMSE is over all numbers."""
    from sklearn import metrics as sk

    several = len(pred) > 1
    values = {
        "r2": sk.r2_score(pred.targets, pred.values) if several else np.nan,
        "mae": sk.mean_absolute_error(pred.targets, pred.values),
        "rmse": np.sqrt(((pred.targets - pred.values) ** 2).mean()),
    }
    return {name: float(value) for name, value in values.items()}


def resampled(pred: NumberPredictions) -> Callable[[np.ndarray], dict[str, float]]:
    """A function from how often each sample was drawn to the figures."""
    absolute, squared = np.abs(pred.targets - pred.values), (pred.targets - pred.values) ** 2

    def score(counts: np.ndarray) -> dict[str, float]:
        total = counts.sum()
        centred = (pred.targets - counts @ pred.targets / total) ** 2
        around = counts @ centred
        r2 = 1 - (counts @ squared) / np.where(around > 0, around, np.nan)
        mean = (counts @ absolute).mean() / total
        return {"r2": float(r2.mean()), "mae": float(mean), "rmse": float(np.sqrt((counts @ squared).mean() / total))}

    return score
