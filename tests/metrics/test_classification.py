"""Classification metrics equal scikit-learn's on real predictions, fed in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from scirs_neural.core.errors import ConfigError

from .conftest import build


def computed(names, data, **options):
    probabilities, targets = (torch.from_numpy(part) for part in data)
    metrics = build(names, num_classes=probabilities.shape[1], **options)
    for start in range(0, len(targets), 100):  # the last batch is smaller
        metrics.update(probabilities[start : start + 100], targets[start : start + 100])
    return {name: value.double().numpy() for name, value in metrics.compute().items()}


def expected_calibration_error(confidence, right, num_bins=15):
    """By scikit-learn's calibration curve, weighted with the bins' sizes."""
    true, predicted = calibration_curve(right, confidence, n_bins=num_bins, strategy="uniform")
    sizes = np.histogram(confidence, bins=np.linspace(0, 1, num_bins + 1))[0]
    return float(np.sum(np.abs(true - predicted) * sizes[sizes > 0]) / len(right))


@pytest.mark.feature(91)
def test_one_label_equals_scikit_learn(digits):
    p, y = digits
    top = p.argmax(1)
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": sk.accuracy_score(y, top),
        "balanced_accuracy": sk.balanced_accuracy_score(y, top),
        "top5_accuracy": sk.top_k_accuracy_score(y, p, k=5),
        "exact_match": sk.accuracy_score(y, top),
        "f1": sk.f1_score(y, top, **macro),
        "dice": sk.f1_score(y, top, **macro),
        "precision": sk.precision_score(y, top, **macro),
        "recall": sk.recall_score(y, top, **macro),
        "iou": sk.jaccard_score(y, top, **macro),
        "auroc": sk.roc_auc_score(np.eye(10)[y], p),
        "average_precision": sk.average_precision_score(np.eye(10)[y], p),
        "cohen_kappa": sk.cohen_kappa_score(y, top),
        "matthews": sk.matthews_corrcoef(y, top),
        "calibration_error": expected_calibration_error(p.max(1), top == y),
        "confusion_matrix": sk.confusion_matrix(y, top),
    }
    assert 0.8 < expected["accuracy"] < 0.97  # errors enough to tell the metrics apart
    values = computed(expected, digits)
    assert set(values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, atol=1e-6, err_msg=name)


@pytest.mark.feature(91)
def test_several_labels_equal_scikit_learn(labels):
    p, y = labels
    chosen = (p > 0.5).astype(int)
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": 1 - sk.hamming_loss(y, chosen),
        "exact_match": sk.accuracy_score(y, chosen),
        "f1": sk.f1_score(y, chosen, **macro),
        "precision": sk.precision_score(y, chosen, **macro),
        "recall": sk.recall_score(y, chosen, **macro),
        "iou": sk.jaccard_score(y, chosen, **macro),
        "auroc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "matthews": sk.matthews_corrcoef(y.ravel(), chosen.ravel()),
        "calibration_error": expected_calibration_error(p.ravel(), y.ravel()),
        "confusion_matrix": sk.multilabel_confusion_matrix(y, chosen),
    }
    values = computed(expected, labels, multi_label=True)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, atol=1e-6, err_msg=name)


def test_a_class_that_is_predicted_but_never_occurs(digits):
    """As in scikit-learn: it lowers F1, it does not lower the balanced accuracy."""
    p, y = digits
    without = y != 3
    assert (p[without].argmax(1) == 3).any()
    values = computed(["balanced_accuracy", "f1", "iou"], (p[without], y[without]))
    top = p[without].argmax(1)
    recalls = [np.mean(top[y[without] == c] == c) for c in range(10) if c != 3]
    np.testing.assert_allclose(values["balanced_accuracy"], np.mean(recalls), atol=1e-6)
    np.testing.assert_allclose(values["f1"], sk.f1_score(y[without], top, average="macro"), atol=1e-6)
    np.testing.assert_allclose(values["iou"], sk.jaccard_score(y[without], top, average="macro"), atol=1e-6)


def test_pixels_are_samples():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(2, 5, 4)).astype(np.float32).transpose(0, 3, 1, 2)
    y = rng.integers(0, 3, size=(2, 5, 4))
    values = computed(["iou", "dice", "accuracy"], (p, y))
    top = p.argmax(1)
    np.testing.assert_allclose(values["iou"], sk.jaccard_score(y.ravel(), top.ravel(), average="macro"), atol=1e-6)
    np.testing.assert_allclose(values["dice"], sk.f1_score(y.ravel(), top.ravel(), average="macro"), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("top5_accuracy", {"num_classes": 5}, "always 1 with 5 classes"),
        ("top5_accuracy", {"num_classes": 9, "multi_label": True}, "not defined for several labels"),
        ("cohen_kappa", {"num_classes": 9, "multi_label": True}, "not defined for several labels"),
        ("f1", {}, "needs the number of classes"),
    ],
)
def test_what_cannot_be_built_says_why(name, options, message):
    with pytest.raises(ConfigError, match=message):
        build([name], **options)
