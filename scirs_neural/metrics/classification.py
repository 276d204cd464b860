"""Classification metrics of torchmetrics, for one or several labels a sample.

Every factory takes keywords only, so that all have one signature; what each metric is, `METRICS` says. ``num_classes``
is the number of classes or labels.

Shape: probabilities (N, C) with targets (N,), or of pixels (N, C, ...) with (N, ...); multi-label: both (N, C).

The inputs are not validated by torchmetrics, because that costs a host-device synchronisation a batch; the loss has
seen the same targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics import classification as tm

from scirs_neural.core.errors import ConfigError

Factory = Callable[..., Any]


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


def _factory(name: str, one_label: type[Metric], many_labels: type[Metric] | None = None, **options: Any) -> Factory:
    def make(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
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

    return make


# of samples; with several labels a sample, of label decisions, which is 1 - Hamming loss
accuracy = _factory("accuracy", tm.MulticlassAccuracy, tm.MultilabelAccuracy, average="micro")
balanced_accuracy = _factory("balanced_accuracy", BalancedAccuracy)
# of samples with every label (or every pixel) right: scikit-learn's accuracy_score of rows
exact_match = _factory("exact_match", tm.MulticlassExactMatch, tm.MultilabelExactMatch)
f1 = _factory("f1", tm.MulticlassF1Score, tm.MultilabelF1Score, average="macro")
precision = _factory("precision", tm.MulticlassPrecision, tm.MultilabelPrecision, average="macro")
recall = _factory("recall", tm.MulticlassRecall, tm.MultilabelRecall, average="macro")
auroc = _factory("auroc", tm.MulticlassAUROC, tm.MultilabelAUROC, average="macro")
average_precision = _factory(
    "average_precision", tm.MulticlassAveragePrecision, tm.MultilabelAveragePrecision, average="macro"
)
cohen_kappa = _factory("cohen_kappa", tm.MulticlassCohenKappa)
matthews = _factory("matthews", tm.MulticlassMatthewsCorrCoef, tm.MultilabelMatthewsCorrCoef)
confusion_matrix = _factory("confusion_matrix", tm.MulticlassConfusionMatrix, tm.MultilabelConfusionMatrix)
# the Jaccard index of each class over everything seen, mean over the classes: segmentation's mIoU
iou = _factory("iou", tm.MulticlassJaccardIndex, tm.MultilabelJaccardIndex, average="macro")
dice = f1  # 2|A∩B| / (|A| + |B|) of the pixels is F1 of the pixels


def top5_accuracy(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The fraction of samples whose class is among the five likeliest.

    Raises:
        ConfigError: there are five classes or fewer, so it would always be 1.
    """
    if num_classes is not None and num_classes <= 5:
        raise ConfigError(
            f"the metric 'top5_accuracy' is always 1 with {num_classes} classes", fix="leave it out, or take 'accuracy'"
        )
    make = _factory("top5_accuracy", tm.MulticlassAccuracy, average="micro", top_k=5)
    return make(num_classes=num_classes, multi_label=multi_label)


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
    return _factory("calibration_error", tm.MulticlassCalibrationError, n_bins=num_bins)(num_classes=num_classes)
