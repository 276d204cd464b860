"""Paired comparison: hand cases, statsmodels-style references, and refusals."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import bootstrap

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import Predictions, compare_predictions


def shuffled(pred, seed=0):
    order = np.random.default_rng(seed).permutation(len(pred))
    return Predictions([pred.ids[i] for i in order], pred.targets[order], pred.probabilities[order], pred.classes)


@pytest.fixture(scope="module")
def pair(pred, weaker):
    return compare_predictions({"weak": weaker, "good": pred}).pairs[0]


def test_difference_and_mcnemar(pair, pred, weaker):
    only_weak = int((weaker.right & ~pred.right).sum())
    only_good = int((pred.right & ~weaker.right).sum())
    n = only_weak + only_good
    assert (pair.only_a, pair.only_b) == (only_weak, only_good)
    assert 0 < only_weak < only_good
    assert pair.difference == pytest.approx(pred.right.mean() - weaker.right.mean())
    exact = min(1.0, 2 * sum(comb(n, k) for k in range(only_weak + 1)) / 2**n)
    assert pair.p_value == pytest.approx(exact, rel=1e-9)
    assert pair.verdict() == "good is better"


def test_interval_equals_scipys_paired_bootstrap(pair, pred, weaker):
    theirs = bootstrap(
        (pred.right.astype(float), weaker.right.astype(float)),
        lambda a, b, axis=-1: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert abs(pair.low - theirs.low) < 0.15 * (theirs.high - theirs.low)
    assert abs(pair.high - theirs.high) < 0.15 * (theirs.high - theirs.low)
    assert pair.low < pair.difference < pair.high


def test_the_order_of_the_samples_does_not_matter(pred, weaker, pair):
    again = compare_predictions({"weak": weaker, "good": shuffled(pred)}).pairs[0]
    assert again == pair


def test_a_run_against_itself(pred):
    same = compare_predictions({"a": pred, "b": shuffled(pred)}).pairs[0]
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert same.verdict() == "no clear difference"


def test_three_runs_give_three_corrected_pairs(pred, weaker):
    pairs = compare_predictions({"a": pred, "b": weaker, "c": shuffled(pred)}).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[0].p_holm == pytest.approx(3 * pairs[0].p_value)
    assert pairs[1].p_holm == 1


def test_several_labels_must_all_be_right(many):
    worse = Predictions(many.ids, many.targets, 1 - many.probabilities, many.classes)
    pair = compare_predictions({"a": worse, "b": many}).pairs[0]
    assert pair.difference == pytest.approx(many.right.mean() - worse.right.mean())


def test_different_test_sets_are_refused(pred):
    part = Predictions(pred.ids[:-3], pred.targets[:-3], pred.probabilities[:-3], pred.classes)
    with pytest.raises(DataError, match=f"{len(part)} in common, 3 only in the first, 0 only in the second"):
        compare_predictions({"a": pred, "b": part})
    renamed = Predictions(pred.ids, pred.targets, pred.probabilities, [f"digit {c}" for c in pred.classes])
    with pytest.raises(DataError, match="different classes"):
        compare_predictions({"a": pred, "b": renamed})
    relabelled = Predictions(pred.ids, (pred.targets + 1) % 10, pred.probabilities, pred.classes)
    with pytest.raises(DataError, match="not the same true classes"):
        compare_predictions({"a": pred, "b": relabelled})
    twice = Predictions(["same"] * len(pred), pred.targets, pred.probabilities, pred.classes)
    with pytest.raises(DataError, match="twice"):
        compare_predictions({"a": twice, "b": twice})
    with pytest.raises(DataError, match="at least two"):
        compare_predictions({"a": pred})
