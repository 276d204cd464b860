"""Regression: one number, or several, for an input."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scirs_neural.core.errors import ConfigError
from scirs_neural.data.context import Batch
from scirs_neural.tasks.classification.lightning_module import ImageClassification


class Regression(ImageClassification):
    """A network that gives numbers, with its loss, metrics, optimizer and schedule.

    The network learns numbers of mean 0 and deviation 1 (`DataSpec.target_mean`, ``target_std``); metrics and
    predictions are in the units of the data. The loss is the mean squared error of the scaled numbers.

    Shape: outputs and targets (N, outputs).
    """

    @property
    def main_metric(self) -> tuple[str, str]:
        """The metric that ranks checkpoints: the share of the variance that is explained."""
        return "val/r2", "max"

    @property
    def automatic_loss(self) -> str:
        """The loss that "auto" means."""
        return "mse"

    @property
    def own_metrics(self) -> list[str]:
        """Errors in the units of the data."""
        return ["mae", "rmse"]

    def loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of what the network gave for some samples."""
        targets = targets.float()
        mean, std = self._scale(targets)
        loss: Tensor = self.loss(outputs, (targets - mean) / std)
        return loss

    def probabilities(self, logits: Tensor) -> Tensor:
        """The predicted numbers (N, outputs), in the units of the data."""
        mean, std = self._scale(logits)
        return logits.float() * std + mean

    def _evaluate(self, batch: Batch, stage: str, metrics: Any) -> None:
        inputs, targets = self.parts_of(batch)
        targets = targets.float()
        outputs = self(inputs)
        found, wanted = self.probabilities(outputs), targets
        if self.num_outputs == 1:
            found, wanted = found.reshape(-1), targets.reshape(-1)
        metrics.update(found, wanted)
        self._log_scores(stage, self.loss_of(outputs, targets), metrics, len(inputs))

    def _loss_options(self) -> dict[str, Any]:
        if self.settings.label_smoothing:
            raise ConfigError("task.label_smoothing is for classes", fix="leave it out")
        return super()._loss_options()

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        spec = self.spec.target
        return like.new_tensor(spec["mean"]), like.new_tensor(spec["std"])
