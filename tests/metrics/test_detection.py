"""COCO mAP equals pycocotools' own on fixed boxes, and a case worked by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from scirs_neural.metrics import METRICS

coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is in the extra 'test'")


def fixed_boxes(seed: int = 0, images: int = 8):
    """Ground truth and noisy detections of it, as (boxes xywh, labels, scores) an image."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        n = int(rng.integers(1, 6))
        boxes = np.concatenate([rng.uniform(0, 300, (n, 2)), rng.uniform(8, 200, (n, 2))], axis=1)
        labels = rng.integers(0, 3, n)
        keep = rng.random(n) < 0.8
        noisy = boxes[keep] + rng.normal(0, 6, (int(keep.sum()), 4))
        extra = np.concatenate([rng.uniform(0, 300, (2, 2)), rng.uniform(8, 200, (2, 2))], axis=1)
        all_boxes = np.concatenate([noisy, extra]).clip(1)
        truth.append((boxes, labels))
        found.append((all_boxes, np.concatenate([labels[keep], rng.integers(0, 3, 2)]), rng.random(len(all_boxes))))
    return truth, found


def by_pycocotools(truth, found):
    from pycocotools.cocoeval import COCOeval

    boxes = [
        {"id": 0, "image_id": i, "category_id": int(c), "bbox": b.tolist(), "area": float(b[2] * b[3]), "iscrowd": 0}
        for i, (image, labels) in enumerate(truth)
        for b, c in zip(image, labels, strict=True)
    ]
    for number, box in enumerate(boxes, start=1):
        box["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco.COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth))],
            "annotations": boxes,
            "categories": [{"id": c} for c in range(3)],
        }
        reference.createIndex()
        detections = reference.loadRes(
            [
                {"image_id": i, "category_id": int(c), "bbox": b.tolist(), "score": float(s)}
                for i, (image, labels, scores) in enumerate(found)
                for b, c, s in zip(image, labels, scores, strict=True)
            ]
        )
        evaluation = COCOeval(reference, detections, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.feature(91)
def test_equals_pycocotools():
    truth, found = fixed_boxes()
    metric = METRICS.get("map")(box_format="xywh")
    for (boxes, labels), (noisy, classes, scores) in zip(truth, found, strict=True):
        metric.update(
            [{"boxes": torch.tensor(noisy), "scores": torch.tensor(scores), "labels": torch.tensor(classes)}],
            [{"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)}],
        )
    values, expected = metric.compute(), by_pycocotools(truth, found)
    assert 0.1 < expected[0] < 0.9
    for name, index in {"map": 0, "map_50": 1, "map_75": 2, "mar_1": 6, "mar_10": 7, "mar_100": 8}.items():
        assert values[name].item() == pytest.approx(expected[index], abs=1e-6), name


def test_one_hit_before_one_miss_by_hand():
    """Two objects; the surer detection is right, the other one is not: precision 1 up to recall 1/2, then nothing."""
    metric = METRICS.get("map")()
    metric.update(
        [
            {
                "boxes": torch.tensor([[0.0, 0, 50, 50], [200, 200, 250, 250]]),
                "scores": torch.tensor([0.9, 0.8]),
                "labels": torch.tensor([0, 0]),
            }
        ],
        [{"boxes": torch.tensor([[0.0, 0, 50, 50], [100, 100, 150, 150]]), "labels": torch.tensor([0, 0])}],
    )
    assert metric.compute()["map_50"].item() == pytest.approx(51 / 101, abs=1e-6)  # 51 of COCO's 101 recall points
