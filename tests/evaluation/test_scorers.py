"""A scorer is a function of how much each sample counts: equal to scikit-learn's figures of repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.scorers import Additive, ByClass, additive
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.multi_label.predictions import LabelPredictions
from scirs_neural.tasks.multi_task.predictions import ManyPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

N, K = 240, 7
IDS = [f"s{i}" for i in range(N)]
CLASSES = list("abcdefg")


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def classes(rng):
    """Class 3 never occurs, but is predicted; 10 targets are not known."""
    p = rng.dirichlet(np.ones(K), N).astype(np.float32)
    target = np.where(rng.random(N) < 0.5, p.argmax(1), rng.integers(0, K, N))
    target[target == 3] = 2
    target[:10] = -100
    return ClassPredictions(IDS, {"probabilities": p, "target": target}, {"classes": CLASSES})


@pytest.fixture(scope="module")
def labels(rng):
    target = (rng.random((N, 4)) < 0.3).astype(int)
    p = np.clip(0.3 * target + 0.7 * rng.random((N, 4)).round(2), 0, 1)  # rounded: there are ties
    return LabelPredictions(IDS, {"probabilities": p, "target": target}, {"classes": list("abcd")})


@pytest.fixture(scope="module")
def numbers(rng):
    """Numbers that differ little beside their size."""
    target = rng.normal(1e5, 4, (N, 2))
    return NumberPredictions(
        IDS, {"numbers": target + rng.normal(0, 2, (N, 2)), "target": target}, {"names": ["x", "y"]}
    )


@pytest.fixture(scope="module")
def both(classes, numbers):
    columns = {f"a.{k}": v for k, v in classes.columns.items()} | {f"b.{k}": v for k, v in numbers.columns.items()}
    parts = {"a": ("class", classes.header), "b": ("numbers", numbers.header)}
    header = {"targets": {name: {"kind": kind, "header": held} for name, (kind, held) in parts.items()}}
    return ManyPredictions(IDS, columns, header)


def of_classes(y, p):
    p = p.astype(float) / p.sum(axis=1, keepdims=True, dtype=float)
    top, every = p.argmax(1), np.arange(K)
    recalls = sk.recall_score(y, top, labels=np.unique(y), average=None)
    return {
        "accuracy": sk.accuracy_score(y, top),
        "balanced_accuracy": recalls.mean(),
        "f1": sk.f1_score(y, top, average="macro"),
        "top5_accuracy": sk.top_k_accuracy_score(y, p, k=5, labels=every),
        "log_loss": sk.log_loss(y, p, labels=every),
        "brier": ((p - np.eye(K)[y]) ** 2).sum(axis=1).mean(),
    }


def of_labels(y, p):
    said = (p > 0.5).astype(int)
    return {
        "f1": sk.f1_score(y, said, average="macro"),
        "accuracy": 1 - sk.hamming_loss(y, said),
        "exact_match": sk.accuracy_score(y, said),
        "average_precision": sk.average_precision_score(y, p),
        "log_loss": np.mean([sk.log_loss(y[:, k], p[:, k]) for k in range(y.shape[1])]),
        "brier": np.mean([sk.brier_score_loss(y[:, k], p[:, k]) for k in range(y.shape[1])]),
    }


def of_numbers(y, z):
    return {
        "r2": sk.r2_score(y, z), "mae": sk.mean_absolute_error(y, z), "rmse": sk.mean_squared_error(y, z) ** 0.5,
    }  # fmt: skip


CASES = [
    ("classes", "probabilities", of_classes),
    ("labels", "probabilities", of_labels),
    ("numbers", "numbers", of_numbers),
]


@pytest.mark.parametrize(("name", "column", "reference"), CASES, ids=[case[0] for case in CASES])
def test_weights_are_multiplicities(name, column, reference, request):
    pred = request.getfixturevalue(name)
    counts = np.random.default_rng(1).integers(0, 4, (3, N))
    counts[:, :10] = 0
    found = pred.score(counts)
    for r, row in enumerate(counts):
        repeated = np.repeat(np.arange(N), row)
        for metric, value in reference(pred.columns["target"][repeated], pred.columns[column][repeated]).items():
            assert found[metric][r] == pytest.approx(value, abs=1e-6), metric
    assert set(found) == set(pred.metrics_of(pred.header))


@pytest.mark.parametrize(("name", "column", "reference"), CASES, ids=[case[0] for case in CASES])
def test_a_column_of_weights_multiplies(name, column, reference, request):
    pred = request.getfixturevalue(name)
    weight = np.random.default_rng(2).integers(0, 4, N).astype(float)
    weight[:10] = 0
    weighted = type(pred)(IDS, {**pred.columns, "weight": weight}, pred.header)
    repeated = np.repeat(np.arange(N), weight.astype(int))
    found = weighted.score()
    for metric, value in reference(pred.columns["target"][repeated], pred.columns[column][repeated]).items():
        assert found[metric] == pytest.approx(value, abs=1e-6), metric
    assert type(pred)(IDS, {**pred.columns, "weight": np.full(N, 0.25)}, pred.header).score() == pytest.approx(
        pred.score()
    )


@pytest.mark.parametrize("name", ["classes", "labels", "numbers", "both"])
def test_groups_of_samples_score_as_their_members_do(name, request):
    from scirs_neural.evaluation.scorers import leaves

    pred = request.getfixturevalue(name)
    codes, groups = np.arange(N) % 11, 11
    members = (codes == np.arange(groups)[:, None]).astype(float)
    for _, scorer in leaves(pred.scorer()):
        if not isinstance(scorer, Additive):
            continue
        expected, drawn = scorer(members), np.random.default_rng(0).integers(0, 3, (5, groups))
        grouped = scorer.grouped(codes, groups)
        for metric in expected:
            np.testing.assert_allclose(scorer.of_each_group(codes, groups)[metric], expected[metric])
            np.testing.assert_allclose(grouped(np.eye(groups))[metric], expected[metric])
            np.testing.assert_allclose(grouped(drawn)[metric], scorer(drawn[:, codes])[metric])


def test_two_sets_score_as_one(classes, numbers):
    for pred in (classes, numbers):
        scorer = pred.scorer().grouped(np.arange(N) % 9, 9)
        twice = scorer.joined(scorer)
        drawn = np.random.default_rng(0).integers(0, 3, (4, 18))
        for metric, values in scorer(drawn[:, :9] + drawn[:, 9:]).items():
            np.testing.assert_allclose(twice(drawn)[metric], values)


def test_very_many_classes_stay_sparse():
    target = np.arange(5000) * 4
    table = ByClass.of(target, np.ones(5000), 20_000)
    grouped = table.grouped(np.arange(5000) % 100, 100, None)
    assert isinstance(grouped, ByClass)
    assert len(grouped.rows) == 5000
    assert grouped.sums(np.ones((1, 100))).sum() == 5000
    dense = ByClass.of(target % 4, np.ones(5000), 4).grouped(np.arange(5000) % 100, 100, None)
    assert dense.shape == (100, 4)
    both = additive({"x": grouped}, lambda x: {"n": x.sum(axis=1)}).joined(additive({"x": grouped}, lambda x: {}))
    assert both(np.ones((1, 200)))["n"].tolist() == [10_000]


def test_areas_are_scikit_learns(classes, labels):
    y, p = labels.columns["target"], labels.columns["probabilities"]
    counts = np.random.default_rng(1).integers(0, 4, N)
    repeated = np.repeat(np.arange(N), counts)
    found = labels.further("auroc")(counts[None].astype(float))["auroc"]
    assert found == pytest.approx(sk.roc_auc_score(y[repeated], p[repeated]))
    y, p = classes.columns["target"][10:], classes.columns["probabilities"][10:]
    one = [sk.roc_auc_score(y == k, p[:, k]) for k in range(K) if k != 3]  # of class 3 there is none
    assert classes.further("auroc")(np.ones((1, N)))["auroc"] == pytest.approx(np.mean(one))


def test_a_label_without_positives_counts_in_no_mean(labels):
    """Case R10: the mean is over the labels for which the metric is defined, and that is said."""
    target = np.array(labels.columns["target"])
    target[:, 2] = 0
    pred = LabelPredictions(IDS, {**labels.columns, "target": target}, labels.header)
    kept = [0, 1, 3]
    p = labels.columns["probabilities"]
    score = pred.score()
    assert score["average_precision"] == pytest.approx(sk.average_precision_score(target[:, kept], p[:, kept]))
    assert pred.notes() == ["average_precision is the mean over 3 of 4 labels: no sample has c"]
    f1 = sk.f1_score(target, (p > 0.5).astype(int), average=None, zero_division=np.nan)
    assert score["f1"] == pytest.approx(np.nanmean(f1))  # it is predicted, so its F1 is 0
    assert labels.notes() == []


def test_thresholds_are_those_of_the_header(labels):
    p = labels.columns["probabilities"]
    header = {**labels.header, "answer": {"threshold": [0.2, 0.5, 0.7, 0.5]}}
    pred = LabelPredictions(IDS, labels.columns, header)
    said = (p > np.array([0.2, 0.5, 0.7, 0.5])).astype(int)
    assert pred.score()["f1"] == pytest.approx(sk.f1_score(labels.columns["target"], said, average="macro"))
    with pytest.raises(DataError, match="3 thresholds for 4 labels"):
        LabelPredictions(IDS, labels.columns, {**labels.header, "answer": {"threshold": [0.5] * 3}})


@pytest.mark.parametrize("size", [1e5, 1e9])
def test_r2_of_large_numbers_that_differ_little(size):
    """Case R9: statistics in float64, around the targets' mean."""
    rng = np.random.default_rng(0)
    small = rng.normal(0, 4, (500, 1))
    numbers = small + rng.normal(0, 1, small.shape)
    shifted = NumberPredictions(range(500), {"numbers": numbers + size, "target": small + size}, {"names": ["y"]})
    assert shifted.score()["r2"] == pytest.approx(sk.r2_score(small, numbers), abs=1e-6)


