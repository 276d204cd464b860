"""Torchmetrics' classes by name. Imports no torch.

A name stands for a factory ``(num_classes, multi_label) -> torchmetrics.Metric``. The classification and regression
ones are fed with ``(probabilities or predictions, targets)``; those of the groups ``detection`` and ``text`` with what
torchmetrics says of the class.

Several labels a sample: ``accuracy`` counts each label decision (1 - Hamming loss; ``exact_match`` asks for all labels
of a sample), ``f1 precision recall auroc average_precision iou`` are means over the labels, ``calibration_error`` and
``matthews`` pool all label decisions. A label is predicted when its probability is above 0.5.
"""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import Registry

METRICS = Registry("metric", supplied=("num_classes", "multi_label"))

_FAMILIES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "classification": {
        "accuracy": ("fraction of samples whose likeliest class is right; of label decisions if multi-label", {}),
        "balanced_accuracy": ("mean recall over the classes that occur", {}),
        "top5_accuracy": ("fraction of samples whose class is among the five likeliest", {}),
        "exact_match": ("multi-label: fraction of samples with every label right", {}),
        "f1": ("harmonic mean of precision and recall, mean over classes", {}),
        "precision": ("fraction of the predictions of a class that are right, mean over classes", {}),
        "recall": ("fraction of a class that is found, mean over classes", {}),
        "auroc": ("area under the ROC curve, one class against the rest, mean over classes; keeps all scores", {}),
        "average_precision": ("area under the precision-recall curve, mean over classes; keeps all scores", {}),
        "cohen_kappa": ("agreement beyond chance", {}),
        "matthews": ("correlation of predicted and true classes", {}),
        "calibration_error": ("ECE: gap between confidence and accuracy, by bins; keeps all scores", {"num_bins": 15}),
        "confusion_matrix": ("counts, true class by predicted class: a matrix", {}),
        "iou": ("intersection over union of each class over all pixels, mean over classes", {}),
        "dice": ("Dice score of each class over all pixels, mean over classes; the same value as f1", {}),
    },
    "regression": {
        "mse": ("mean squared error", {}),
        "rmse": ("root of the mean squared error", {}),
        "mae": ("mean absolute error", {}),
        "r2": ("fraction of the variance that is explained, mean over the outputs", {}),
        "pearson": ("linear correlation, one output", {}),
        "spearman": ("rank correlation, one output; keeps all values", {}),
    },
    "detection": {
        "map": ("COCO's mean average precision: 12 values and per-class ones", {"box_format": "xyxy"}),
    },
    "text": {
        "bleu": ("BLEU of tokens split at blanks", {"max_order": 4}),
        "sacre_bleu": ("BLEU as sacrebleu counts it", {"tokenize": "13a"}),
        "chrf": ("chrF++: F-score of character and word n-grams", {}),
        "rouge": ("ROUGE-1, -2 and -L: 9 values", {}),
        "ter": ("translation edit rate", {}),
        "wer": ("word error rate", {}),
        "cer": ("character error rate", {}),
        "perplexity": ("exp of the mean cross-entropy of (N, T, V) logits", {}),
    },
}
_ATTRIBUTES = {"map": "mean_average_precision"}  # would shadow a builtin

NOT_SCALAR = frozenset({"confusion_matrix", "map", "rouge"})
"""Metrics whose value is not a single number: they can be computed, but not logged or monitored."""

_SMALL_IS_GOOD = frozenset({"calibration_error", "mse", "rmse", "mae", "ter", "wer", "cer", "perplexity"})

for _family, _metrics in _FAMILIES.items():
    for _name, (_summary, _options) in _metrics.items():
        METRICS.add(
            _name,
            f"scirs_neural.metrics.{_family}:{_ATTRIBUTES.get(_name, _name)}",
            summary=_summary,
            options=_options,
            traits={"better": "min" if _name in _SMALL_IS_GOOD else "max"},
        )
