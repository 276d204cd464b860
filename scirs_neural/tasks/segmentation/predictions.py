"""What a network answers about pixels: counts a picture, from which every overlap follows. No torch here.

K classes, N pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation.predictions import Predictions, Table
from scirs_neural.evaluation.scorers import Additive, divide, mean_of_defined

TRUE, PREDICTED, BOTH = 0, 1, 2  # places in `counts`


class MaskPredictions(Predictions):
    """Pixels of each class in each picture: as they are, as they are predicted, and where both agree.

    Columns: ``counts`` (N, K, 3), pixels of known class, where there is truth; ``areas`` (N, K), the fraction of all
    pixels that each class is predicted for; ``mask`` (N, H, W), the predicted class numbers, on request.

    Header: ``classes``, their names.
    """

    kind = "mask"
    main_metric = "mean_iou"
    truth = ("true",)
    percentages = frozenset({"mean_iou", "pixel_accuracy", "mean_dice"})

    def check(self) -> None:
        """Hold the columns to the classes."""
        classes = len(self.header.get("classes", ()))
        if classes < 2:
            raise DataError("predictions of masks need the names of at least two classes")
        for name, shape in (("counts", (classes, 3)), ("areas", (classes,))):
            if name in self.columns:
                self.array(name, *shape)

    @property
    def classes(self) -> list[str]:
        """Their names."""
        return list(self.header["classes"])

    @classmethod
    def metrics_of(cls, header: Mapping[str, Any]) -> Mapping[str, str]:
        """The means over classes, accuracy, and each class's IoU."""
        names = ["mean_iou", "pixel_accuracy", "mean_dice", *(f"iou/{name}" for name in header.get("classes", ()))]
        return dict.fromkeys(names, "max")

    def scorer(self) -> Additive:
        """Overlaps of sums of pixels."""
        counts, classes = self.array("counts", len(self.classes), 3), self.classes

        def finish(counts: np.ndarray) -> dict[str, np.ndarray]:
            iou = overlap(counts)
            sums = counts[..., TRUE] + counts[..., PREDICTED]
            return {
                "mean_iou": mean_of_defined(iou),
                "pixel_accuracy": divide(counts[..., BOTH].sum(-1), counts[..., TRUE].sum(-1)),
                "mean_dice": mean_of_defined(divide(2 * counts[..., BOTH], sums)),
                **{f"iou/{name}": iou[..., k] for k, name in enumerate(classes)},
            }

        return Additive({"counts": counts}, finish)

    def per_sample(self) -> Mapping[str, np.ndarray]:
        """Mean IoU of each picture (N,), over the classes that occur in it or are predicted."""
        return {"mean_iou": mean_of_defined(overlap(self.array("counts", len(self.classes), 3)))}

    def describe(self) -> dict[str, Any]:
        """Pixels of each class."""
        totals = self.array("counts", len(self.classes), 3).sum(0, dtype=np.int64)
        iou = overlap(totals)
        return {
            "classes": [
                {
                    "name": name, "iou": None if np.isnan(iou[k]) else float(iou[k]),
                    "true_pixels": int(totals[k, TRUE]), "predicted_pixels": int(totals[k, PREDICTED]),
                }
                for k, name in enumerate(self.classes)
            ]
        }  # fmt: skip

    def tables(self) -> list[Table]:
        """Overlap class by class."""
        rows = [[r["name"], r["iou"], r["true_pixels"], r["predicted_pixels"]] for r in self.describe()["classes"]]
        return [Table("classes", ["class", "IoU", "true px", "predicted px"], rows)]


def overlap(counts: np.ndarray) -> np.ndarray:
    """Intersection over union; NaN of a class that neither is there nor is predicted.

    Shape: (..., 3) -> (...).

    Example:
        >>> overlap(np.array([[4, 2, 1], [0, 0, 0]])).tolist()
        [0.2, nan]
    """
    both = counts[..., BOTH]
    return divide(both, counts[..., TRUE] + counts[..., PREDICTED] - both)
