"""The part of a run's report that is about masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from scirs_neural.core.terminal import number
from scirs_neural.data.image.spec import UNKNOWN_PIXEL
from scirs_neural.plots import page
from scirs_neural.plots.panel import Easel, cell
from scirs_neural.plots.style import MUTED, SERIES, new_figure, styled

if TYPE_CHECKING:
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.tasks.segmentation.predictions import MaskPredictions

_OPACITY = 0.55  # of the colour of a class over its picture
_SIDE = 1.6  # of a picture, in inches
_LETTERS = 24  # of a sample's id


def mask_panels(evaluation: Evaluation, pred: MaskPredictions, easel: Easel) -> Sequence[page.Section]:
    """Overlap class by class, and the pictures where it is least."""
    rows = []
    for row in evaluation.details["classes"]:
        score = evaluation.metrics.get(f"iou/{row['name']}")
        low, high = (None, None) if score is None else (score.low, score.high)
        between = "" if low is None or high is None else f"{number(low, fixed=True)} to {number(high, fixed=True)}"
        pixels = (f"{row['true_pixels']:,}", f"{row['predicted_pixels']:,}")
        rows.append((row["name"], cell(row["iou"]), between, *pixels))
    head = ("class", "IoU", "95 % interval", "true pixels", "predicted pixels")
    sections = [page.Section("classes", "Classes", [page.table(head, rows, numeric=(1, 2, 3, 4))])]
    worst = evaluation.details["worst"]
    if worst and "view" in pred.columns:
        names = ", ".join(f"{row['id']} ({number(row['mean_iou'], fixed=True)})" for row in worst)
        alt = (
            f"The {len(worst)} {easel.split} pictures with the lowest mean IoU, with true and predicted masks: {names}."
        )
        figure = overlays(worst, pred.columns["view"], easel, pred.classes)
        table = page.table(("sample", "mean IoU"), [(r["id"], cell(r["mean_iou"])) for r in worst], numeric=(1,))
        parts = [easel.draw("worst_masks", figure, alt), page.folded("As a table", table)]
        sections.append(page.Section("errors", "Least overlap", parts))
    return sections


def overlays(rows: Sequence[dict[str, Any]], views: Any, easel: Easel, classes: Sequence[str]) -> Figure:
    """Each picture with its true and with its predicted mask in colour; unknown pixels are black."""
    width, height = 2 * _SIDE * 3 + 0.4, 0.5 + (_SIDE + 0.35) * -(-len(rows) // 3)
    with styled():
        figure = new_figure(width, height, constrained=False)
        for index, row in enumerate(rows):
            line, column = divmod(index, 3)
            bottom = height - 0.5 - (_SIDE + 0.35) * (line + 1) + 0.05
            for side, which in enumerate((1, 0)):  # true, predicted
                left = 0.1 + column * (2 * _SIDE + 0.1) + side * _SIDE
                axes = figure.add_axes((left / width, bottom / height, 0.97 * _SIDE / width, _SIDE / height))
                axes.set(xticks=[], yticks=[], anchor="N")
                axes.imshow(tinted(easel.show(row["id"]), np.asarray(views[row["place"]])[..., which]))
                title = f"…{row['id'][-_LETTERS:]}" if len(row["id"]) > _LETTERS else row["id"]
                axes.set_title(title if not side else f"predicted, {row['mean_iou']:.2f}", fontsize=6.5, color=MUTED)
        for k, name in enumerate(classes[:12]):
            at = 0.1 / width + k * min(0.16, 0.95 / min(12, len(classes)))
            figure.text(at, 1 - 0.1 / height, f"■ {name[:14]}", color=colour(k), fontsize=7.5, va="top")
    return figure


def tinted(picture: Any, mask: np.ndarray) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) with the colours of classes over it: (h, w, 3) on 0..1, as large as the mask."""
    height, width = mask.shape
    if isinstance(picture, np.ndarray):
        rows = np.arange(height) * picture.shape[0] // height
        base = picture[rows[:, None], np.arange(width) * picture.shape[1] // width].astype(float) / 255
        base = np.repeat(base[..., None], 3, 2) if base.ndim == 2 else base[..., :3]
    else:
        base = np.full((height, width, 3), 0.9)
    colours = np.asarray([colour(k) for k in range(int(mask[mask != UNKNOWN_PIXEL].max(initial=0)) + 1)])
    known = (mask != UNKNOWN_PIXEL)[..., None]
    over = colours[np.where(known[..., 0], mask, 0)]
    mixed: np.ndarray = np.where(known, (1 - _OPACITY) * base + _OPACITY * over, 0.0)
    return mixed


def colour(place: int) -> tuple[float, float, float]:
    """The colour of a class, (red, green, blue) on 0..1; darker at each turn of the series."""
    red, green, blue = (value * 0.7 ** (place // len(SERIES)) for value in to_rgb(SERIES[place % len(SERIES)]))
    return red, green, blue
