"""Paired comparison: hand cases, references of scipy, refusals, and any kind of predictions."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import compare_predictions
from scirs_neural.evaluation.comparison import MCNEMAR, PERMUTATION, sign_test
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

from .conftest import real_runs


def shuffled(pred, seed=0):
    return pred.select(np.random.default_rng(seed).permutation(len(pred)))


def changed(pred, ids=None, header=None, **columns):
    return type(pred)(ids or pred.ids, {**pred.columns, **columns}, header or pred.header)


@pytest.fixture(scope="module")
def pair(pred, weaker):
    return compare_predictions({"weak": weaker, "good": pred}).pairs[0]


def test_difference_and_mcnemar(pair, pred, weaker):
    only_weak = int((weaker.right & ~pred.right).sum())
    only_good = int((pred.right & ~weaker.right).sum())
    n = only_weak + only_good
    assert (pair.only_a, pair.only_b, pair.test) == (only_weak, only_good, MCNEMAR)
    assert 0 < only_weak < only_good
    assert pair.difference == pytest.approx(pred.right.mean() - weaker.right.mean())
    exact = min(1.0, 2 * sum(comb(n, k) for k in range(only_weak + 1)) / 2**n)
    assert pair.p_value == pytest.approx(exact, rel=1e-9)
    assert pair.verdict() == "good is better"


@pytest.mark.parametrize(("few", "many"), [(0, 0), (0, 1), (3, 3), (1, 9), (40, 60), (4000, 4300), (0, 2000)])
def test_the_sign_test_is_scipys(few, many):
    expected = stats.binomtest(few, few + many).pvalue if few + many else 1.0
    assert sign_test(few, many) == pytest.approx(expected, rel=1e-7)
    assert sign_test(many, few) == sign_test(few, many)


def test_interval_equals_scipys_paired_bootstrap(pair, pred, weaker):
    theirs = stats.bootstrap(
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
    by_loss = [compare_predictions({"a": weaker, "b": b}, metric="log_loss").pairs[0] for b in (pred, shuffled(pred))]
    assert by_loss[0].low == pytest.approx(by_loss[1].low)
    assert by_loss[0].p_value == by_loss[1].p_value


def test_a_run_against_itself(pred):
    same = compare_predictions({"a": pred, "b": shuffled(pred)}).pairs[0]
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert same.verdict() == "no clear difference"
    assert compare_predictions({"a": pred, "b": shuffled(pred)}, metric="f1").pairs[0].p_value == 1


def test_three_runs_give_three_corrected_pairs(pred, weaker):
    pairs = compare_predictions({"a": pred, "b": weaker, "c": shuffled(pred)}).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[0].p_holm == pytest.approx(3 * pairs[0].p_value)
    assert pairs[1].p_holm == 1


def test_the_permutation_test_is_scipys(pred, weaker):
    """Of a mean over samples, both swap the two runs' values of whole samples."""
    order = np.argsort([weaker.ids.index(name) for name in pred.ids])
    few = order[:40]
    a, b = weaker.select(few), pred.select([list(pred.ids).index(weaker.ids[i]) for i in few])
    pair = compare_predictions({"a": a, "b": b}, metric="log_loss").pairs[0]
    theirs = stats.permutation_test(
        (b.log_losses, a.log_losses), lambda x, y, axis=-1: (x - y).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert pair.test == PERMUTATION
    assert pair.p_value == pytest.approx(theirs.pvalue, abs=0.02)
    assert pair.difference == pytest.approx(theirs.statistic)


def test_p_values_of_equals_are_uniform():
    """Two runs that differ by noise alone: about a twentieth of the p-values lies below 0.05."""
    rng, found = np.random.default_rng(0), []
    for _ in range(120):
        target = rng.normal(size=(30, 1))
        a, b = (
            NumberPredictions(
                range(30), {"numbers": target + rng.normal(size=(30, 1)), "target": target}, {"names": ["y"]}
            )
            for _ in "ab"
        )
        found.append(compare_predictions({"a": a, "b": b}, num_resamples=200).pairs[0].p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_numbers_are_compared_by_any_of_their_metrics():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(200, 1))
    header = {"names": ["y"]}
    good, bad = (
        NumberPredictions(range(200), {"numbers": target + s * rng.normal(size=(200, 1)), "target": target}, header)
        for s in (0.5, 1.0)
    )
    by_r2 = compare_predictions({"bad": bad, "good": good})
    by_mae = compare_predictions({"bad": bad, "good": good}, metric="mae")
    assert (by_r2.metric, by_r2.pairs[0].better, by_mae.pairs[0].better) == ("r2", "max", "min")
    assert by_r2.pairs[0].verdict() == by_mae.pairs[0].verdict() == "good is better"
    y = target[:, 0]
    expected = sk.r2_score(y, good.numbers[:, 0]) - sk.r2_score(y, bad.numbers[:, 0])
    assert by_r2.pairs[0].difference == pytest.approx(expected)
    assert by_mae.pairs[0].high < 0
    with pytest.raises(DataError, match="no metric 'accuracy'"):
        compare_predictions({"bad": bad, "good": good}, metric="accuracy")


def test_labels_are_compared_by_all_labels_right_or_by_ranks(many):
    worse = changed(many, probabilities=1 - many.columns["probabilities"])
    pair = compare_predictions({"a": worse, "b": many}, metric="exact_match").pairs[0]
    assert pair.difference == pytest.approx(many.right.mean() - worse.right.mean())
    assert pair.test == MCNEMAR
    ranks = compare_predictions({"a": worse, "b": many}, metric="average_precision").pairs[0]
    assert ranks.test == PERMUTATION
    assert ranks.low < ranks.difference < ranks.high
    assert ranks.p_value < 0.01


def test_samples_of_one_unit_are_drawn_and_swapped_together(pred, weaker):
    """Each sample ten times, under one unit: as sure as of the samples alone, not as of ten times as many."""
    index = np.repeat(np.arange(120), 10)
    ids = [f"{i}/{k}" for i in range(120) for k in range(10)]
    order = [list(pred.ids).index(name) for name in weaker.ids]
    parts = {}
    for name, one in (("a", weaker), ("b", pred.select(order))):
        part = one.select(np.arange(120)).columns
        columns = {k: v[index] for k, v in part.items()}
        parts[name] = ClassPredictions(ids, columns, one.header, [f"u{i}" for i in index])
    single = {name: one.select(np.arange(120)) for name, one in (("a", weaker), ("b", pred.select(order)))}
    many, few = (compare_predictions(runs, metric="log_loss").pairs[0] for runs in (parts, single))
    assert many.difference == pytest.approx(few.difference)
    assert (many.low, many.high, many.p_value) == pytest.approx((few.low, few.high, few.p_value))
    assert compare_predictions(parts).pairs[0].test == PERMUTATION  # McNemar's would count each sample ten times


def test_different_test_sets_are_refused(pred, many):
    part = pred.select(np.arange(len(pred) - 3))
    with pytest.raises(DataError, match=f"{len(part)} in common, 3 only in the first, 0 only in the second"):
        compare_predictions({"a": pred, "b": part})
    renamed = changed(pred, header={"classes": [f"digit {c}" for c in pred.classes]})
    with pytest.raises(DataError, match="different classes"):
        compare_predictions({"a": pred, "b": renamed})
    with pytest.raises(DataError, match="not the same truth"):
        compare_predictions({"a": pred, "b": changed(pred, target=(pred.target + 1) % 10)})
    with pytest.raises(DataError, match="not the same weights"):
        compare_predictions({"a": pred, "b": changed(pred, weight=np.ones(len(pred)))})
    with pytest.raises(DataError, match="different things: class, and labels"):
        compare_predictions({"a": pred, "b": many})
    with pytest.raises(DataError, match="at least two"):
        compare_predictions({"a": pred})
    nobody = real_runs.predictions([], np.zeros(0, int), np.zeros((0, 2)), "ab")
    with pytest.raises(DataError, match="no samples"):
        compare_predictions({"a": nobody, "b": nobody})


def test_samples_that_a_file_names_twice_are_refused(pred, tmp_path):
    from scirs_neural.evaluation.columns import Texts

    twice = changed(pred, ids=Texts.of(["same"] * len(pred)))
    twice.save(tmp_path / "a")
    with pytest.raises(DataError, match="twice"):
        compare_predictions({"a": type(pred).load(tmp_path / "a"), "b": twice})
