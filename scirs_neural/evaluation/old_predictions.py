"""What a model said of a set of samples, as it is kept in ``predictions/*.npz``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scirs_neural.core.errors import DataError, RefusedError, ShapeError
from scirs_neural.core.paths import atomic_write, replacing, storage_errors
from scirs_neural.guard.arrays import read_arrays

_ARRAYS = ("ids", "targets", "probabilities", "classes")
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities and true classes of N samples and K classes.

    Args:
        ids: one name a sample, by which runs are matched and errors are shown: a file, or a position in the data.
        targets: class numbers (N,), or, with several labels a sample, 0/1 rows (N, K).
        probabilities: (N, K), kept as float32; rows sum to 1, or are independent with several labels a sample.
        classes: K names.

    Raises:
        ShapeError: the four do not fit each other.
        DataError: a target is no class, or a probability lies outside of 0..1.

    Example:
        >>> pred = Predictions(["a", "b"], [0, 1], [[0.9, 0.1], [0.6, 0.4]], ["cat", "dog"])
        >>> pred.predicted.tolist(), pred.right.tolist(), len(pred), pred.multi_label
        ([0, 0], [True, False], 2, False)
    """

    ids: Sequence[str]
    targets: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]

    def __post_init__(self) -> None:
        targets, probabilities = np.asarray(self.targets), np.asarray(self.probabilities, dtype=np.float32)
        object.__setattr__(self, "ids", tuple(map(str, self.ids)))
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        object.__setattr__(self, "targets", targets.astype(np.int64))
        object.__setattr__(self, "probabilities", probabilities)
        n, k = len(self.ids), len(self.classes)
        if probabilities.shape != (n, k):
            raise ShapeError(f"probabilities are {probabilities.shape}, but there are {n} ids and {k} classes")
        if targets.shape not in ((n,), (n, k)):
            raise ShapeError(f"targets are {targets.shape}, but must be ({n},) or ({n}, {k})")
        if not n:
            return
        top = 1 if self.multi_label else k - 1
        if self.targets.min() < 0 or self.targets.max() > top:
            raise DataError(f"targets reach from {self.targets.min()} to {self.targets.max()}, but must be 0 to {top}")
        if not (probabilities.min() >= 0 and probabilities.max() <= 1 + 1e-4):  # NaN fails too
            low, high = probabilities.min(), probabilities.max()
            raise DataError(
                f"probabilities reach from {low} to {high}, but must be 0 to 1", fix="apply softmax or sigmoid"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        """Whether a sample has any number of classes."""
        return self.targets.ndim == 2

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class (N,); with several labels a sample, 0/1 rows (N, K) of those above 0.5."""
        if self.multi_label:
            return (self.probabilities > THRESHOLD).astype(np.int64)
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether each sample is wholly right (N,)."""
        same = self.predicted == self.targets
        return same.all(axis=1) if self.multi_label else same

    def chosen(self, indices: np.ndarray) -> Predictions:
        """Those of some samples, by their places."""
        ids = [self.ids[i] for i in indices.tolist()]
        return Predictions(ids, self.targets[indices], self.probabilities[indices], self.classes)

    def save(self, path: str | Path) -> None:
        """Write everything into one ``.npz`` without pickles, whole or not at all.

        Raises:
            StorageError: it could not be written.
        """
        path = Path(path)
        with storage_errors(path.parent, "make the folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                ids=np.asarray(self.ids, dtype=np.str_),
                targets=self.targets,
                probabilities=self.probabilities,
                classes=np.asarray(self.classes, dtype=np.str_),
            )

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            StorageError: there is no such file, or it may not be read.
            DataError: it holds something else.
        """
        parts = load_arrays(path, _ARRAYS, "predictions")
        return cls(parts["ids"].tolist(), parts["targets"], parts["probabilities"], parts["classes"].tolist())

    def to_csv(self, path: str | Path) -> None:
        """Write one row a sample: id, true and predicted class, confidence, and each class's probability.

        Several labels are joined by ``|``.

        Raises:
            StorageError: it could not be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "target", "predicted", "confidence", *(f"p({name})" for name in self.classes)])
        for sample, target, predicted, row in zip(
            self.ids, self.targets, self.predicted, self.probabilities, strict=True
        ):
            confidence = row[predicted] if not self.multi_label else np.maximum(row, 1 - row).min()
            writer.writerow(
                [sample, self._named(target), self._named(predicted), f"{confidence:.6g}", *(f"{p:.6g}" for p in row)]
            )
        atomic_write(path, text.getvalue())

    def _named(self, target: np.ndarray) -> str:
        numbers = np.flatnonzero(target).tolist() if self.multi_label else [int(target)]
        return "|".join(self.classes[number] for number in numbers)


def load_arrays(path: str | Path, names: Sequence[str], holding: str) -> dict[str, np.ndarray]:
    """Read arrays from an ``.npz``, without pickles.

    Args:
        path: the file.
        names: of the arrays that it must hold.
        holding: what it should be a file of, for errors.

    Raises:
        StorageError: there is no such file, or it may not be read.
        DataError: it holds something else.
    """
    try:
        return read_arrays(path, names)
    except RefusedError as error:
        raise DataError(f"this is no file of {holding}", where=str(path), fix="evaluate the run again") from error
