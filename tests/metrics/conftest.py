"""Real predictions to hold the metrics against: logistic regression and ridge regression of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split


@pytest.fixture(scope="session")
def digits():
    """Probabilities (N, 10) in float32 and targets (N,): a weak model, so that there are errors of every kind."""
    data = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        data.data / 16, data.target, test_size=0.4, stratify=data.target, random_state=0
    )
    model = LogisticRegression(C=0.003, max_iter=500).fit(x_train, y_train)
    return model.predict_proba(x_test).astype(np.float32), y_test


@pytest.fixture(scope="session")
def labels():
    """Probabilities (N, 4) and 0/1 targets: is the digit even, small, a multiple of 3, round in shape."""
    data = load_digits()
    groups = np.array([[d % 2 == 0, d < 5, d % 3 == 0, d in (0, 6, 8, 9)] for d in range(10)], dtype=int)
    x_train, x_test, y_train, y_test = train_test_split(
        data.data / 16, groups[data.target], test_size=0.4, stratify=data.target, random_state=0
    )
    columns = [LogisticRegression(C=0.05).fit(x_train, y_train[:, k]).predict_proba(x_test)[:, 1] for k in range(4)]
    return np.stack(columns, axis=1).astype(np.float32), y_test


@pytest.fixture(scope="session")
def diabetes():
    """Predictions and targets (N,) in float32."""
    x, y = load_diabetes(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=0)
    return Ridge(alpha=0.1).fit(x_train, y_train).predict(x_test).astype(np.float32), y_test.astype(np.float32)


def build(names, *, num_classes=None, multi_label=False):
    """torchmetrics' metrics of these names, updated together."""
    from torchmetrics import MetricCollection

    from scirs_neural.metrics import METRICS

    made = {name: METRICS.get(name)(num_classes=num_classes, multi_label=multi_label) for name in names}
    return MetricCollection(made, compute_groups=False)
