"""Several labels: any number of several classes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.data.context import Batch
from scirs_neural.tasks.multi_label.predictions import THRESHOLD, LabelPredictions
from scirs_neural.tasks.supervised import Supervised
from scirs_neural.tasks.task import without_half

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.evaluation.predictions import Predictions

AUTO = "auto"


class MultiLabel(Supervised):
    """Any number of several classes for each sample, each a yes or no of its own: binary cross-entropy of the logits.

    Labels that are not known (NaN) count in no loss and no score.

    Args:
        spec: with one target of kind "labels".
        loss: see `Supervised`; "auto": binary cross-entropy.
        metrics: names of further metrics, or ``file.py:function``.

    Shape: outputs and targets (N, K).

    Example:
        >>> import torch
        >>> from scirs_neural.data.spec import DataSpec
        >>> spec = DataSpec("toy", {}, {"label": {"kind": "labels", "classes": ["red", "old"]}})
        >>> task = MultiLabel(spec)
        >>> task.decode(task.to_arrays(torch.tensor([[9.0, -9.0]]), {"id": ["a"]}))[0]["labels"]
        ['red']
    """

    name = "multi_label"
    predictions = LabelPredictions
    main_metric = "f1"
    automatic_loss = "bce_with_logits"
    answer_settings = MappingProxyType({"threshold": THRESHOLD})

    def to_tensors(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``probabilities`` (N, K), each of its own class, in float32 or wider."""
        return {"probabilities": without_half(outputs).sigmoid()}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """``target`` (N, K) float32: zeros and ones, NaN where they are not known."""
        return {"target": batch[self.target].float().cpu().numpy()}

    @property
    def threshold(self) -> float | list[float]:
        """Above which probability a class applies: a number, or one a class; 0.5 as long as "auto" is not settled."""
        threshold = self.settings.get("threshold", THRESHOLD)
        return THRESHOLD if threshold == AUTO else threshold

    def fitted_settings(self, predictions: Predictions) -> dict[str, Any]:
        """With ``answer.threshold=auto``, for each class the threshold of the best F1 on the validation set."""
        if self.settings.get("threshold") != AUTO:
            return {}
        columns = np.asarray(predictions.columns["probabilities"]), np.asarray(predictions.columns["target"])
        return {"threshold": [best_threshold(*pair) for pair in zip(*(held.T for held in columns), strict=True)]}

    def header(self) -> dict[str, Any]:
        """The names of the classes, and the threshold."""
        return {"classes": list(self.output_names), "answer": {"threshold": self.threshold}}

    def decode(self, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """For each sample the classes that apply, and the probability of every class.

        A class applies above ``answer.threshold``: a number, or one a class; 0.5 if nothing is said.
        """
        names, probabilities = self.output_names, np.asarray(columns["probabilities"])
        applies = probabilities > np.asarray(self.threshold)
        return [
            {
                "labels": [names[place] for place in np.flatnonzero(said).tolist()],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row, said in zip(probabilities, applies, strict=True)
        ]


def best_threshold(probabilities: np.ndarray, target: np.ndarray) -> float:
    """The threshold above which predicting a class gives the best F1; 0.5 for a class without positives.

    Shape: both (N,); a target of NaN does not count.

    Example:
        >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.0, 1.0, 1.0]))
        0.25
    """
    known = ~np.isnan(target)
    order = np.argsort(-probabilities[known], kind="stable")
    p, true = probabilities[known][order].astype(np.float64), target[known][order] == 1
    if not true.any():
        return 0.5
    f1 = 2 * np.cumsum(true) / (np.arange(1, len(p) + 1) + true.sum())
    f1[:-1][p[:-1] == p[1:]] = -1.0  # equal probabilities cannot be told apart
    best = int(f1.argmax())
    below = p[best + 1] if best + 1 < len(p) else 0.0
    return float((p[best] + below) / 2)
