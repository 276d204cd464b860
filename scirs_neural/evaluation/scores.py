"""The figures themselves: by scikit-learn once, and the same of a resample, fast enough for thousands of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scirs_neural.evaluation.old_predictions import Predictions

NUM_BINS = 15
TINY = float(np.finfo(np.float64).eps)  # scikit-learn's, below which a probability is not let fall


def one_label(pred: Predictions) -> dict[str, float]:
    """The figures of predictions with one label a sample, by name; the main one first."""
    from sklearn import metrics as sk

    top = pred.predicted
    occurring = np.unique(pred.targets)
    values = {
        "accuracy": sk.accuracy_score(pred.targets, top),
        "balanced_accuracy": sk.recall_score(pred.targets, top, labels=occurring, average="macro", zero_division=0),
        "f1": sk.f1_score(pred.targets, top, average="macro", zero_division=0),
    }
    if len(pred.classes) > 5:
        values["top5_accuracy"] = in_top(pred, 5).mean()
    values["log_loss"] = log_losses(pred).mean()
    values["brier"] = brier_scores(pred).mean()
    values["calibration_error"] = calibration_error(pred)
    return {name: float(value) for name, value in values.items()}


def several_labels(pred: Predictions) -> dict[str, float]:
    """The figures of predictions with any number of labels a sample, by name; the main one first."""
    from sklearn import metrics as sk

    chosen = pred.predicted
    occurring = np.flatnonzero(pred.targets.any(axis=0))
    values = {
        "f1": sk.f1_score(pred.targets, chosen, average="macro", zero_division=0),
        "accuracy": (chosen == pred.targets).mean(),
        "exact_match": pred.right.mean(),
        "average_precision": np.nan
        if not len(occurring)
        else sk.average_precision_score(pred.targets[:, occurring], pred.probabilities[:, occurring]),
        "log_loss": log_losses(pred).mean(),
        "brier": brier_scores(pred).mean(),
        "calibration_error": calibration_error(pred),
    }
    return {name: float(value) for name, value in values.items()}


def resampled(pred: Predictions) -> Callable[[np.ndarray], dict[str, float]]:
    """A function from how often each sample was drawn to the figures that a bootstrap is made of."""
    n, k = pred.probabilities.shape
    means = {"log_loss": log_losses(pred), "brier": brier_scores(pred)}
    if pred.multi_label:
        means["accuracy"] = (pred.predicted == pred.targets).mean(axis=1)
    names, per_sample = list(means), np.stack(list(means.values()), axis=1)
    targets, predicted = pred.targets, pred.predicted
    hits = (targets * predicted).astype(float) if pred.multi_label else pred.right.astype(float)

    def score(counts: np.ndarray) -> dict[str, float]:
        if pred.multi_label:
            true, said, hit = counts @ targets, counts @ predicted, counts @ hits
        else:
            true = np.bincount(targets, counts, k)
            said = np.bincount(predicted, counts, k)
            hit = np.bincount(targets, counts * hits, k)
        values = dict(zip(names, counts @ per_sample / n, strict=True))
        f1 = 2 * hit / np.maximum(true + said, 1)
        if pred.multi_label:
            return {**values, "f1": f1.mean()}
        recall = hit / np.maximum(true, 1)
        return {**values, "f1": f1[true + said > 0].mean(), "balanced_accuracy": recall[true > 0].mean()}

    return score


def in_top(pred: Predictions, k: int) -> np.ndarray:
    """Whether the true class is among the k likeliest (N,); a tie goes to the class with the lower number."""
    true = np.take_along_axis(pred.probabilities, pred.targets[:, None], axis=1)
    before = np.arange(len(pred.classes)) < pred.targets[:, None]
    ahead = (pred.probabilities > true) | ((pred.probabilities == true) & before)
    return ahead.sum(axis=1) < k


def log_losses(pred: Predictions) -> np.ndarray:
    """Minus the log of the true class's probability (N,); with several labels a sample, the mean over the labels."""
    if pred.multi_label:
        p = pred.probabilities.astype(np.float64).clip(TINY, 1 - TINY)
        return -np.where(pred.targets == 1, np.log(p), np.log1p(-p)).mean(axis=1)
    return -np.log((_true_class(pred) / pred.probabilities.sum(axis=1, dtype=np.float64)).clip(TINY, 1))


def brier_scores(pred: Predictions) -> np.ndarray:
    """The squared distance of the probabilities from the truth (N,): summed over classes, or the mean over labels.

    Source: Brier 1950.
    """
    if pred.multi_label:
        return ((pred.probabilities.astype(np.float64) - pred.targets) ** 2).mean(axis=1)
    p = pred.probabilities
    return np.einsum("nk,nk->n", p, p, dtype=np.float64) - 2 * _true_class(pred) + 1  # |p - onehot|^2, without onehots


def calibration_error(pred: Predictions) -> float:
    """The gap between confidence and accuracy, mean over the samples by `NUM_BINS` equal bins.

    Source: Guo et al. 2017, section 2.
    """
    rows = reliability(pred)
    total = sum(count for _, _, count, *_ in rows)
    return sum(count * abs(confidence - accuracy) for _, _, count, confidence, accuracy in rows if count) / total


def reliability(pred: Predictions) -> list[tuple[float, float, int, float, float]]:
    """Per bin of confidence: its bounds, how many samples, their mean confidence, the share that is right.

    With several labels a sample, every label decision counts: the probability of the label, and whether it is there.
    """
    if pred.multi_label:
        confidence, right = pred.probabilities.astype(np.float64).ravel(), pred.targets.ravel()
    else:
        confidence, right = pred.probabilities.max(axis=1).astype(np.float64), pred.right
    index = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    count = np.bincount(index, minlength=NUM_BINS)
    filled = np.maximum(count, 1)
    mean = np.where(count > 0, np.bincount(index, confidence, NUM_BINS) / filled, np.nan)
    share = np.where(count > 0, np.bincount(index, right, NUM_BINS) / filled, np.nan)
    edges = np.linspace(0, 1, NUM_BINS + 1)
    return [
        (float(edges[b]), float(edges[b + 1]), int(count[b]), float(mean[b]), float(share[b])) for b in range(NUM_BINS)
    ]


def confusion(pred: Predictions) -> np.ndarray:
    """Counts (K, K), true class by predicted class, or one 2 x 2 matrix a label (K, 2, 2)."""
    from sklearn import metrics as sk

    if pred.multi_label:
        return sk.multilabel_confusion_matrix(pred.targets, pred.predicted)
    return sk.confusion_matrix(pred.targets, pred.predicted, labels=np.arange(len(pred.classes)))


def per_class(pred: Predictions) -> list[tuple[str, float, float, float, int]]:
    """Name, precision, recall, F1 and support of every class; NaN where nothing was predicted or nothing was there."""
    from sklearn import metrics as sk

    columns = sk.precision_recall_fscore_support(
        pred.targets, pred.predicted, labels=np.arange(len(pred.classes)), zero_division=np.nan
    )
    return [
        (name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(pred.classes, *columns, strict=True)
    ]


def _true_class(pred: Predictions) -> np.ndarray:
    return pred.probabilities[np.arange(len(pred)), pred.targets].astype(np.float64)
