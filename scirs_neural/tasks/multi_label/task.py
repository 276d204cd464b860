"""Several labels: any number of several classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.data.context import Batch
from scirs_neural.tasks.supervised import Supervised, without_half

if TYPE_CHECKING:
    from torch import Tensor

    from scirs_neural.tasks.multi_label.predictions import LabelPredictions


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
    main_metric = "f1"
    automatic_loss = "bce_with_logits"

    @property
    def predictions(self) -> type[LabelPredictions]:
        """Columns ``probabilities`` (N, K) and ``target`` (N, K)."""
        from scirs_neural.tasks.multi_label.predictions import LabelPredictions

        return LabelPredictions

    @property
    def output_names(self) -> Sequence[str]:
        """The names of the classes."""
        names: Sequence[str] = self.description["classes"]
        return names

    def to_tensors(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``probabilities`` (N, K), each of its own class, in float32 or wider."""
        return {"probabilities": without_half(outputs).sigmoid()}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """``target`` (N, K) float32: zeros and ones, NaN where they are not known."""
        return {"target": batch[self.target].float().cpu().numpy()}

    def header(self) -> dict[str, Any]:
        """The names of the classes."""
        return {"classes": list(self.output_names)}

    def decode(self, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """For each sample the classes that apply, and the probability of every class.

        A class applies above ``answer.threshold``: a number, or one a class; 0.5 if nothing is said.
        """
        names, probabilities = self.output_names, np.asarray(columns["probabilities"])
        applies = probabilities > np.asarray(self.settings.get("threshold", 0.5))
        return [
            {
                "labels": [names[place] for place in np.flatnonzero(said).tolist()],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row, said in zip(probabilities, applies, strict=True)
        ]
