"""Plots show the figures that they are given, without pyplot and without touching matplotlib's settings."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from scirs_neural import plots
from scirs_neural.core.errors import ShapeError
from scirs_neural.evaluation import evaluate
from scirs_neural.plots.confusion import most_confused
from scirs_neural.plots.images import displayable
from scirs_neural.plots.style import png

from .conftest import real_runs


def confusion(matrix):
    """Counts (K, K) as the pairs that occur."""
    true, predicted = np.nonzero(matrix)
    return true, predicted, np.asarray(matrix)[true, predicted]


def of(evaluation):
    """Its confusion, as counts (K, K), and its classes."""
    names, counts = evaluation.details["classes"], evaluation.details["confusion"]
    matrix = np.zeros((len(names), len(names)), dtype=int)
    matrix[counts["true"], counts["predicted"]] = counts["count"]
    return matrix, names


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_confusion_shows_every_count(evaluation):
    matrix, names = of(evaluation)
    axes = plots.confusion_matrix(*confusion(matrix), names).axes[0]
    shown = {(round(t.get_position()[1]), round(t.get_position()[0])): int(t.get_text()) for t in axes.texts}
    assert shown == {(i, j): int(n) for (i, j), n in np.ndenumerate(matrix) if n}
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    assert [t.get_text() for t in axes.get_yticklabels()] == names


def test_a_large_confusion_lists_what_is_confused():
    random = np.random.default_rng(0)
    matrix = np.diag(random.integers(20, 50, 100)) + (random.random((100, 100)) < 0.02)
    matrix[7, 93] = 30
    names = [f"class {i}" for i in range(100)]
    figure = plots.confusion_matrix(*confusion(matrix), names)
    axes, beside = figure.axes[:2]
    assert not axes.texts
    assert len(axes.get_yticklabels()) <= 20
    assert beside.get_yticklabels()[0].get_text() == "class 7\ntaken for class 93"
    assert beside.patches[0].get_width() == 30
    assert most_confused(*confusion(matrix), 1) == [(7, 93, 30)]


def test_a_class_without_samples_is_drawn():
    png(plots.confusion_matrix(*confusion([[3, 1], [0, 0]]), ["a", "b"]))
    png(plots.confusion_matrix(*confusion(np.diag(np.full(25, 2))), [str(i) for i in range(25)]))


def test_more_classes_than_can_be_drawn_are_listed():
    names = [f"class {i}" for i in range(5000)]
    figure = plots.confusion_matrix(np.array([7, 8]), np.array([93, 8]), np.array([30, 99]), names)
    (axes,) = figure.axes
    assert not axes.images
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 7\ntaken for class 93"]


@pytest.mark.parametrize("samples", [40, 5000])
def test_numbers_are_drawn_against_the_truth(samples):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(samples, 2)) * [1, 100]
    numbers = target + 0.1
    target[0, 0] = np.nan
    figure = plots.predicted_against_true(target, numbers, ["height", "weight"])
    first, second = figure.axes[:2]
    assert (first.get_xlabel(), second.get_xlabel()) == ("true height", "true weight")
    if samples == 40:
        np.testing.assert_allclose(first.collections[0].get_offsets(), np.c_[target[1:, 0], numbers[1:, 0]])
    else:
        assert first.collections[0].get_array().sum() == samples - 1
    (mean, _) = plots.residuals(target, numbers, ["height", "weight"]).axes[0].lines
    np.testing.assert_allclose(mean.get_xdata(), 0.1)


def test_many_outputs_and_nothing_known_are_drawn():
    nothing = np.full((3, 8), np.nan)
    figure = plots.predicted_against_true(nothing, nothing, [f"output {i}" for i in range(8)])
    assert sum(bool(axes.get_xlabel()) for axes in figure.axes) == 6
    png(figure)
    png(plots.residuals(nothing, nothing, [f"output {i}" for i in range(8)]))


def test_label_counts_are_stacked():
    matrices = np.array([[[50, 3], [4, 20]], [[60, 0], [9, 8]]])
    axes = plots.label_counts(matrices, ["cat", "dog"]).axes[0]
    widths = [[bar.get_width() for bar in container] for container in axes.containers]
    assert widths == [[20, 8], [4, 9], [3, 0]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["found", "missed", "invented"]


def test_reliability_draws_the_bins(evaluation):
    error = evaluation.metrics["calibration_error"].value
    figure = plots.reliability_diagram(evaluation.details["reliability"], error=error)
    top, bottom = figure.axes
    filled = [b for b in evaluation.details["reliability"] if b.count]
    assert [bar.get_height() for bar in top.containers[0]] == pytest.approx([b.accuracy for b in filled])
    assert [bar.get_height() for bar in bottom.containers[0]] == [b.count for b in filled]
    gaps = [bar.get_height() for bar in top.containers[1]]
    assert gaps == pytest.approx([abs(b.accuracy - b.confidence) for b in filled])
    assert f"{100 * error:.2f} %" in top.get_title("left")


def test_worst_errors_show_their_pictures(evaluation, image):
    figure = plots.worst_errors(evaluation.details["worst"], image, limit=7)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 7
    for axes, mistake in zip(drawn, evaluation.details["worst"], strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), image(mistake.id))
        assert mistake.target in axes.get_title("left")
        assert f"{mistake.predicted}, {100 * mistake.confidence:.0f} %" in axes.get_title("left")
        assert axes.get_xlabel() == mistake.id


def test_missing_pictures_and_no_errors():
    pred = real_runs.predictions("ab", [0, 0], [[0.1, 0.9], [0.9, 0.1]], ["x", "y"])
    worst = evaluate(pred, num_resamples=2).details["worst"]
    assert texts(plots.worst_errors(worst, lambda name: None).axes[0]) == ["no picture"]
    assert plots.worst_errors([], lambda name: None).get_suptitle() == "No errors"


@pytest.mark.parametrize("channels", [1, 3])
def test_input_grid_turns_numbers_back_into_pictures(channels, runs):
    pictures = np.stack([runs[0].input_batch()["images"][:5, 0]] * channels, axis=1)
    pictures = (pictures - pictures.min()) / np.ptp(pictures)
    mean, std = np.array([0.2, 0.4, 0.6])[:channels], np.array([0.1, 0.2, 0.3])[:channels]
    batch = (pictures - mean[:, None, None]) / std[:, None, None]
    figure = plots.input_grid(batch, mean=mean, std=std, targets=[3, 1, 4, 1, 5], classes="abcdef")
    left, right = figure.axes[:2]
    assert texts(left) == ["d", "b", "e", "b", "f"]
    third = np.s_[:8, 20:28]  # in a row of three, 8 px each, 2 px apart
    np.testing.assert_allclose(left.images[0].get_array()[third], displayable(pictures[2]), atol=1e-5)
    seen = batch[2, 0] if channels == 1 else np.clip((np.moveaxis(batch[2], 0, -1) + 3) / 6, 0, 1)
    np.testing.assert_allclose(right.images[0].get_array()[third], seen, atol=1e-5)


def test_mixed_targets_name_the_largest_share():
    mixed = np.array([[0.3, 0.7]])
    figure = plots.input_grid(np.zeros((1, 1, 4, 4)), mean=[0.5], std=[1.0], targets=mixed, classes="ab")
    assert texts(figure.axes[0]) == ["b"]
    with pytest.raises(ShapeError, match="expected"):
        plots.input_grid(np.zeros((1, 3, 4, 4)), mean=[0.5], std=[1.0])
    png(plots.input_grid(np.zeros((2, 2, 4, 4)), mean=[0.5] * 2, std=[1.0] * 2))


@pytest.mark.parametrize(
    "targets",
    [
        np.zeros((2, 4, 4), dtype=np.uint8),  # masks
        np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),  # several labels
        np.array([[1.0], [3.5]]),  # numbers
        np.array([0.5, 1.5]),
        None,
    ],
)
def test_what_is_not_one_class_a_picture_has_no_caption(targets):
    figure = plots.input_grid(np.zeros((2, 1, 4, 4)), mean=[0.5], std=[1.0], targets=targets, classes="abc")
    assert texts(figure.axes[0]) == []


def test_a_class_that_is_not_known_is_called_so():
    figure = plots.input_grid(np.zeros((2, 1, 4, 4)), mean=[0.5], std=[1.0], targets=np.array([-1, 1]), classes="abc")
    assert texts(figure.axes[0]) == ["unknown", "b"]


@pytest.mark.parametrize(
    ("shape", "shown"), [((8, 6), (8, 6)), ((1, 8, 6), (8, 6)), ((3, 8, 6), (8, 6, 3)), ((8, 6, 4), (8, 6, 3))]
)
def test_pictures_of_every_layout(shape, shown):
    assert displayable(np.ones(shape)).shape == shown
    assert displayable(np.full(shape, 255, dtype=np.uint8)).max() == 1


@pytest.mark.parametrize("shape", [(8,), (2, 3, 8, 8), (5, 8, 8)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ShapeError, match="is no picture"):
        displayable(np.ones(shape))


def test_a_picture_has_the_same_bytes_every_time(evaluation):
    figure = plots.confusion_matrix(*confusion(of(evaluation)[0]), of(evaluation)[1])
    content = png(figure)
    again = plots.confusion_matrix(*confusion(of(evaluation)[0]), of(evaluation)[1])
    assert content == png(again)
    assert Image.open(io.BytesIO(content)).size == tuple(int(x) for x in figure.get_size_inches() * 144)


def test_matplotlibs_settings_are_left_alone(evaluation):
    before = dict(matplotlib.rcParams)
    png(plots.confusion_matrix(*confusion(of(evaluation)[0]), of(evaluation)[1]))
    assert dict(matplotlib.rcParams) == before


def test_neither_pyplot_nor_torch_is_imported():
    code = (
        "import sys\nfrom scirs_neural import plots as v\n[getattr(v, name) for name in v.__all__]\n"
        "print({'torch', 'matplotlib.pyplot', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="nothing_here"):
        plots.nothing_here  # noqa: B018
