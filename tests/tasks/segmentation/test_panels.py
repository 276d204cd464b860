"""What a report shows of masks."""

import numpy as np
import pytest

from scirs_neural.evaluation.report import evaluate
from scirs_neural.plots.panel import Easel
from scirs_neural.tasks.segmentation.panels import colour, mask_panels, tinted
from scirs_neural.tasks.segmentation.predictions import MaskPredictions

CLASSES = ["ground", "thing", "rare"]


@pytest.fixture
def pred():
    rng = np.random.default_rng(0)
    views = rng.integers(0, 2, (9, 12, 14, 2)).astype(np.uint8)
    views[0, ..., 1] = views[0, ..., 0]  # all right
    views[3, ..., 1] = 255  # nothing known
    columns = {"areas": np.zeros((9, 3), np.float32), "view": views}
    for name in ("true", "predicted", "both"):
        columns[name] = np.zeros((9, 3), int)
    for index, view in enumerate(views):
        for k in range(3):
            said, true = (view[view[..., 1] != 255] == k).T
            columns["true"][index, k], columns["predicted"][index, k] = true.sum(), said.sum()
            columns["both"][index, k] = (true & said).sum()
    return MaskPredictions([f"scan{i}.png" for i in range(9)], columns, {"classes": CLASSES})


def test_classes_have_intervals_and_the_worst_pictures_are_drawn(pred, tmp_path):
    evaluation = evaluate(pred)
    assert [row["id"] for row in evaluation.details["worst"]].count("scan3.png") == 0  # it has no overlap at all
    assert len(evaluation.details["worst"]) == 6
    assert pred.notes() == ["means are over the classes that occur: not rare"]
    shown = []
    easel = Easel(
        tmp_path, lambda name: shown.append(name) or (None if name == "scan1.png" else np.zeros((24, 28), np.uint8))
    )
    classes, errors = mask_panels(evaluation, pred, easel)
    text = str(classes.parts)
    score = evaluation.metrics["iou/thing"]
    assert score.low < score.value < score.high
    for part in ("ground", "thing", "rare", f"{score.value:.4f}"[:5]):
        assert part in text
    assert (tmp_path / "worst_masks.png").stat().st_size > 5000
    assert set(shown) == {row["id"] for row in evaluation.details["worst"]}
    assert "scan" in str(errors.parts)


def test_colours_lie_over_the_picture_and_unknown_pixels_are_black():
    mask = np.array([[0, 1], [255, 1]], np.uint8)
    picture = np.full((4, 4, 3), 255, np.uint8)
    over = tinted(picture, mask)
    assert over.shape == (2, 2, 3)
    assert not over[1, 0].any()
    assert np.allclose(over[0, 1], 0.45 + 0.55 * np.asarray(colour(1)))
    assert np.array_equal(over[0, 1], over[1, 1])
    assert tinted(None, mask).shape == (2, 2, 3)
    assert len({colour(k) for k in range(30)}) == 30