def test_what_is_not_defined_is_nan():
    flat = NumberPredictions("ab", {"numbers": [[1.0], [2.0]], "target": [[3.0], [3.0]]}, {"names": ["y"]})
    assert np.isnan(flat.score()["r2"])
    assert flat.notes() == ["r2 is not defined where all targets are equal: y"]
    unknown = ClassPredictions("a", {"probabilities": [[1.0, 0]], "target": [-100]}, {"classes": ["x", "y"]})
    assert np.isnan(list(unknown.score().values())).all()
    half = NumberPredictions("abc", {"numbers": [[1.0], [2], [9]], "target": [[1.5], [2], [np.nan]]}, {"names": ["y"]})
    assert half.score()["mae"] == 0.25


def test_several_targets_are_each_scored_by_their_kind(both, classes, numbers):
    expected = {f"a/{k}": v for k, v in classes.score().items()} | {f"b/{k}": v for k, v in numbers.score().items()}
    assert both.score() == pytest.approx(expected)
    assert both.main_metric_of(both.header) == "a/accuracy"
    assert both.traits_of(both.header)["b/mae"].better == "min"
    assert both.columns_of("truth") == ("a.target", "b.target")
    assert both.further("a/auroc")(np.ones((1, N)))["a/auroc"] == classes.further("auroc")(np.ones((1, N)))["auroc"]
    with pytest.raises(DataError, match="target/metric"):
        both.further("auroc")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"probabilities": np.ones((2, 2)) / 2, "target": [0, 1, 0]}, "'target' has 3 entries, but there are 2"),
        ({"probabilities": np.ones((2, 3)) / 3, "target": [0, 1]}, r"holds \(3,\) a sample, not \(2,\)"),
        ({"probabilities": np.ones((2, 2)) / 2, "target": [0, 2]}, "reach up to 2"),
        ({"probabilities": np.full((2, 2), np.nan), "target": [0, 1]}, "nan"),
        ({"probabilities": [[2.0, -1], [0, 1]], "target": [0, 1]}, "must be 0 to 1"),
        ({"target": [0, 1]}, "need a column 'probabilities'"),
        ({"probabilities": np.ones((2, 2)) / 2}, "nothing to judge them by"),
        ({"probabilities": np.ones((2, 2)) / 2, "target": [0, 1], "weight": [1.0, -1]}, "weight is negative"),
    ],
)
def test_what_does_not_fit_is_refused(columns, message):
    with pytest.raises(DataError, match=message):
        ClassPredictions(["a", "b"], columns, {"classes": ["x", "y"]}).score()
