"""Every figure equals scikit-learn's or scipy's on real predictions; intervals cover as they should."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import Predictions, evaluate_predictions, scores
from scirs_neural.evaluation.intervals import bootstrap, wilson
from scirs_neural.metrics import create_metrics


@pytest.fixture(scope="module")
def report(pred):
    return evaluate_predictions(pred)


@pytest.mark.feature(89)
def test_one_label_equals_scikit_learn(pred, report):
    y, p = pred.targets, pred.probabilities.astype(np.float64)
    p, top, onehot = p / p.sum(axis=1, keepdims=True), pred.probabilities.argmax(1), np.eye(10)[y]
    expected = {
        "accuracy": sk.accuracy_score(y, top),
        "balanced_accuracy": sk.balanced_accuracy_score(y, top),
        "f1": sk.f1_score(y, top, average="macro"),
        "top5_accuracy": sk.top_k_accuracy_score(y, p, k=5),
        "log_loss": sk.log_loss(y, p),
        "brier": sum(sk.brier_score_loss(onehot[:, k], p[:, k]) for k in range(10)),
    }
    assert 0.85 < expected["accuracy"] < 1
    for name, value in expected.items():
        assert report.metrics[name].value == pytest.approx(value, abs=1e-6), name
    np.testing.assert_array_equal(report.confusion, sk.confusion_matrix(y, top))
    table = sk.classification_report(y, top, output_dict=True)
    for row in report.per_class:
        wanted = table[row.name]
        assert row.support == wanted["support"]
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (wanted["precision"], wanted["recall"], wanted["f1-score"]), abs=1e-12
        )


@pytest.mark.feature(89)
def test_several_labels_equal_scikit_learn(many):
    report = evaluate_predictions(many, num_resamples=50)
    y, p, chosen = many.targets, many.probabilities.astype(np.float64), (many.probabilities > 0.5).astype(int)
    expected = {
        "f1": sk.f1_score(y, chosen, average="macro"),
        "accuracy": 1 - sk.hamming_loss(y, chosen),
        "exact_match": sk.accuracy_score(y, chosen),
        "average_precision": sk.average_precision_score(y, p),
        "log_loss": np.mean([sk.log_loss(y[:, k], p[:, k]) for k in range(3)]),
        "brier": np.mean([sk.brier_score_loss(y[:, k], p[:, k]) for k in range(3)]),
    }
    for name, value in expected.items():
        assert report.metrics[name].value == pytest.approx(value, abs=1e-6), name
    assert report.main == "f1"
    np.testing.assert_array_equal(report.confusion, sk.multilabel_confusion_matrix(y, chosen))
    json.loads(report.to_json())


@pytest.mark.parametrize("kind", ["pred", "many"])
def test_the_same_name_means_the_same_as_in_training(kind, request):
    pred = request.getfixturevalue(kind)
    report = evaluate_predictions(pred, num_resamples=2)
    names = [name for name in report.metrics if name not in ("log_loss", "brier")]
    metrics = create_metrics(names, num_classes=len(pred.classes), multi_label=pred.multi_label)
    metrics.update(torch.from_numpy(pred.probabilities), torch.from_numpy(pred.targets))
    for name, value in metrics.compute().items():
        assert report.metrics[name].value == pytest.approx(value.item(), abs=1e-5), name


def test_accuracy_has_wilsons_interval(pred, report):
    score = report.metrics["accuracy"]
    right, n, z = pred.right.sum(), len(pred), 1.959963984540054
    centre = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(right * (n - right) / n + z * z / 4)
    assert (score.low, score.high) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert wilson(5, 5)[1] == 1
    assert wilson(5, 5)[0] < 0.7


def test_bootstrap_equals_scipys(pred, report):
    """scipy draws other samples, so the bounds agree within the noise of 2,000 draws."""
    losses = scores.log_losses(pred)
    theirs = scipy_bootstrap((losses,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    ours = report.metrics["log_loss"]
    assert abs(ours.low - theirs.confidence_interval.low) < 0.1 * width
    assert abs(ours.high - theirs.confidence_interval.high) < 0.1 * width


@pytest.mark.parametrize("kind", ["pred", "weaker", "many"])
def test_scores_of_a_resample_equal_scikit_learns(kind, request):
    """The fast figures inside the bootstrap, against scikit-learn on the very samples drawn."""
    pred = request.getfixturevalue(kind)
    drawn = np.random.default_rng(0).integers(0, len(pred), len(pred) // 3)  # few: some class may be gone
    if not pred.multi_label:
        drawn = drawn[pred.targets[drawn] != 4]
    counts = np.bincount(drawn, minlength=len(pred))
    part = Predictions([str(i) for i in drawn], pred.targets[drawn], pred.probabilities[drawn], pred.classes)
    values = scores.resampled(pred)(counts)
    whole = scores.several_labels(part) if pred.multi_label else scores.one_label(part)
    for name in ("f1", "balanced_accuracy"):
        if name in values:
            assert values[name] == pytest.approx(whole[name], abs=1e-12), name
    for name in ("log_loss", "brier"):
        assert values[name] * len(pred) / len(drawn) == pytest.approx(whole[name], rel=1e-9), name


def test_intervals_hold_the_value_and_repeat(pred, report):
    for name, score in report.metrics.items():
        if name == "calibration_error":
            assert score.low is None
        else:
            assert score.low < score.value <= score.high, name
    again, other = evaluate_predictions(pred), evaluate_predictions(pred, seed=1)
    assert again.to_json() == report.to_json()
    assert other.metrics["f1"].low != report.metrics["f1"].low
    assert other.metrics["f1"].value == report.metrics["f1"].value


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    """Of 200 samples of 100 tosses with p = 0.7, about 95 % of the intervals hold 0.7 (4 standard errors: 6 %)."""
    tosses = np.random.default_rng(0).random((200, 100)) < 0.7
    inside = 0
    for row in tosses.astype(float):
        low, high = bootstrap(lambda counts, row=row: {"p": counts @ row / 100}, 100, num_resamples=400)["p"]
        inside += low <= 0.7 <= high
    assert 0.88 < inside / 200 < 0.99


def test_worst_errors_are_the_surest_wrong_ones(pred, report):
    wrong = np.flatnonzero(pred.predicted != pred.targets)
    order = wrong[np.argsort(-pred.probabilities[wrong].max(axis=1), kind="stable")]
    assert [mistake.id for mistake in report.worst] == [pred.ids[i] for i in order[:25]]
    first = report.worst[0]
    assert (first.target, first.predicted) == (str(pred.targets[order[0]]), str(pred.predicted[order[0]]))
    assert first.confidence == pytest.approx(pred.probabilities[order[0]].max())


def test_worst_error_of_several_labels_names_the_label():
    pred = Predictions("ab", [[1, 0], [1, 1]], [[0.9, 0.8], [0.02, 0.9]], ["cat", "dog"])
    missed, invented = evaluate_predictions(pred, num_resamples=2).worst
    assert (missed.id, missed.target, missed.predicted) == ("b", "cat", "not cat")
    assert missed.confidence == pytest.approx(0.98)
    assert (invented.id, invented.target, invented.predicted) == ("a", "not dog", "dog")


def test_reliability_holds_every_sample(pred, report):
    assert sum(b.count for b in report.reliability) == len(pred)
    filled = [b for b in report.reliability if b.count]
    assert all(b.low - 1e-6 <= b.confidence <= b.high + 1e-6 for b in filled)
    gap = sum(b.count * abs(b.confidence - b.accuracy) for b in filled) / len(pred)
    assert report.metrics["calibration_error"].value == pytest.approx(gap)


def test_classes_that_never_occur_are_no_error():
    pred = Predictions("abc", [0, 0, 1], [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]], ["x", "y", "z"])
    report = evaluate_predictions(pred, num_resamples=20)
    plain = json.loads(report.to_json())
    assert plain["per_class"][2] == {"name": "z", "precision": None, "recall": None, "f1": None, "support": 0}
    assert report.metrics["balanced_accuracy"].value == pytest.approx(0.75)
    assert report.confusion.shape == (3, 3)


def test_all_right_and_one_sample():
    report = evaluate_predictions(Predictions("a", [1], [[0.0, 1.0]], ["x", "y"]), num_resamples=20)
    assert report.metrics["accuracy"].value == 1
    assert report.metrics["log_loss"].value == pytest.approx(0)
    assert report.worst == []
    with pytest.raises(DataError, match="no samples"):
        evaluate_predictions(Predictions([], np.zeros(0), np.zeros((0, 2)), ["x", "y"]))
