"""Metrics by name, on collected predictions: torchmetrics', a user's, and those that the kind knows by itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.evaluation import evaluate
from scirs_neural.metrics import METRICS, named_metrics
from scirs_neural.metrics.named import direction_of, named_metric
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.multi_label.predictions import LabelPredictions
from scirs_neural.tasks.multi_task.predictions import ManyPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

SOURCE = """
from sklearn.metrics import recall_score

def macro_recall(probabilities, target):
    return recall_score(target, probabilities.argmax(1), average="macro", zero_division=0)

def gap(numbers, target):
    return abs(numbers.mean() - target.mean())

gap.higher_is_better = False

def no_number(answers, target):
    return "good"

value = 3
"""


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "my_metrics.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def classes(digits):
    p, y = digits
    return ClassPredictions(range(len(y)), {"probabilities": p, "target": y}, {"classes": list("0123456789")})


@pytest.fixture(scope="module")
def numbers(diabetes):
    found, wanted = diabetes
    columns = {"numbers": found[:, None], "target": wanted[:, None]}
    return NumberPredictions(range(len(found)), columns, {"names": ["progression"]})


@pytest.mark.feature(87)
def test_further_metrics_are_computed_once_with_an_interval(classes, user_file):
    p, y = classes.columns["probabilities"], classes.columns["target"]
    further = named_metrics([f"{user_file}:macro_recall", "auroc", "cohen_kappa", "f1"], classes.metrics)
    assert list(further) == ["macro_recall", "auroc", "cohen_kappa"]  # f1 is among the usual ones
    found = evaluate(classes, further=further).metrics
    top = p.argmax(1)
    expected = {
        "macro_recall": sk.recall_score(y, top, average="macro"),
        "auroc": np.mean([sk.roc_auc_score(y == k, p[:, k]) for k in range(10)]),
        "cohen_kappa": sk.cohen_kappa_score(y, top),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-6), name
    assert found["auroc"].low < found["auroc"].value < found["auroc"].high


def test_a_users_metric_is_resampled_if_it_is_fast(classes, user_file, monkeypatch):
    further = named_metrics([f"{user_file}:macro_recall"])
    monkeypatch.setattr("scirs_neural.evaluation.report._AFFORDABLE_SEC", 60)
    score, usual = (found := evaluate(classes, further=further).metrics)["macro_recall"], found["balanced_accuracy"]
    assert (score.low, score.high) == pytest.approx((usual.low, usual.high), abs=0.01)
    monkeypatch.setattr("scirs_neural.evaluation.report._AFFORDABLE_SEC", 0)
    assert evaluate(classes, further=further).metrics["macro_recall"].note.endswith("takes too long")


def test_numbers_take_further_metrics_too(numbers, user_file):
    further = named_metrics(["pearson", f"{user_file}:gap"])
    found = evaluate(numbers, further=further)
    y, z = numbers.target[:, 0], numbers.numbers[:, 0]
    assert found.metrics["pearson"].value == pytest.approx(np.corrcoef(y, z)[0, 1])
    assert found.metrics["gap"].value == pytest.approx(abs(y.mean() - z.mean()))
    assert (found.traits["pearson"].better, found.traits["gap"].better) == ("max", "min")


def test_several_labels_and_several_targets(labels, classes, numbers, user_file):
    p, y = labels
    many = LabelPredictions(range(len(y)), {"probabilities": p, "target": y}, {"classes": list("abcd")})
    found = evaluate(many, further=named_metrics(["auroc", "iou"]), num_resamples=200).metrics
    assert found["auroc"].value == pytest.approx(sk.roc_auc_score(y, p))
    assert found["iou"].value == pytest.approx(sk.jaccard_score(y, p > 0.5, average="macro"), abs=1e-6)
    n = min(len(classes), len(numbers))
    parts = {"digit": classes.select(np.arange(n)), "size": numbers.select(np.arange(n))}
    columns = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.columns.items()}
    header = {"targets": {name: {"kind": part.kind, "header": part.header} for name, part in parts.items()}}
    both = ManyPredictions(range(n), columns, header)
    names = ["digit/auroc", "digit/cohen_kappa", "size/mse", f"size/{user_file}:gap"]
    further = named_metrics(names, targets=["digit", "size"])
    assert list(further) == ["digit/auroc", "digit/cohen_kappa", "size/mse", "size/gap"]
    found = evaluate(both, further=further, num_resamples=200).metrics
    size = parts["size"]
    assert found["size/mse"].value == pytest.approx(sk.mean_squared_error(size.target, size.numbers))
    top = parts["digit"].predicted
    assert found["digit/cohen_kappa"].value == pytest.approx(sk.cohen_kappa_score(parts["digit"].target, top), abs=1e-6)
    assert found["digit/auroc"].low < found["digit/auroc"].value


def test_weights_that_do_not_count_are_said(classes, user_file):
    weighted = ClassPredictions(
        classes.ids, {**classes.columns, "weight": np.arange(len(classes)) + 1.0}, classes.header
    )
    further = named_metrics([f"{user_file}:macro_recall", "auroc"])
    found = evaluate(weighted, further=further, num_resamples=20)
    assert found.notes[-1] == "macro_recall does not count the samples' weights"
    auroc = [
        sk.roc_auc_score(classes.target == k, classes.columns["probabilities"][:, k], sample_weight=weighted.weight)
        for k in range(10)
    ]
    assert found.metrics["auroc"].value == pytest.approx(np.mean(auroc))


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("map", "rouge")])
def test_directions_are_torchmetrics(name):
    metric = METRICS.get(name)(num_classes=1 if name in ("pearson", "spearman") else 7)
    assert direction_of(name) == ("min" if metric.higher_is_better is False else "max")


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["acuracy"], UnknownNameError, "acuracy"),
        (["confusion_matrix"], ConfigError, "no single number"),
        (["{file}:nothing"], UnknownNameError, "nothing"),
        (["{file}:value"], ConfigError, "is no function"),
        (["math:sqrt", "numpy:sqrt"], ConfigError, "two metrics are called 'sqrt'"),
    ],
)
def test_wrong_names_are_said_before_anything_runs(names, error, message, user_file):
    with pytest.raises(error, match=message) as caught:
        named_metrics([name.format(file=user_file) for name in names], where="command line, task.metrics")
    assert caught.value.where == "command line, task.metrics"


def test_what_a_function_gives_must_be_a_number(classes, user_file):
    further = named_metrics([f"{user_file}:no_number"])
    with pytest.raises(ConfigError, match="gave str, not a number"):
        further["no_number"](classes)
    found = evaluate(classes, further=further)  # the others stand
    assert "gave str, not a number" in found.failed["no_number"]
    assert found.failed["no_number"] in found.notes
    assert np.isnan(found.metrics["no_number"].value)
    assert found.metrics["accuracy"].value > 0
    with pytest.raises(ConfigError, match="not defined for several labels"):
        named_metric("cohen_kappa", [], num_classes=3, multi_label=True)


def test_torchmetrics_is_imported_for_its_own_metrics_only(python):
    code = (
        "import sys, numpy as np\nfrom scirs_neural.evaluation import evaluate\n"
        "from scirs_neural.metrics import named_metrics\n"
        "from scirs_neural.tasks.classification.predictions import ClassPredictions\n"
        "pred = ClassPredictions('ab', {'probabilities': np.eye(2), 'target': [0, 1]}, {'classes': ['x', 'y']})\n"
        "print(evaluate(pred, further=named_metrics(['auroc'])).metrics['auroc'].value)\n"
        "print({'torch', 'torchmetrics', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    ended = python("-c", code)
    assert ended.stdout == "1.0\nset()\n", ended.stderr
