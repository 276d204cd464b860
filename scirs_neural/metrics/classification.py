"""Classification metrics of torchmetrics, for one or several labels a sample.

Every factory takes keywords only, so that all have one signature. ``num_classes`` is the number of classes or labels.

Shape: probabilities (N, C) with targets (N,), or of pixels (N, C, ...) with (N, ...); multi-label: both (N, C).

The inputs are not validated by torchmetrics, because that costs a host-device synchronisation a batch; the loss has
seen the same targets.
"""

from __future__ import annotations

from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics import classification as tm

from scirs_neural.core.errors import ConfigError


def accuracy(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of samples whose likeliest class is the true one.

    With several labels a sample it is the fraction of right label decisions, which is 1 - Hamming loss.
    """
    return _pick("accuracy", num_classes, multi_label, tm.MulticlassAccuracy, tm.MultilabelAccuracy, average="micro")


def balanced_accuracy(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The mean recall over the classes that occur in the targets, as scikit-learn defines it."""
    return _pick("balanced_accuracy", num_classes, multi_label, BalancedAccuracy, None)


def top5_accuracy(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of samples whose class is among the five likeliest.

    Raises:
        ConfigError: there are five classes or fewer, so it would always be 1.
    """
    if num_classes is not None and num_classes <= 5:
        raise ConfigError(
            f"the metric 'top5_accuracy' is always 1 with {num_classes} classes", fix="leave it out, or take 'accuracy'"
        )
    return _pick("top5_accuracy", num_classes, multi_label, tm.MulticlassAccuracy, None, average="micro", top_k=5)


def exact_match(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of samples with every label (or every pixel) right: scikit-learn's ``accuracy_score`` of rows."""
    return _pick("exact_match", num_classes, multi_label, tm.MulticlassExactMatch, tm.MultilabelExactMatch)


def f1(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The harmonic mean of precision and recall, mean over the classes."""
    return _pick("f1", num_classes, multi_label, tm.MulticlassF1Score, tm.MultilabelF1Score, average="macro")


def precision(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of the predictions of a class that are right, mean over the classes."""
    return _pick("precision", num_classes, multi_label, tm.MulticlassPrecision, tm.MultilabelPrecision, average="macro")


def recall(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of a class that is found, mean over the classes."""
    return _pick("recall", num_classes, multi_label, tm.MulticlassRecall, tm.MultilabelRecall, average="macro")


def auroc(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The area under the exact ROC curve, one class against the rest, mean over the classes."""
    return _pick("auroc", num_classes, multi_label, tm.MulticlassAUROC, tm.MultilabelAUROC, average="macro")


def average_precision(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The area under the exact precision-recall curve as a step function, mean over the classes."""
    return _pick(
        "average_precision",
        num_classes,
        multi_label,
        tm.MulticlassAveragePrecision,
        tm.MultilabelAveragePrecision,
        average="macro",
    )


def cohen_kappa(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The agreement of predicted and true classes beyond chance."""
    return _pick("cohen_kappa", num_classes, multi_label, tm.MulticlassCohenKappa, None)


def matthews(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The correlation of predicted and true classes; with several labels a sample, of all label decisions."""
    return _pick("matthews", num_classes, multi_label, tm.MulticlassMatthewsCorrCoef, tm.MultilabelMatthewsCorrCoef)


def calibration_error(*, num_classes: int | None = None, multi_label: bool = False, num_bins: int = 15) -> Metric:
    """The expected calibration error: the mean gap between confidence and accuracy over equal-width bins.

    With several labels a sample, the gap between probability and frequency of all label decisions together.

    Args:
        num_classes: the number of classes.
        multi_label: several labels a sample.
        num_bins: 15 is what papers use.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    if multi_label:
        return tm.BinaryCalibrationError(n_bins=num_bins, norm="l1", validate_args=False)
    return _pick("calibration_error", num_classes, False, tm.MulticlassCalibrationError, None, n_bins=num_bins)


def confusion_matrix(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """Counts, true class by predicted class; with several labels a sample, one 2 x 2 matrix a label."""
    return _pick(
        "confusion_matrix", num_classes, multi_label, tm.MulticlassConfusionMatrix, tm.MultilabelConfusionMatrix
    )


def iou(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The Jaccard index of each class over everything seen, mean over the classes: segmentation's mIoU."""
    return _pick("iou", num_classes, multi_label, tm.MulticlassJaccardIndex, tm.MultilabelJaccardIndex, average="macro")


dice = f1  # 2|A∩B| / (|A| + |B|) of the pixels is F1 of the pixels


class BalancedAccuracy(tm.MulticlassConfusionMatrix):
    """The mean recall over the classes that occur in the targets.

    torchmetrics' macro accuracy also counts, as 0, a class that is predicted but never occurs, as happens in small
    validation sets with many classes; scikit-learn's ``balanced_accuracy_score`` does not.
    """

    higher_is_better = True

    def compute(self) -> torch.Tensor:
        """The score of everything seen."""
        matrix = super().compute()
        occurring = matrix.sum(dim=1)
        return (matrix.diagonal() / occurring.clamp(min=1)).sum() / (occurring > 0).sum()


def _pick(
    name: str,
    num_classes: int | None,
    multi_label: bool,
    one_label: type[Metric],
    many_labels: type[Metric] | None,
    **options: Any,
) -> Metric:
    if num_classes is None:
        raise ConfigError(f"the metric '{name}' needs the number of classes")
    if not multi_label:
        return one_label(num_classes=num_classes, validate_args=False, **options)
    if many_labels is None:
        raise ConfigError(
            f"the metric '{name}' is not defined for several labels a sample",
            fix="take f1, average_precision, auroc or exact_match",
        )
    return many_labels(num_labels=num_classes, validate_args=False, **options)
