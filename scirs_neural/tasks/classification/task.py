"""Classification: one class of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.context import Batch
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.supervised import Supervised, top_answers
from scirs_neural.tasks.task import without_half

if TYPE_CHECKING:
    from torch import Tensor


class Classification(Supervised):
    """One class of several for each sample, learnt by cross-entropy unless another loss is named.

    The network gives a logit a class. Samples whose class is not known (-100) count in no loss and no score. In
    training, targets may be rows of probabilities, as MixUp makes them.

    Args:
        spec: with one target of kind "class".
        loss: see `Supervised`; "auto": cross-entropy.
        label_smoothing: part of the target that is spread over all classes, 0 to 1.
        class_weights: a weight a class in the loss, in the order of the classes, or by name.
        metrics: names of further metrics, or ``file.py:function``.

    Shape: outputs (N, K); targets (N,) int64, or (N, K) in training.

    Example:
        >>> import torch
        >>> from scirs_neural.data.context import Context
        >>> spec = DataSpec("toy", {}, {"label": {"kind": "class", "classes": ["cat", "dog"]}})
        >>> task = Classification(spec)
        >>> batch = {"id": ["a", "b"], "label": torch.tensor([1, -100])}
        >>> logits = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
        >>> round(task.losses(logits, batch, Context())["loss"].item(), 4), task.counts(batch)
        (0.1269, {'*': 1})
        >>> [answer["class"] for answer in task.decode(task.to_arrays(logits, batch))]
        ['dog', 'cat']
    """

    name = "classification"
    predictions = ClassPredictions
    main_metric = "accuracy"
    automatic_loss = "cross_entropy"
    is_of_classes = True
    answer_settings = MappingProxyType({"top_k": 5})

    def __init__(
        self,
        spec: DataSpec,
        *,
        loss: Any = "auto",
        label_smoothing: float = 0.0,
        class_weights: Mapping[str, float] | Sequence[float] | None = None,
        metrics: Sequence[str] = (),
    ) -> None:
        super().__init__(spec, loss=loss, metrics=metrics, label_smoothing=label_smoothing, class_weights=class_weights)

    def loss_options(self) -> dict[str, Any]:
        """Label smoothing and class weights."""
        smoothing, weights = self.options["label_smoothing"], self.options["class_weights"]
        found: dict[str, Any] = {"label_smoothing": smoothing} if smoothing else {}
        return found if weights is None else {**found, "weight": self._class_weights(weights)}

    def to_tensors(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``probabilities`` (N, K), in float32 or wider."""
        return {"probabilities": without_half(outputs).softmax(dim=1)}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """``target`` (N,) int64: the number of the class, -100 where it is not known."""
        targets = batch[self.target]
        return {"target": (targets.argmax(dim=1) if targets.is_floating_point() else targets).cpu().numpy()}

    def header(self) -> dict[str, Any]:
        """The names of the classes."""
        return {"classes": list(self.output_names)}

    def decode(self, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """For each sample the likeliest class, its probability, and the likeliest classes (``answer.top_k``)."""
        names, count = self.output_names, int(self.settings.get("top_k", 5))
        ranked = [top_answers(row, names, count) for row in np.asarray(columns["probabilities"])]
        return [{"class": held[0][0], "probability": held[0][1], "top": held} for held in ranked]

    def _class_weights(self, given: Mapping[str, float] | Sequence[float]) -> list[float]:
        names = self.output_names
        if isinstance(given, Mapping):
            if unknown := [name for name in given if name not in names]:
                raise ConfigError(
                    f"'{unknown[0]}' is no class of '{self.spec.name}'", where="task.class_weights",
                    suggestions=did_you_mean(unknown[0], names),
                )  # fmt: skip
            return [float(given.get(name, 1.0)) for name in names]
        if len(given) != len(names):
            raise ConfigError(f"{len(given)} weights for {len(names)} classes", where="task.class_weights")
        return [float(weight) for weight in given]
