"""scikit-learn's way: its own checks of estimators, pipelines, searches, and what skorch passes."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError, UnknownNameError

TINY = {"model_options": {"hidden": [8]}, "max_epochs": 1, "batch_size": 512}
ESTIMATORS = (sn.NeuralClassifier, sn.NeuralRegressor)
LEARNING = {"check_classifiers_train", "check_regressors_train"}  # one epoch is too little for these


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)


def statuses(estimator) -> dict[str, bool]:
    """By check: whether all of its variants pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks themselves warn
        found = check_estimator(estimator, on_fail=None, on_skip=None)
    passed: dict[str, bool] = {}
    for row in found:
        ok = row["status"] in ("passed", "skipped")
        passed[row["check_name"]] = passed.get(row["check_name"], True) and ok
    return passed


@pytest.mark.feature(149)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_check_of_scikit_learn_but_those_of_learning(kind):
    found = statuses(kind(**TINY))
    assert len(found) > 40
    assert {name for name, ok in found.items() if not ok} <= LEARNING


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.feature(149)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_all_checks_pass_and_so_those_that_skorch_passes(kind):
    from skorch import NeuralNetClassifier, NeuralNetRegressor

    class Net(torch.nn.Module):
        def __init__(self, outputs: int = 3) -> None:
            super().__init__()
            self.layer = torch.nn.LazyLinear(outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.float())

    silent = {"train_split": None, "verbose": 0}
    skorch = {
        sn.NeuralClassifier: lambda: NeuralNetClassifier(Net, criterion=torch.nn.CrossEntropyLoss, **silent),
        sn.NeuralRegressor: lambda: NeuralNetRegressor(Net, module__outputs=1, **silent),
    }[kind]()
    ours, theirs = statuses(kind()), statuses(skorch)
    print(f"{kind.__name__}: {sum(ours.values())} of {len(ours)}, skorch {sum(theirs.values())} of {len(theirs)}")
    assert {name for name, ok in theirs.items() if ok} <= {name for name, ok in ours.items() if ok}
    assert all(ours.values())


@pytest.mark.feature(149)
def test_five_lines(digits):
    x, x_test, y, y_test = digits
    net = sn.NeuralClassifier(max_epochs=6).fit(x, y)
    assert net.score(x_test, y_test) > 0.93
    assert np.array_equal(net.predict(x_test), net.classes_[net.predict_proba(x_test).argmax(1)])
    np.testing.assert_allclose(net.predict_proba(x_test).sum(axis=1), 1, atol=1e-5)
    assert [row["epoch"] for row in net.history_] == list(range(6))


def test_nothing_is_written(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sn.NeuralClassifier(**TINY).fit(digits[0][:100], digits[2][:100])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.feature(149)
def test_in_a_pipeline_and_a_search(digits):
    x, y = digits[0][:400], digits[2][:400]
    pipe = make_pipeline(MinMaxScaler(), sn.NeuralClassifier(**TINY))
    grid = {"neuralclassifier__lr": [1e-6, 0.05], "neuralclassifier__max_epochs": [8]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=1).fit(x, y)
    assert search.best_params_["neuralclassifier__lr"] == 0.05
    first, second = search.cv_results_["mean_test_score"]
    assert second > first
    assert search.score(digits[1], digits[3]) == search.best_estimator_.score(digits[1], digits[3])


@pytest.mark.feature(149)
def test_clones_pickles_and_seeds(digits):
    x, x_test, y, _ = digits
    net = sn.NeuralClassifier(**TINY, random_state=3).fit(x, y)
    again = clone(net)
    assert not hasattr(again, "task_")
    assert again.get_params() == net.get_params()
    back = pickle.loads(pickle.dumps(net))
    for other in (again.fit(x, y), back):
        assert np.array_equal(other.predict_proba(x_test), net.predict_proba(x_test))
    changed = clone(net).set_params(random_state=4).fit(x, y)
    assert not np.array_equal(changed.predict_proba(x_test), net.predict_proba(x_test))


def test_torchs_own_stream_of_numbers_is_left_alone(digits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sn.NeuralClassifier(**TINY).fit(digits[0][:64], digits[2][:64])
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([-7, 12]), np.array([2.0, 3.0]), np.array([False, True])]
)
def test_labels_of_any_type_come_back(labels):
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = labels[(x[:, 0] > 0).astype(int)]
    net = sn.NeuralClassifier(max_epochs=20, lr=0.02).fit(x, y)
    assert net.predict(x).dtype == y.dtype
    assert net.classes_.tolist() == sorted(labels.tolist())
    assert net.score(x, y) > 0.9


def test_images_go_to_networks_for_images():
    scans = load_digits()
    net = sn.NeuralClassifier("cnn", model_options={"width": 8, "depth": 2}, max_epochs=3, lr=0.01)
    net.fit(scans.images[:1000], scans.target[:1000])
    assert net.score(scans.images[1000:], scans.target[1000:]) > 0.8
    brighter = net.predict_proba(scans.images[1000:1010].astype(np.float64))
    one_by_one = np.concatenate([net.predict_proba(scans.images[i : i + 1]) for i in range(1000, 1010)])
    np.testing.assert_allclose(brighter, one_by_one, atol=1e-5)  # the scale is the training images', not the batch's


class Wide(torch.nn.Module):
    """A module of the user's."""

    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, units), torch.nn.ReLU(), torch.nn.Linear(units, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_a_network_of_the_users(digits):
    x, _, y, _ = digits
    net = sn.NeuralClassifier(Wide, model_options={"units": 7}, max_epochs=1).fit(x, y)
    assert net.module_.model.layers[0].out_features == 7
    assert len(cross_val_score(clone(net), x[:200], y[:200], cv=2)) == 2
    own = Wide(5)
    before = own.layers[0].weight.detach().clone()
    trained = sn.NeuralClassifier(own, max_epochs=1).fit(x, y)
    assert torch.equal(own.layers[0].weight, before)  # a copy is trained
    assert not torch.equal(trained.module_.model.layers[0].weight, before)


@pytest.mark.feature(149)
def test_regression_beats_least_squares_and_is_in_the_units_of_y():
    from sklearn.linear_model import LinearRegression

    x, y = load_diabetes(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    net = sn.NeuralRegressor(model_options={"hidden": []}, max_epochs=15, lr=0.1).fit(x_train, y_train)
    linear = LinearRegression().fit(x_train, y_train)
    assert abs(net.score(x_test, y_test) - linear.score(x_test, y_test)) < 0.02  # a linear net is least squares
    assert net.predict(x_test).shape == y_test.shape
    both = sn.NeuralRegressor(**TINY).fit(x, np.stack([y, -y], axis=1))
    assert both.predict(x).shape == (442, 2)


def test_validation_metrics_and_settings_of_the_trainer(digits):
    net = sn.NeuralClassifier(**TINY, val_fraction=0.2, trainer={"limit_train_batches": 1}).fit(digits[0], digits[2])
    assert {"val/accuracy", "val/loss", "train/loss"} <= set(net.history_[0])
    assert [row["step"] for row in net.history_] == [0]  # one step, the first


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"model": "mlpp"}, "unknown model 'mlpp'"),
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'"),
        ({"lr": -1.0}, "lr must be greater than 0"),
        ({"trainer": {"precison": "32-true"}}, "unknown setting 'precison'"),
        ({"model_options": {"hiden": [3]}}, "no option 'hiden'"),
    ],
)
def test_wrong_parameters_are_named(digits, parameters, text):
    with pytest.raises((ConfigError, UnknownNameError), match=text):
        sn.NeuralClassifier(**parameters).fit(digits[0][:50], digits[2][:50])
