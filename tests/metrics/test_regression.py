"""Regression metrics equal scikit-learn's and scipy's on real predictions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn import metrics as sk

from scirs_neural.core.errors import ConfigError

from .conftest import build


@pytest.mark.feature(91)
def test_one_output_equals_scikit_learn(diabetes):
    p, y = diabetes
    expected = {
        "mse": sk.mean_squared_error(y, p),
        "rmse": sk.root_mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "r2": sk.r2_score(y, p),
        "pearson": scipy.stats.pearsonr(y, p).statistic,
        "spearman": scipy.stats.spearmanr(y, p).statistic,
    }
    metrics = build(expected, num_classes=1)
    for start in range(0, len(y), 50):
        metrics.update(torch.from_numpy(p[start : start + 50]), torch.from_numpy(y[start : start + 50]))
    for name, value in metrics.compute().items():
        np.testing.assert_allclose(value.item(), expected[name], rtol=1e-6, err_msg=name)


def test_several_outputs_are_averaged(diabetes):
    p, y = (np.stack([part, part[::-1] * 2], axis=1).copy() for part in diabetes)
    p[:, 1] += 3
    metrics = build(["mse", "r2"], num_classes=2)
    metrics.update(torch.from_numpy(p), torch.from_numpy(y))
    values = metrics.compute()
    np.testing.assert_allclose(values["mse"].item(), sk.mean_squared_error(y, p), rtol=1e-6)
    np.testing.assert_allclose(values["r2"].item(), sk.r2_score(y, p), rtol=1e-5)
    with pytest.raises(ConfigError, match="one output only"):
        build(["pearson"], num_classes=2)
