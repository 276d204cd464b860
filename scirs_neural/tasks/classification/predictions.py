"""Predictions of one of several classes: probabilities and the true class. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.columns import blocks
from scirs_neural.evaluation.predictions import Predictions, Table
from scirs_neural.evaluation.rows import NUM_BINS, Mistake, bin_of, bins, class_scores
from scirs_neural.evaluation.scorers import ByClass, Ranked, Scorer, additive, divide, mean_of_defined

MAX_WORST = 25
MAX_ROWS = 30  # of a table in the terminal
TINY = float(np.finfo(np.float64).eps)  # scikit-learn's, below which a probability is not let fall
_TOP = 5


@dataclass(frozen=True, eq=False)
class Facts:
    """What the metrics need to know of each sample (N,), so that the probabilities are read once.

    Args:
        predicted: the likeliest class.
        confidence: its probability.
        true: the probability of the true class; 0 where that is not known.
        total: the sum of the probabilities.
        squared: the sum of their squares.
        ahead: classes that are likelier than the true one; a tie goes to the class with the lower number.
    """

    predicted: np.ndarray
    confidence: np.ndarray
    true: np.ndarray
    total: np.ndarray
    squared: np.ndarray
    ahead: np.ndarray


class OfClasses(Predictions):
    """What predictions of named classes share: columns ``probabilities`` (N, K) and ``target``, header ``classes``."""

    without_interval = {"calibration_error": "its bootstrap lies above it, as resampling adds noise to every bin"}
    averaged = ("probabilities",)

    @property
    def classes(self) -> list[str]:
        """Their names."""
        return list(self.header.get("classes", ()))

    @property
    def probabilities(self) -> np.ndarray:
        """Of each class (N, K)."""
        return self.array("probabilities", len(self.classes))

    def tables(self, details: Mapping[str, Any]) -> Sequence[Table]:
        """The classes, the weakest of very many, and the worst errors."""
        return [class_table(details["per_class"]), *mistake_table(details["worst"][:5])]


class ClassPredictions(OfClasses):
    """Columns ``probabilities`` (N, K) and ``target`` (N,), below 0 where it is not known; header ``classes``.

    The names of the metrics mean what they mean in `scirs_neural.metrics.METRICS`; averages over classes are over
    those that occur.

    Example:
        >>> columns = {"probabilities": np.array([[0.9, 0.1], [0.6, 0.4]]), "target": np.array([0, 1])}
        >>> pred = ClassPredictions(["a", "b"], columns, {"classes": ["cat", "dog"]})
        >>> pred.predicted.tolist(), pred.score()["accuracy"]
        ([0, 0], 0.5)
    """

    kind = "class"
    metrics = {
        "accuracy": "max", "balanced_accuracy": "max", "f1": "max", "top5_accuracy": "max", "log_loss": "min",
        "brier": "min", "calibration_error": "min",
    }  # fmt: skip
    main_metric = "accuracy"
    ranges = {
        "accuracy": (0, 1), "balanced_accuracy": (0, 1), "f1": (0, 1), "top5_accuracy": (0, 1), "brier": (0, 2),
        "log_loss": (0, np.inf), "calibration_error": (0, 1), "auroc": (0, 1), "average_precision": (0, 1),
    }  # fmt: skip
    percentages = frozenset({"accuracy", "balanced_accuracy", "top5_accuracy", "calibration_error"})
    panels = "scirs_neural.tasks.classification.panels:class_panels"

    def check(self) -> None:
        """Hold probabilities, targets and class names to each other."""
        k = self.probabilities.shape[1]
        if "target" not in self.columns or not len(self):
            return
        target = self.array("target")
        if target.dtype.kind not in "iu" or target.max() >= k:
            raise DataError(f"the targets reach up to {target.max()}, but there are {k} classes")

    @classmethod
    def metrics_of(cls, header: Mapping[str, Any]) -> Mapping[str, str]:
        """The top-5 accuracy is among them from six classes on."""
        few = len(header.get("classes", ())) <= _TOP
        return {name: end for name, end in cls.metrics.items() if not (few and name == "top5_accuracy")}

    @property
    def target(self) -> np.ndarray:
        """The true class (N,); below 0 where it is not known."""
        return truth_of(self, "classes")

    @property
    def known(self) -> np.ndarray:
        """Whether the true class is known (N,)."""
        return self.target >= 0

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class (N,)."""
        return self.facts.predicted

    @property
    def right(self) -> np.ndarray:
        """Whether each sample is right (N,)."""
        return self.predicted == self.target

    @cached_property
    def facts(self) -> Facts:
        """What the metrics need to know of each sample.

        Raises:
            DataError: a probability lies outside of 0..1.
        """
        probabilities, found, start = self.probabilities, [], 0
        target = self.array("target") if "target" in self.columns else np.full(len(self), -1)
        for block in blocks(probabilities):
            p, true = np.asarray(block), np.maximum(target[start : start + len(block)], 0)
            start += len(block)
            check_range(p, "softmax")
            top, of_true = p.argmax(axis=1), np.take_along_axis(p, true[:, None], axis=1)
            ahead = (p > of_true).sum(axis=1) + ((p == of_true) & (np.arange(p.shape[1]) < true[:, None])).sum(axis=1)
            total, squared = p.sum(axis=1, dtype=np.float64), np.einsum("nk,nk->n", p, p, dtype=np.float64)
            found.append(
                (top, p.max(axis=1).astype(np.float64), of_true[:, 0].astype(np.float64), total, squared, ahead)
            )
        return Facts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    @cached_property
    def log_losses(self) -> np.ndarray:
        """Minus the log of the true class's probability (N,); 0 where that is not known."""
        return np.where(self.known, -np.log((self.facts.true / self.facts.total).clip(TINY, 1)), 0.0)

    @cached_property
    def brier_scores(self) -> np.ndarray:
        """The squared distance of the probabilities from the truth (N,), summed over classes. Source: Brier 1950."""
        return np.where(self.known, self.facts.squared - 2 * self.facts.true + 1, 0.0)

    def scorer(self) -> Scorer:
        """All metrics from sums: of hits, of losses, and of each class's and each bin's samples."""
        facts, known, target = self.facts, self.known, np.asarray(self.target)
        right = (known & (facts.predicted == target)).astype(np.float64)
        present = np.unique(np.concatenate([target[known], facts.predicted[known]]))
        true, said = np.searchsorted(present, target), np.searchsorted(present, facts.predicted)
        place, k = bin_of(facts.confidence), len(present)
        stats: dict[str, Any] = {
            "n": known, "right": right, "log_loss": self.log_losses, "brier": self.brier_scores,
            "top": known & (facts.ahead < _TOP),
            "true": ByClass.of(true, known, k), "said": ByClass.of(said, known, k), "hit": ByClass.of(true, right, k),
            "sure": ByClass.of(place, facts.confidence * known, NUM_BINS),
            "sure_right": ByClass.of(place, right, NUM_BINS),
        }  # fmt: skip
        names = self.metrics_of(self.header)

        def finish(**sums: np.ndarray) -> dict[str, np.ndarray]:
            n = sums["n"]
            found = {
                "accuracy": divide(sums["right"], n),
                "balanced_accuracy": mean_of_defined(divide(sums["hit"], sums["true"])),
                "f1": mean_of_defined(divide(2 * sums["hit"], sums["true"] + sums["said"])),
                "top5_accuracy": divide(sums["top"], n),
                "log_loss": divide(sums["log_loss"], n),
                "brier": divide(sums["brier"], n),
                "calibration_error": divide(np.abs(sums["sure"] - sums["sure_right"]).sum(axis=1), n),
            }
            return {name: found[name] for name in names}

        return additive(stats, finish)

    def further(self, metric: str) -> Scorer | None:
        """The areas under the curves of each class against the rest."""
        if metric not in ("auroc", "average_precision"):
            return None
        target = np.asarray(self.target)
        onehot = (target[:, None] == np.arange(len(self.classes))).astype(np.float64)
        onehot[target < 0] = np.nan
        return Ranked(self.probabilities, onehot, (metric,))

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Probabilities (N, K) and true classes (N,)."""
        probabilities, known = self.probabilities, self.known
        arrays = (probabilities, self.target) if known.all() else (probabilities[known], self.target[known])
        return tuple(np.asarray(array) for array in arrays), {"num_classes": len(self.classes), "multi_label": False}

    def outcomes(self) -> dict[str, np.ndarray]:
        """Whether the true class is the likeliest one, or among the five likeliest."""
        found = {"accuracy": self.right, "top5_accuracy": self.facts.ahead < _TOP}
        names = self.metrics_of(self.header)
        return {name: np.where(self.known, right, np.nan) for name, right in found.items() if name in names}

    def per_sample(self) -> dict[str, np.ndarray]:
        """The loss of each sample."""
        return {"log_loss": np.where(self.known, self.log_losses, np.nan)}

    def describe(self) -> dict[str, Any]:
        """Confusion (the counts of pairs that occur), classes, bins of confidence, and worst errors."""
        facts, known, k = self.facts, self.known, len(self.classes)
        target = np.asarray(self.target)
        pairs, counts = np.unique(target[known] * np.int64(k) + facts.predicted[known], return_counts=True)
        weight = known * (1.0 if self.weight is None else self.weight)
        true = np.bincount(np.maximum(target, 0), weight, k)
        said, hit = np.bincount(facts.predicted, weight, k), np.bincount(np.maximum(target, 0), weight * self.right, k)
        place = bin_of(facts.confidence)
        sums = (np.bincount(place, held, NUM_BINS) for held in (weight, weight * facts.confidence, weight * self.right))
        return {
            "classes": self.classes,
            "confusion": {"true": pairs // k, "predicted": pairs % k, "count": counts},
            "per_class": class_scores(self.classes, true, said, hit, np.bincount(target[known], minlength=k)),
            "reliability": bins(*sums),
            "worst": self.worst(),
        }

    def worst(self, limit: int = MAX_WORST) -> list[Mistake]:
        """The wrong samples of which the model was surest; equal confidences in the order of the samples."""
        wrong = np.flatnonzero(self.known & ~self.right)
        order = wrong[np.argsort(-self.facts.confidence[wrong], kind="stable")[:limit]]
        names, said, sure = self.classes, self.predicted, self.facts.confidence
        return [Mistake(self.ids[i], names[self.target[i]], names[said[i]], float(sure[i])) for i in order.tolist()]


def truth_of(pred: Predictions, what: str, *shape: int) -> np.ndarray:
    """The column "target", by which predictions are judged.

    Raises:
        DataError: there is none.
    """
    if "target" not in pred.columns:
        raise DataError(f"the predictions hold no true {what}, so there is nothing to judge them by")
    return pred.array("target", *shape)


def check_range(p: np.ndarray, remedy: str) -> None:
    """Refuse probabilities outside of 0..1.

    Raises:
        DataError: there is one, or NaN.
    """
    if p.size and not (p.min() >= 0 and p.max() <= 1 + 1e-4):  # NaN fails too
        what = f"probabilities reach from {p.min()} to {p.max()}, but must be 0 to 1"
        raise DataError(what, fix=f"apply {remedy}")


def class_table(rows: Sequence[Any], limit: int = MAX_ROWS) -> Table:
    """Classes as a table for the terminal: of more than ``limit`` those with the lowest F1."""
    kept = rows if len(rows) <= limit else sorted(rows, key=lambda c: c.f1 if np.isfinite(c.f1) else 2.0)[:limit]
    title = "classes" if kept is rows else f"classes (the {limit} worst of {len(rows)})"
    cells = [[c.name, c.precision, c.recall, c.f1, c.support] for c in kept]
    return Table(title, ["class", "precision", "recall", "f1", "samples"], cells)


def mistake_table(rows: Sequence[Mistake]) -> list[Table]:
    """Worst errors as a table for the terminal; none without errors."""
    cells = [[m.id, m.target, m.predicted, f"{100 * m.confidence:.2f} %"] for m in rows]
    return [Table("worst errors", ["sample", "true", "predicted", "confidence"], cells)] if cells else []
