"""The arithmetic of folds, against scikit-learn, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import Predictions
from scirs_neural.evaluation.fold_statistics import ensemble, figures, pooled, spread, spreads
from scirs_neural.evaluation.report import evaluate_predictions


def halves(pred):
    places = np.arange(len(pred))
    return [pred.chosen(places[places % 3 == part]) for part in range(3)]


def test_mean_deviation_and_interval_are_those_of_nadeau_and_bengio():
    values, folds = [0.91, 0.95, 0.93, 0.97, 0.94], 5
    found = spread(values, folds)
    assert (found.mean, found.std) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    corrected = np.sqrt(np.var(values, ddof=1) * (1 / 5 + (1 / 5) / (4 / 5)))  # n_test / n_train of 5 folds
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=corrected)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_pooled_folds_are_the_whole_in_the_folds_order(pred):
    whole = pooled(halves(pred))
    assert sorted(whole.ids) == sorted(pred.ids)
    place = {sample: i for i, sample in enumerate(pred.ids)}
    order = [place[sample] for sample in whole.ids]
    assert np.array_equal(whole.probabilities, pred.probabilities[order])
    assert figures(whole)["accuracy"] == sk.accuracy_score(pred.targets, pred.predicted)


def test_a_sample_that_two_folds_tested_is_an_error(pred):
    first, second, _ = halves(pred)
    with pytest.raises(DataError, match="120 samples were tested by two folds"):
        pooled([first, second, first])


def test_the_ensemble_is_the_mean_of_the_probabilities(pred, weaker):
    order = [pred.ids.index(sample) for sample in weaker.ids]
    both = ensemble([pred.chosen(np.array(order)), weaker])
    mean = (pred.probabilities[order].astype(float) + weaker.probabilities) / 2
    np.testing.assert_allclose(both.probabilities, mean, atol=1e-7)
    with pytest.raises(DataError, match="different samples"):
        ensemble([pred, pred.chosen(np.arange(5))])


def test_spreads_hold_every_figure(pred):
    found = spreads([figures(part) for part in halves(pred)], 3)
    assert list(found) == list(figures(pred))
    each = [sk.f1_score(part.targets, part.predicted, average="macro") for part in halves(pred)]
    assert found["f1"].values == pytest.approx(each)


@pytest.mark.feature(89)
def test_slices_are_scikit_learns_figures_of_their_samples(pred):
    writer = ["left" if i % 3 else "right" for i in range(len(pred))]
    found = evaluate_predictions(pred, slices={"hand": writer}).slices
    assert [(part.column, part.value) for part in found] == [("hand", "left"), ("hand", "right")]
    for part in found:
        chosen = np.array([hand == part.value for hand in writer])
        targets, predicted = pred.targets[chosen], pred.predicted[chosen]
        assert part.samples == chosen.sum()
        assert part.right == sk.accuracy_score(targets, predicted)
        assert part.metrics["accuracy"] == part.right
        assert part.metrics["f1"] == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
        p = pred.probabilities[chosen].astype(float)
        loss = sk.log_loss(targets, p / p.sum(axis=1, keepdims=True), labels=np.arange(10))
        assert part.metrics["log_loss"] == pytest.approx(loss)
        bounds = stats.binomtest(int((targets == predicted).sum()), int(chosen.sum())).proportion_ci(method="wilson")
        assert (part.low, part.high) == (pytest.approx(bounds.low), pytest.approx(bounds.high))


def test_slices_of_several_labels_count_wholly_right_samples(many):
    found = evaluate_predictions(many, slices={"half": ["a"] * 180 + ["b"] * 180}).slices
    assert [part.right for part in found] == [many.right[:180].mean(), many.right[180:].mean()]
    assert isinstance(found[0].metrics["average_precision"], float)


def test_predictions_of_some_samples():
    pred = Predictions("abc", [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["cat", "dog"])
    part = pred.chosen(np.array([2, 0]))
    assert (part.ids, part.targets.tolist(), part.right.tolist()) == (("c", "a"), [1, 0], [False, True])
