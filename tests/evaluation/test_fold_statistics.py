"""The arithmetic of folds, against scikit-learn, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import evaluate
from scirs_neural.evaluation.fold_statistics import FoldStatistics, over_folds
from scirs_neural.evaluation.predictions import MetricTraits
from scirs_neural.tasks.classification.predictions import ClassPredictions


def thirds(pred):
    places = np.arange(len(pred))
    return [pred.select(places[places % 3 == part]) for part in range(3)]


def test_mean_deviation_and_interval_are_those_of_nadeau_and_bengio():
    values, folds = [0.91, 0.95, 0.93, 0.97, 0.94], 5
    found = FoldStatistics.of(values, folds)
    assert (found.mean, found.std) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    corrected = np.sqrt(np.var(values, ddof=1) * (1 / 5 + (1 / 5) / (4 / 5)))  # n_test / n_train of 5 folds
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=corrected)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_intervals_of_fractions_stay_within_0_and_1():
    """Case R11: three folds of 0.7, 0.8 and 0.95 gave "55 % to 107 %"."""
    wide = FoldStatistics.of([0.7, 0.8, 0.95], 3)
    assert wide.high > 1
    found = FoldStatistics.of([0.7, 0.8, 0.95], 3, MetricTraits("max", 0, 1))
    assert (found.low, found.high) == (wide.low, 1)


def test_pooled_folds_are_the_whole_in_the_folds_order(pred):
    whole = ClassPredictions.concat(thirds(pred))
    assert sorted(whole.ids) == sorted(pred.ids)
    place = {sample: i for i, sample in enumerate(pred.ids)}
    order = [place[sample] for sample in whole.ids]
    assert np.array_equal(whole.columns["probabilities"], pred.columns["probabilities"][order])
    assert whole.score()["accuracy"] == sk.accuracy_score(pred.target, pred.predicted)


def test_a_sample_that_two_folds_tested_is_an_error(pred):
    first, second, _ = thirds(pred)
    with pytest.raises(DataError, match="120 samples are named twice"):
        ClassPredictions.concat([first, second, first])


def test_the_answer_of_several_networks_is_the_mean_of_their_probabilities(pred, weaker):
    order = [list(pred.ids).index(sample) for sample in weaker.ids]
    both = ClassPredictions.average([pred.select(order), weaker])
    mean = (pred.columns["probabilities"][order].astype(float) + weaker.columns["probabilities"]) / 2
    np.testing.assert_allclose(both.columns["probabilities"], mean, atol=1e-7)
    assert np.array_equal(both.target, weaker.target)
    with pytest.raises(DataError, match="different samples"):
        ClassPredictions.average([pred, pred.select(np.arange(5))])


def test_statistics_hold_every_metric(pred):
    found = over_folds([part.score() for part in thirds(pred)], 3, pred.traits_of(pred.header))
    assert list(found) == list(pred.score())
    each = [sk.f1_score(part.target, part.predicted, average="macro") for part in thirds(pred)]
    assert found["f1"].values == pytest.approx(each)


@pytest.mark.feature(89)
def test_slices_are_scikit_learns_figures_of_their_samples(pred):
    writer = ["left" if i % 3 else "right" for i in range(len(pred))]
    found = evaluate(pred, slices={"hand": writer}).slices
    assert [(part.column, part.value) for part in found] == [("hand", "left"), ("hand", "right")]
    for part in found:
        chosen = np.array([hand == part.value for hand in writer])
        targets, predicted = pred.target[chosen], pred.predicted[chosen]
        assert part.samples == chosen.sum()
        accuracy = part.metrics["accuracy"]
        assert accuracy.value == sk.accuracy_score(targets, predicted)
        assert part.metrics["f1"].value == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
        p = pred.columns["probabilities"][chosen].astype(float)
        loss = sk.log_loss(targets, p / p.sum(axis=1, keepdims=True), labels=np.arange(10))
        assert part.metrics["log_loss"].value == pytest.approx(loss)
        bounds = stats.binomtest(int((targets == predicted).sum()), int(chosen.sum())).proportion_ci(method="wilson")
        assert (accuracy.low, accuracy.high) == (pytest.approx(bounds.low), pytest.approx(bounds.high))


def test_slices_of_several_labels_have_ranks_and_an_interval(many):
    found = evaluate(many, slices={"half": ["a"] * 180 + ["b"] * 180}).slices
    first, target = slice(0, 180), many.target
    chosen = (many.columns["probabilities"] > 0.5).astype(int)
    assert found[0].metrics["f1"].value == pytest.approx(sk.f1_score(target[first], chosen[first], average="macro"))
    assert found[0].metrics["average_precision"].value == pytest.approx(
        sk.average_precision_score(target[first], many.columns["probabilities"][first])
    )
    assert found[0].metrics["f1"].low < found[0].metrics["f1"].value < found[0].metrics["f1"].high


def test_very_many_slices_take_one_pass(pred):
    """Case P14: a level was selected and scored by itself."""
    index = np.tile(np.arange(len(pred)), 20)
    large = ClassPredictions(range(len(index)), {k: v[index] for k, v in pred.columns.items()}, pred.header)
    levels = [str(i % 1500) for i in range(len(index))]
    calls = []
    scorer = large.scorer()
    finish, scorer.finish = scorer.finish, lambda **sums: calls.append(len(sums["n"])) or finish(**sums)
    found = scorer.of_each_group(np.arange(len(index)) % 1500, 1500)
    assert sum(calls) == 1500
    assert len(calls) < 5
    parts = evaluate(large, slices={"level": levels}, num_resamples=10).slices
    assert [part.value for part in parts] == sorted(set(levels))
    assert parts[0].metrics["accuracy"].value == found["accuracy"][0]
    with pytest.raises(DataError, match="3 values for"):
        evaluate(pred, slices={"level": ["a", "b", "c"]})


def test_a_metric_that_a_fold_lacks_has_no_mean():
    found = over_folds([{"a": 0.5, "b": 1.0}, {"a": 0.7}], 2, {})
    assert list(found) == ["a"]
    assert found["a"].mean == pytest.approx(0.6)
