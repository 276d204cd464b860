"""Detection metrics of torchmetrics."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np
from torchmetrics import Metric

from scirs_neural.core.errors import MissingExtraError


def mean_average_precision(
    *,
    num_classes: int | None = None,
    multi_label: bool = False,
    box_format: Literal["xyxy", "xywh", "cxcywh"] = "xyxy",
) -> Metric:
    """COCO's mean average precision, computed by pycocotools.

    Update it with two lists of dicts, one dict an image: ``boxes scores labels`` and ``boxes labels``. It computes a
    dict: ``map map_50 map_75 mar_100 …``. The number of classes is found from the labels.

    Args:
        num_classes: not needed.
        multi_label: has no meaning here.
        box_format: corners, or corner or centre with width and height; in pixels.

    Raises:
        MissingExtraError: pycocotools is not installed.
    """
    if find_spec("pycocotools") is None:
        raise MissingExtraError("pycocotools", "detection", "the metric 'map'")
    from torchmetrics.detection import MeanAveragePrecision

    # torchmetrics makes its thresholds in float32, where 0.6 is 0.60000002: a recall of exactly 3/5 then misses its
    # point, and the value differs from pycocotools' (by 0.002 in the test). These are pycocotools' own.
    return MeanAveragePrecision(
        box_format=box_format,
        backend="pycocotools",
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0.0, 1.0, 101).tolist(),
    )
