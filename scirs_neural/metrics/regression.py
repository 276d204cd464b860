"""Regression metrics of torchmetrics. ``num_classes`` is the number of outputs; ``multi_label`` has no meaning here.

Shape: predictions and targets (N,) or (N, outputs).
"""

from __future__ import annotations

import warnings

import torchmetrics.regression as tm
from torchmetrics import Metric

from scirs_neural.core.errors import ConfigError


def mse(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The mean squared error over all samples and outputs."""
    return tm.MeanSquaredError()


def rmse(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The root of the mean squared error over all samples and outputs."""
    return tm.MeanSquaredError(squared=False)


def mae(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The mean absolute error over all samples and outputs."""
    return tm.MeanAbsoluteError()


def r2(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """1 - residual variance over variance, mean over the outputs."""
    return tm.R2Score(multioutput="uniform_average")


def pearson(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The linear correlation of predictions and targets, of one output."""
    return tm.PearsonCorrCoef(num_outputs=_one_output("pearson", num_classes))


def spearman(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The correlation of the ranks of predictions and targets, of one output; ties share their mean rank."""
    outputs = _one_output("spearman", num_classes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*save all targets and predictions")  # the list of metrics says so
        return tm.SpearmanCorrCoef(num_outputs=outputs)


def _one_output(name: str, outputs: int | None) -> int:
    if outputs not in (None, 1):
        raise ConfigError(f"the metric '{name}' is a single number for one output only, not for {outputs}")
    return 1
