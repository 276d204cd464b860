"""Every metric equals scikit-learn's or scipy's on real predictions; intervals cover as they should."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import additive, evaluate
from scirs_neural.evaluation.intervals import BLOCKS, as_blocks, interval, resampled, resamples, wilson
from scirs_neural.evaluation.predictions import MetricTraits
from scirs_neural.metrics.named import named_metric
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

from .conftest import real_runs

SHARE = MetricTraits("max", 0, 1)


@pytest.fixture(scope="module")
def report(pred):
    return evaluate(pred)


@pytest.mark.feature(89)
def test_one_label_equals_scikit_learn(pred, report):
    y, p = np.asarray(pred.target), pred.columns["probabilities"].astype(np.float64)
    p, top, onehot = p / p.sum(axis=1, keepdims=True), p.argmax(1), np.eye(10)[y]
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
    counts = report.details["confusion"]
    matrix = np.zeros((10, 10), dtype=int)
    matrix[counts["true"], counts["predicted"]] = counts["count"]
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(y, top))
    table = sk.classification_report(y, top, output_dict=True)
    for row in report.details["per_class"]:
        wanted = table[row.name]
        assert row.support == wanted["support"]
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (wanted["precision"], wanted["recall"], wanted["f1-score"]), abs=1e-12
        )


@pytest.mark.feature(89)
def test_several_labels_equal_scikit_learn(many):
    report = evaluate(many, num_resamples=50)
    y, p = np.asarray(many.target), np.asarray(many.columns["probabilities"], dtype=np.float64)
    chosen = (p > 0.5).astype(int)
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
    np.testing.assert_array_equal(report.details["confusion"], sk.multilabel_confusion_matrix(y, chosen))
    json.loads(report.to_json())


@pytest.mark.parametrize("kind", ["pred", "many"])
def test_the_same_name_means_the_same_as_in_torchmetrics(kind, request):
    pred = request.getfixturevalue(kind)
    report = evaluate(pred, num_resamples=2)
    names = [name for name in report.metrics if name not in ("log_loss", "brier")]
    for name in names:
        arrays, facts = pred.arguments(name)
        assert report.metrics[name].value == pytest.approx(named_metric(name, arrays, **facts), abs=1e-5), name


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (5, 5), (0, 40), (353, 360), (999_999, 1_000_000)])
def test_wilsons_interval_is_scipys_and_within_0_and_1(right, n):
    theirs = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= wilson(right, n)[0] <= right / n <= wilson(right, n)[1] <= 1


def test_accuracy_has_wilsons_interval(pred, report):
    assert (report.metrics["accuracy"].low, report.metrics["accuracy"].high) == wilson(pred.right.sum(), len(pred))


def test_bootstrap_equals_scipys(pred, report):
    """scipy draws other samples, so the bounds agree within the noise of 2,000 draws."""
    rng = np.random.default_rng(0)
    theirs = stats.bootstrap((pred.log_losses,), np.mean, n_resamples=2000, method="percentile", rng=rng)
    low, high = theirs.confidence_interval
    ours = report.metrics["log_loss"]
    assert abs(ours.low - low) < 0.1 * (high - low)
    assert abs(ours.high - high) < 0.1 * (high - low)


def test_intervals_hold_the_value_and_repeat(pred, report):
    for name, score in report.metrics.items():
        if name == "calibration_error":
            assert score.low is None
            assert "lies above it" in score.note
        else:
            assert score.low < score.value <= score.high, name
    again, other = evaluate(pred), evaluate(pred, seed=1)
    assert again.to_json() == report.to_json()
    assert other.metrics["f1"].low != report.metrics["f1"].low
    assert other.metrics["f1"].value == report.metrics["f1"].value


def test_draws_do_not_depend_on_how_many_come_at_a_time(monkeypatch):
    whole = np.concatenate(list(resamples(7, seed=3, num_resamples=50)))
    monkeypatch.setattr("scirs_neural.evaluation.intervals.CHUNK_BYTES", 16 * 7 * 3)
    parts = list(resamples(7, seed=3, num_resamples=50))
    assert len(parts) == 17
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (whole.sum(axis=1) == 7).all()


def mean_scorer(values):
    return additive({"n": np.ones(len(values)), "x": values}, lambda n, x: {"mean": x / n})


def bounds(values, seed=0, num_resamples=400, **options):
    codes, groups = as_blocks(np.arange(len(values)), len(values), seed=seed)
    drawn, _ = resampled(mean_scorer(values), codes, groups, seed=seed, num_resamples=num_resamples, **options)
    return interval(drawn["mean"], MetricTraits("max"))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    """Of 200 samples of 100 tosses with p = 0.7, about 95 % of the intervals hold 0.7 (4 standard errors: 6 %)."""
    tosses = np.random.default_rng(0).random((200, 100)) < 0.7
    inside = sum(low <= 0.7 <= high for low, high in (bounds(row) for row in tosses.astype(float)))
    assert 0.88 < inside / 200 < 0.99


def test_blocks_of_units_keep_width_and_coverage(monkeypatch):
    """Above the limit blocks are drawn. Their widths are those of single draws within 5 %, also of sorted samples."""
    monkeypatch.setattr("scirs_neural.evaluation.intervals.MAX_GROUPS", 1_000)
    monkeypatch.setattr("scirs_neural.evaluation.intervals.BLOCKS", 500)
    random, widths, inside = np.random.default_rng(0), [], 0
    for trial in range(150):
        values = np.sort(random.exponential(size=4_000))
        low, high = bounds(values, seed=trial)
        widths.append((high - low) / (2 * 1.959964 * values.std() / np.sqrt(len(values))))
        inside += low <= 1 <= high
    assert np.mean(widths) == pytest.approx(1, abs=0.05)
    assert 0.89 < inside / 150 < 0.99


def test_f1_of_blocks_is_as_sure_as_of_samples(monkeypatch):
    rng = np.random.default_rng(0)
    n = 12_000
    p = rng.dirichlet(np.ones(5), n)
    target = np.sort(np.where(rng.random(n) < 0.6, p.argmax(1), rng.integers(0, 5, n)))
    order = np.argsort(rng.permutation(n))
    pred = ClassPredictions(range(n), {"probabilities": p[order], "target": target[order]}, {"classes": list("abcde")})
    in_blocks = evaluate(pred)
    monkeypatch.setattr("scirs_neural.evaluation.intervals.MAX_GROUPS", n)
    by_sample = evaluate(pred)
    assert (in_blocks.settings["drawn"], by_sample.settings["drawn"]) == (BLOCKS, n)
    for name in ("f1", "balanced_accuracy", "log_loss", "brier"):
        width = [score.high - score.low for score in (in_blocks.metrics[name], by_sample.metrics[name])]
        assert width[0] == pytest.approx(width[1], rel=0.08), name  # each has 2 % of its own noise


def test_units_are_drawn_whole(pred):
    """Ten copies of each sample under its name say no more than the sample alone."""
    index = np.repeat(np.arange(100), 10)
    columns = {name: column[index] for name, column in pred.columns.items()}
    ids = [f"{i}/{k}" for i in range(100) for k in range(10)]
    units = [f"patient {i}" for i in index]
    one = evaluate(pred.select(np.arange(100)))
    ten = evaluate(ClassPredictions(ids, columns, pred.header, units))
    naive = evaluate(ClassPredictions(ids, columns, pred.header))
    assert (ten.samples, ten.units) == (1000, 100)
    assert (ten.metrics["f1"].low, ten.metrics["f1"].high) == pytest.approx(
        (one.metrics["f1"].low, one.metrics["f1"].high)
    )
    width = [found.metrics["accuracy"].high - found.metrics["accuracy"].low for found in (ten, one, naive)]
    assert width[0] == pytest.approx(width[1], rel=0.15)
    assert width[2] < 0.5 * width[0]


def test_intervals_of_numbers_are_scipys():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(200, 1))
    columns = {"numbers": target + rng.normal(size=(200, 1)), "target": target}
    pred = NumberPredictions(range(200), columns, {"names": ["y"]})
    ours = evaluate(pred).metrics
    y, z = pred.target[:, 0], pred.numbers[:, 0]
    theirs = stats.bootstrap((np.abs(y - z),), np.mean, n_resamples=5000, method="percentile", rng=rng)
    assert (ours["mae"].low, ours["mae"].high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    r2 = stats.bootstrap(
        (y, z), lambda a, b: sk.r2_score(a, b), paired=True, vectorized=False, n_resamples=2000, method="percentile",
        rng=rng,
    )  # fmt: skip
    assert (ours["r2"].low, ours["r2"].high) == pytest.approx(tuple(r2.confidence_interval), abs=0.03)


class Probe(np.ndarray):
    """Probabilities that count the bytes that are read of them."""

    read = 0
    largest = 0

    def __getitem__(self, key):
        found = super().__getitem__(key)
        size = getattr(found, "nbytes", 0)
        Probe.read, Probe.largest = Probe.read + size, max(Probe.largest, size)
        return np.asarray(found)


def test_probabilities_are_read_once_and_in_blocks(monkeypatch):
    """So that 10^6 samples of 1,000 classes are judged with the memory of a block."""
    monkeypatch.setattr("scirs_neural.evaluation.columns.BLOCK_BYTES", 2**16)
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(50), 4000).astype(np.float32)
    pred = ClassPredictions(range(4000), {"probabilities": p, "target": p.argmax(1)}, {"classes": range(50)})
    pred.columns["probabilities"] = p.view(Probe)
    Probe.read = Probe.largest = 0
    found = evaluate(pred, slices={"x": ["a", "b"] * 2000})
    assert found.metrics["accuracy"].value == 1
    assert Probe.read == p.nbytes
    assert Probe.largest <= 2**16


def test_memory_stays_bounded_and_weights_come_in_chunks():
    import tracemalloc

    rng = np.random.default_rng(0)
    n = 200_000
    p = rng.random((n, 4), dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    pred = ClassPredictions(range(n), {"probabilities": p, "target": rng.integers(0, 4, n)}, {"classes": list("abcd")})
    tracemalloc.start()
    evaluate(pred)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * 2**20  # 2,000 rows of weights for each sample would have 3,000 MiB


def test_many_classes_are_told_sparsely(pred):
    """Case P3: a dense confusion of 5,000 classes has 151 MB of text."""
    rng = np.random.default_rng(0)
    k, n = 3000, 600
    p = rng.random((n, k), dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    many = ClassPredictions(
        range(n), {"probabilities": p, "target": rng.integers(0, k, n)}, {"classes": list(range(k))}
    )
    found = evaluate(many, num_resamples=50)
    assert len(found.details["confusion"]["count"]) <= n
    assert len(found.to_json()) < 1_000_000


def test_worst_errors_are_the_surest_wrong_ones(pred, report):
    wrong = np.flatnonzero(pred.predicted != pred.target)
    p = pred.columns["probabilities"]
    order = wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")]
    worst = report.details["worst"]
    assert [mistake.id for mistake in worst] == [pred.ids[i] for i in order[:25].tolist()]
    assert (worst[0].target, worst[0].predicted) == (str(pred.target[order[0]]), str(pred.predicted[order[0]]))
    assert worst[0].confidence == pytest.approx(p[order[0]].max())


def test_worst_error_of_several_labels_names_the_label():
    pred = real_runs.predictions("ab", [[1, 0], [1, 1]], [[0.9, 0.8], [0.02, 0.9]], ["cat", "dog"])
    missed, invented = evaluate(pred, num_resamples=2).details["worst"]
    assert (missed.id, missed.target, missed.predicted) == ("b", "cat", "not cat")
    assert missed.confidence == pytest.approx(0.98)
    assert (invented.id, invented.target, invented.predicted) == ("a", "not dog", "dog")


@pytest.mark.parametrize("kind", ["pred", "many"])
def test_reliability_holds_every_decision(kind, request):
    pred = request.getfixturevalue(kind)
    found = evaluate(pred, num_resamples=2)
    bins = found.details["reliability"]
    decisions = np.asarray(pred.target).size
    assert sum(b.count for b in bins) == decisions
    filled = [b for b in bins if b.count]
    assert all(b.low - 1e-6 <= b.confidence <= b.high + 1e-6 for b in filled)
    gap = sum(b.count * abs(b.confidence - b.accuracy) for b in filled) / decisions
    assert found.metrics["calibration_error"].value == pytest.approx(gap)


def test_classes_that_never_occur_are_no_error():
    pred = real_runs.predictions("abc", [0, 0, 1], [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]], ["x", "y", "z"])
    report = evaluate(pred, num_resamples=20)
    plain = json.loads(report.to_json())
    assert plain["per_class"][2] == {"name": "z", "precision": None, "recall": None, "f1": None, "support": 0}
    assert report.metrics["balanced_accuracy"].value == pytest.approx(0.75)
    assert plain["confusion"] == {"true": [0, 0, 1], "predicted": [0, 1, 1], "count": [1, 1, 1]}


def test_all_right_and_one_sample():
    report = evaluate(real_runs.predictions("a", [1], [[0.0, 1.0]], ["x", "y"]), num_resamples=20)
    assert report.metrics["accuracy"].value == 1
    assert report.metrics["log_loss"].value == pytest.approx(0)
    assert report.details["worst"] == []
    with pytest.raises(DataError, match="no samples"):
        evaluate(real_runs.predictions([], np.zeros(0, int), np.zeros((0, 2)), ["x", "y"]))


def test_a_metric_says_why_it_has_no_interval():
    flat = NumberPredictions("ab", {"numbers": [[1.0], [2.0]], "target": [[3.0], [3.0]]}, {"names": ["y"]})
    found = evaluate(flat, num_resamples=20)
    assert found.metrics["r2"].note == "it is not defined for these samples"
    assert found.notes == ["r2 is not defined where all targets are equal: y"]
    assert json.loads(found.to_json())["metrics"]["r2"]["value"] is None


def test_what_costs_too_much_is_not_resampled(many, monkeypatch):
    monkeypatch.setattr("scirs_neural.evaluation.intervals.AFFORDABLE", 12 * len(many) * 150)
    found = evaluate(many).metrics["average_precision"]
    assert found.low is None
    assert found.note == "resampling 360 samples costs too much"
    monkeypatch.setattr("scirs_neural.evaluation.intervals.AFFORDABLE", 12 * len(many) * 250)
    assert evaluate(many).metrics["average_precision"].low is not None  # fewer resamples are enough
