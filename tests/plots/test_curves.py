"""The points in the plots are the rows of metrics.csv."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from scirs_neural.plots import learning_rate, training_curves


def rows_of(run, column):
    """(epoch counted from 1, value) of the filled cells, read without our code."""
    rows = csv.DictReader((run.path / "metrics.csv").read_text().splitlines())
    return np.array([(int(row["epoch"]) + 1, float(row[column])) for row in rows if row[column]])


def lines(figure):
    return {line.get_label(): line for axes in figure.axes for line in axes.lines}


@pytest.mark.feature(132)
def test_points_equal_the_csv(runs):
    figure = training_curves({"run": runs[0].history})
    drawn = lines(figure)
    assert set(drawn) == {"train/loss", "val/loss", "val/accuracy"}
    for name, line in drawn.items():
        np.testing.assert_array_equal(line.get_xydata(), rows_of(runs[0], name))
    assert len(drawn["train/loss"].get_xdata()) == len(drawn["val/loss"].get_xdata()) - 1  # one cell is empty
    (line,) = learning_rate({"run": runs[0].history}).axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), rows_of(runs[0], "lr"))


@pytest.mark.feature(132)
def test_several_runs_are_told_apart(runs):
    drawn = lines(training_curves({run.name: run.history for run in runs}))
    for run in runs:
        for name in ("train/loss", "val/loss", "val/accuracy"):
            line = drawn[f"{run.name}  {name}"]
            np.testing.assert_array_equal(line.get_xydata(), rows_of(run, name))
            assert line.get_linestyle() == ("--" if name == "train/loss" else "-")
    colours = [drawn[f"{run.name}  val/loss"].get_color() for run in runs]
    assert colours[0] != colours[1]


@pytest.mark.feature(132)
def test_smoothing_is_labelled_and_the_points_stay(runs):
    figure = training_curves({"run": runs[0].history}, smoothing=0.6)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["_points", "train/loss (smoothed, 0.6)", "_points", "val/loss (smoothed, 0.6)"]
    np.testing.assert_array_equal(figure.axes[0].lines[2].get_xydata(), rows_of(runs[0], "val/loss"))
    values, mean = rows_of(runs[0], "val/loss")[:, 1], figure.axes[0].lines[3].get_ydata()
    weights = 0.6 ** np.arange(len(values))[::-1]
    assert mean[-1] == pytest.approx(np.sum(weights * values) / weights.sum())
    assert mean[0] == values[0]


def test_the_best_epoch_is_marked(runs):
    best = runs[0].summary["best"]["epoch"]
    drawn = lines(training_curves({"run": runs[0].history}, best={"run": best}))
    marked = drawn[f"best epoch: {best}"].get_xdata()[0]
    accuracy = rows_of(runs[0], "val/accuracy")
    assert accuracy[accuracy[:, 0] == marked, 1] == accuracy[:, 1].max()


def test_wide_losses_get_a_logarithmic_axis():
    figure = training_curves({"run": {"epoch": [0, 1], "train/loss": [900.0, 0.1]}})
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_title("left") == "Loss (logarithmic)"


@pytest.mark.parametrize(
    "history", [{}, {"epoch": [0], "val/accuracy": [None]}, {"epoch": [0], "train/loss": [float("nan")]}]
)
def test_little_to_draw_is_no_error(history):
    training_curves({"run": history})
    learning_rate({"run": history})
