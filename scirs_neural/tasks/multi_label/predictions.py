"""Predictions of any number of several classes: a probability and the truth of each label. No torch here."""

from __future__ import annotations

from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.columns import blocks
from scirs_neural.evaluation.rows import NUM_BINS, Mistake, bin_of, bins, class_scores
from scirs_neural.evaluation.scorers import Additive, Ranked, Scorer, Several, divide, mean_of_defined
from scirs_neural.tasks.classification.predictions import MAX_WORST, TINY, OfClasses, check_range, truth_of

THRESHOLD = 0.5
_BLOCK = 2**20  # label decisions that are looked at at a time


class LabelPredictions(OfClasses):
    """Columns ``probabilities`` and ``target`` (N, K), of 1, 0, or below 0 or NaN where it is not known.

    Header: ``classes``, and ``answer.threshold``, above which a label is predicted: a number, or one a label.

    Accuracy counts label decisions. Averages over labels are over those for which the metric is defined.

    Example:
        >>> columns = {"probabilities": np.array([[0.9, 0.1], [0.6, 0.4]]), "target": np.array([[1, 0], [1, 1]])}
        >>> pred = LabelPredictions(["a", "b"], columns, {"classes": ["cat", "dog"]})
        >>> pred.predicted.tolist(), pred.score()["accuracy"], pred.score()["exact_match"]
        ([[1, 0], [1, 0]], 0.75, 0.5)
    """

    kind = "labels"
    metrics = {
        "f1": "max", "accuracy": "max", "exact_match": "max", "average_precision": "max", "log_loss": "min",
        "brier": "min", "calibration_error": "min",
    }  # fmt: skip
    main_metric = "f1"
    ranges = {
        "f1": (0, 1), "accuracy": (0, 1), "exact_match": (0, 1), "average_precision": (0, 1), "brier": (0, 1),
        "log_loss": (0, np.inf), "calibration_error": (0, 1), "auroc": (0, 1),
    }  # fmt: skip
    percentages = frozenset({"accuracy", "exact_match", "calibration_error"})
    panels = "scirs_neural.tasks.multi_label.panels:label_panels"

    def check(self) -> None:
        """Hold probabilities, targets and class names to each other."""
        k = self.probabilities.shape[1]
        if "target" in self.columns:
            self.array("target", k)
        if np.shape(self.threshold) not in ((), (k,)):
            raise DataError(f"{np.size(self.threshold)} thresholds for {k} labels")

    @property
    def threshold(self) -> np.ndarray:
        """Above which a label is predicted: () or (K,)."""
        return np.asarray(dict(self.header.get("answer") or {}).get("threshold", THRESHOLD), dtype=np.float64)

    @property
    def target(self) -> np.ndarray:
        """The true labels (N, K)."""
        return truth_of(self, "labels", len(self.classes))

    @property
    def predicted(self) -> np.ndarray:
        """The labels that are predicted (N, K), 0 or 1."""
        return (self.probabilities > self.threshold).astype(np.int64)

    @property
    def right(self) -> np.ndarray:
        """Whether each sample has all labels that are known right (N,)."""
        known = self.target >= 0
        return ((self.predicted == self.target) | ~known).all(axis=1) & known.any(axis=1)

    def scorer(self) -> Scorer:
        """Sums over label decisions, and the average precision over the ranks of each label."""
        block = max(1, _BLOCK // max(1, len(self.classes)))
        sums = Additive(self._sums, self._finish, num_samples=len(self), block=block)
        return Several([("", sums), ("", self._ranked("average_precision"))])

    def further(self, metric: str) -> Scorer | None:
        """The area under the ROC curve."""
        return self._ranked(metric) if metric == "auroc" else None

    def _ranked(self, name: str) -> Ranked:
        target = self.target
        if target.dtype.kind == "f" or (len(target) and target.min() < 0):
            target = np.where(target >= 0, target, np.nan)
        return Ranked(self.probabilities, target, (name,))

    def _sums(self, start: int, stop: int) -> dict[str, np.ndarray]:
        p = np.asarray(self.probabilities[start:stop], dtype=np.float64)
        check_range(p, "sigmoid")
        target = np.asarray(self.target[start:stop])
        if target.size and target[target >= 0].max(initial=0) > 1:
            raise DataError(f"a label is {target.max()}, but must be 0 or 1")
        known, true, said = target >= 0, target == 1, p > self.threshold
        said &= known
        wrong, clipped = (said != true) & known, p.clip(TINY, 1 - TINY)
        loss = -np.where(true, np.log(clipped), np.log1p(-clipped)) * known
        cell = np.arange(len(p))[:, None] * NUM_BINS + bin_of(p)
        shape = (len(p), NUM_BINS)
        sure, sure_right, in_bin = (
            np.bincount(cell.ravel(), held.ravel().astype(float), len(p) * NUM_BINS).reshape(shape)
            for held in (p * known, true, known)
        )
        decided = known.any(axis=1)
        return {
            "n": known.sum(axis=1), "wrong": wrong.sum(axis=1), "loss": loss.sum(axis=1),
            "brier": (((p - true) ** 2) * known).sum(axis=1), "decided": decided,
            "exact": decided & ~wrong.any(axis=1), "true": true, "said": said, "hit": said & true,
            "sure": sure, "sure_right": sure_right, "in_bin": in_bin, "known": known,
        }  # fmt: skip

    @staticmethod
    def _finish(**sums: np.ndarray) -> dict[str, np.ndarray]:
        n = sums["n"]
        return {
            "f1": mean_of_defined(divide(2 * sums["hit"], sums["true"] + sums["said"])),
            "accuracy": divide(n - sums["wrong"], n),
            "exact_match": divide(sums["exact"], sums["decided"]),
            "log_loss": divide(sums["loss"], n),
            "brier": divide(sums["brier"], n),
            "calibration_error": divide(np.abs(sums["sure"] - sums["sure_right"]).sum(axis=1), n),
        }

    def arguments(self, metric: str) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Probabilities and true labels (N, K) of the samples of which all labels are known."""
        target = np.asarray(self.target)
        known = (target >= 0).all(axis=1)
        probabilities = np.asarray(self.probabilities)[known]
        return (probabilities, target[known].astype(np.int64)), {"num_classes": len(self.classes), "multi_label": True}

    def outcomes(self) -> dict[str, np.ndarray]:
        """Whether all labels of a sample are right."""
        return {"exact_match": np.where((self.target >= 0).any(axis=1), self.right, np.nan)}

    def notes(self) -> list[str]:
        """Labels for which a metric is not defined."""
        truth = self.target
        without = [name for name, any_ in zip(self.classes, (truth == 1).any(axis=0), strict=True) if not any_]
        if not without:
            return []
        shown = ", ".join(without[:5]) + (", …" if len(without) > 5 else "")
        over = f"{len(self.classes) - len(without)} of {len(self.classes)} labels"
        return [f"average_precision is the mean over {over}: no sample has {shown}"]

    def describe(self) -> dict[str, Any]:
        """Counts of each label (absent or present by predicted so), scores, bins of probability, worst errors."""
        weight = np.ones(len(self)) if self.weight is None else self.weight
        keep = ("true", "said", "hit", "in_bin", "sure", "sure_right", "known")
        held = Additive(self._sums, lambda **sums: {k: sums[k] for k in keep}, num_samples=len(self))
        whole, counted = held(weight[None]), held(np.ones((1, len(self))))
        true, said, hit, known = (counted[name][0] for name in ("true", "said", "hit", "known"))
        table = np.stack([known - true - said + hit, said - hit, true - hit, hit], axis=1).reshape(-1, 2, 2)
        scores = class_scores(self.classes, whole["true"][0], whole["said"][0], whole["hit"][0], true)
        return {
            "classes": self.classes,
            "confusion": table.round().astype(np.int64),
            "per_class": scores,
            "reliability": bins(*(whole[name][0] for name in ("in_bin", "sure", "sure_right"))),
            "worst": self.worst(),
        }

    def worst(self, limit: int = MAX_WORST) -> list[Mistake]:
        """The samples with the surest wrong label; equal ones in the order of the samples."""
        label, wrongness, start = [], [], 0
        for block in blocks(self.probabilities):
            p, target = np.asarray(block), np.asarray(self.target[start : start + len(block)])
            start += len(block)
            said = p > self.threshold
            wrong = np.where((said != (target == 1)) & (target >= 0), np.where(said, p, 1 - p), -1.0)
            label.append(wrong.argmax(axis=1))
            wrongness.append(wrong.max(axis=1))
        labels, sure = np.concatenate(label), np.concatenate(wrongness)
        order = np.argsort(-sure, kind="stable")[:limit]
        found = []
        for i in order[sure[order] >= 0].tolist():
            name = self.classes[labels[i]]
            true, said_name = (name, f"not {name}") if self.target[i, labels[i]] == 1 else (f"not {name}", name)
            found.append(Mistake(self.ids[i], true, said_name, float(sure[i])))
        return found
