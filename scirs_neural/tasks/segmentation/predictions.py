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

TRUE, PREDICTED, BOTH = "true", "predicted", "both"
MAX_WORST = 6  # pictures


class MaskPredictions(Predictions):
    """Pixels of each class in each picture: as they are, as they are predicted, and where both agree.

    Columns: ``true``, ``predicted`` and ``both`` (N, K), pixels of known class, where there is truth; ``areas`` (N, K),
    the fraction of all pixels that each class is predicted for; ``mask`` (N, H, W), the predicted class numbers, if
    asked for; ``view`` (N, h, w, 2), the predicted and the true ones, small, for people to look at.

    Header: ``classes``, their names.
    """

    kind = "mask"
    main_metric = "mean_iou"
    truth = ("true",)
    panels = "scirs_neural.tasks.segmentation.panels:mask_panels"
    percentages = frozenset({"mean_iou", "pixel_accuracy", "mean_dice"})

    def check(self) -> None:
        """Hold the columns to the classes."""
        classes = len(self.header.get("classes", ()))
        if classes < 2:
            raise DataError("predictions of masks need the names of at least two classes")
        for name in {TRUE, PREDICTED, BOTH, "areas"} & self.columns.keys():
            self.array(name, classes)

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
        classes = self.classes

        def finish(true: np.ndarray, predicted: np.ndarray, both: np.ndarray) -> dict[str, np.ndarray]:
            iou = overlap(true, predicted, both)
            return {
                "mean_iou": mean_of_defined(iou),
                "pixel_accuracy": divide(both.sum(-1), true.sum(-1)),
                "mean_dice": mean_of_defined(divide(2 * both, true + predicted)),
                **{f"iou/{name}": iou[..., k] for k, name in enumerate(classes)},
            }

        return Additive(self._pixels(), finish)

    def per_sample(self) -> Mapping[str, np.ndarray]:
        """Mean IoU of each picture (N,), over the classes that occur in it or are predicted."""
        return {"mean_iou": mean_of_defined(overlap(**self._pixels()))}

    def describe(self) -> dict[str, Any]:
        """Pixels of each class, and the pictures with the least overlap."""
        per_picture = self.per_sample()["mean_iou"]
        worst = [int(i) for i in np.argsort(per_picture, kind="stable")[:MAX_WORST] if np.isfinite(per_picture[i])]
        totals = {name: values.sum(0, dtype=np.int64) for name, values in self._pixels().items()}
        iou = overlap(**totals)
        return {
            "classes": [
                {
                    "name": name, "iou": None if np.isnan(iou[k]) else float(iou[k]),
                    "true_pixels": int(totals[TRUE][k]), "predicted_pixels": int(totals[PREDICTED][k]),
                }
                for k, name in enumerate(self.classes)
            ],
            "worst": [{"id": str(self.ids[i]), "place": i, "mean_iou": float(per_picture[i])} for i in worst],
        }  # fmt: skip

    def tables(self, details: Mapping[str, Any]) -> list[Table]:
        """Overlap class by class."""
        rows = [[row["name"], row["iou"], row["true_pixels"], row["predicted_pixels"]] for row in details["classes"]]
        return [Table("classes", ["class", "IoU", "true px", "predicted px"], rows)]

    def notes(self) -> list[str]:
        """Classes that are left out of the means."""
        absent = [row["name"] for row in self.describe()["classes"] if row["iou"] is None]
        return [f"means are over the classes that occur: not {', '.join(absent)}"] if absent else []

    def _pixels(self) -> dict[str, np.ndarray]:
        return {name: self.array(name, len(self.classes)) for name in (TRUE, PREDICTED, BOTH)}


def overlap(true: np.ndarray, predicted: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Intersection over union; NaN of a class that neither is there nor is predicted.

    Example:
        >>> overlap(np.array([4, 0]), np.array([2, 0]), np.array([1, 0])).tolist()
        [0.2, nan]
    """
    return divide(both, true + predicted - both)
