"""Image classification: one class, or any number of classes, for an image."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from scirs_neural.config.schema import FinetuneConfig, OptimizerConfig, SchedulerConfig, TaskConfig
from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data.context import Batch
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.layers.penalties import ActivityRegularization, collect_penalties
from scirs_neural.losses import create_loss
from scirs_neural.metrics import create_metrics
from scirs_neural.models.meta import failing_layer, output_shape
from scirs_neural.optim.build import build_optimizer, build_scheduler
from scirs_neural.optim.groups import ParameterGroup, freeze, parameter_groups
from scirs_neural.optim.schedules import DEFAULT_WARMUP, Span
from scirs_neural.tasks.sample_mean import SampleMean


class ImageClassification(L.LightningModule):
    """A network with its loss, metrics, optimizer and schedule.

    Args:
        model: images (N, C, H, W) to logits (N, K).
        spec: what the data says of itself; decides between one label a sample and several.
        task: loss, label smoothing, metrics.
        optimizer: which, and its settings.
        scheduler: which, and its settings.
        finetune: learning rates of body and head.

    Raises:
        ShapeError: the network does not give one logit a class.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        task: TaskConfig,
        optimizer: OptimizerConfig,
        scheduler: SchedulerConfig,
        finetune: FinetuneConfig,
    ) -> None:
        super().__init__()
        self.model, self.spec = model, spec
        self.target_name = next(iter(spec.targets))
        self.multi_label = spec.target["kind"] == "labels"
        self.num_outputs = Pipeline(spec).targets[self.target_name].model_arguments()["num_classes"]
        self.settings, self.optimizer_settings, self.scheduler_settings = task, optimizer, scheduler
        self.finetune = finetune
        self.loss = create_loss(**self._loss_options())
        self.has_penalties = any(isinstance(part, ActivityRegularization) for part in model.modules())
        names = [self.main_metric[0].removeprefix("val/"), *self.own_metrics, *task.metrics]
        metrics = create_metrics(list(dict.fromkeys(names)), num_classes=self.num_outputs, multi_label=self.multi_label)
        self.val_loss, self.test_loss = SampleMean(), SampleMean()
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        self._check_output_shape()
        self.frozen_parameters = freeze(self.model, self.parameter_groups)

    @property
    def main_metric(self) -> tuple[str, str]:
        """The metric that ranks checkpoints, and whether it is to be "max" or "min"."""
        return ("val/f1" if self.multi_label else "val/accuracy"), "max"

    @property
    def automatic_loss(self) -> str:
        """The loss that "auto" means."""
        return "bce_with_logits" if self.multi_label else "cross_entropy"

    @property
    def own_metrics(self) -> list[str]:
        """The task's further metrics, beside the main one and those that the user names."""
        return []

    @property
    def parameter_groups(self) -> list[ParameterGroup]:
        """Which parameters learn at which rate, and which decay."""
        tuning, chosen = self.finetune, self.optimizer_settings
        return parameter_groups(
            self.model,
            lr=chosen.lr,
            weight_decay=chosen.weight_decay,
            decay_norm_and_bias=chosen.decay_norm_and_bias,
            backbone_lr_ratio=tuning.backbone_lr_ratio if tuning.enabled else 1.0,
            layer_decay=tuning.layer_decay if tuning.enabled else 1.0,
            rules=chosen.groups,
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (N, K) of the inputs."""
        logits: Tensor = self.model(*inputs)
        return logits

    def parts_of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch."""
        (name,) = self.spec.inputs
        return batch[name], batch[self.target_name]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        images, targets = self.parts_of(batch)
        loss = self.loss_of(self(images), targets)
        if self.has_penalties:
            loss = loss + collect_penalties(self.model)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(images))
        for name, term in getattr(self.loss, "terms", {}).items():
            self.log(f"train/loss_{name}", term, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of what the network gave for some samples."""
        loss: Tensor = self.loss(outputs, targets)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the validation loss and metrics."""
        self._evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the test loss and metrics."""
        self._evaluate(batch, "test", self.test_metrics)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Class probabilities of one batch, with or without targets."""
        return self.probabilities(self(*(batch[name] for name in self.spec.inputs)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Class probabilities (N, K) of logits (N, K): softmax, or sigmoid for several labels."""
        logits = logits.float()
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over the parameter groups, and the schedule over the length of the run."""
        chosen, moving = self.optimizer_settings, self.scheduler_settings
        optimizer = build_optimizer(chosen.name, self.model, self.parameter_groups, **chosen.options())
        total, per_epoch = num_steps(self.trainer)
        warmup = DEFAULT_WARMUP.get(moving.name, 0.0) if moving.warmup is None else moving.warmup
        span = Span(total, per_epoch, warmup)
        schedule = build_scheduler(moving.name, optimizer, span, **moving.options())
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            monitor = moving.options().get("monitor", "val/loss")
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": monitor}}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _evaluate(self, batch: Batch, stage: str, metrics: Any) -> None:
        images, targets = self.parts_of(batch)
        logits = self(images)
        hard = targets if self.multi_label or targets.ndim == 1 else targets.argmax(dim=1)
        metrics.update(self.probabilities(logits), hard.long() if self.multi_label else hard)
        self._log_scores(stage, self.loss_of(logits, targets), metrics, len(images))

    def _log_scores(self, stage: str, loss: Tensor, metrics: Any, num_samples: int) -> None:
        """Log a batch's part of the epoch's scores, all as metrics: those add up over ranks, however uneven."""
        mean = self.val_loss if stage == "val" else self.test_loss
        mean.update(loss, num_samples)
        self.log(f"{stage}/loss", mean, batch_size=num_samples)
        self.log_dict(metrics, batch_size=num_samples)

    def _loss_options(self) -> dict[str, Any]:
        task = self.settings
        chosen = self.automatic_loss if task.loss == "auto" else task.loss
        if not task.label_smoothing:
            return {"spec": chosen, "where": "task.loss"}
        if not isinstance(chosen, str):
            raise ConfigError(
                "task.label_smoothing is for a loss given by name",
                fix="put label_smoothing into the loss's own options",
            )
        return {"spec": chosen, "label_smoothing": task.label_smoothing, "where": "task.loss"}

    def _check_output_shape(self) -> None:
        """Run the network once on meta tensors, where that is possible, before any heavy work."""
        (held,) = Pipeline(self.spec).inputs.values()
        expected, size = self.num_outputs, tuple(side or 1 for side in held.shape())
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in self.model.parameters()):
            return  # a lazy layer learns its shape from the first batch
        try:
            shape = output_shape(self.model, (2, *size))
        except (RuntimeError, NotImplementedError) as error:
            if "meta" in str(error):
                return  # a forward pass that looks at values cannot be checked without them
            raise ShapeError(
                f"the network cannot take inputs of shape {size}: {str(error).splitlines()[0]}",
                where=failing_layer(self.model, (2, *size)),
            ) from error
        if shape != (2, expected):
            raise ShapeError(
                f"the network gives {shape[1:]} for an input of shape {size}, '{self.spec.name}' needs ({expected},)",
                fix=f"build it with num_classes={expected}",
            )


def num_steps(trainer: Any) -> tuple[int, int]:
    """Optimizer steps of a whole fit, and of one epoch.

    Lightning's own `estimated_stepping_batches` sets the loader up, and a loader that is set up before a checkpoint is
    read never hears of its place in it; so the data module is asked instead, where there is one.
    """
    module = trainer.datamodule
    if module is None:
        total = int(trainer.estimated_stepping_batches)
        return total, max(1, round(total / max(1, trainer.max_epochs or 1)))
    batches, limit = len(module.train_dataloader()), trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
    per_epoch = max(1, -(-batches // trainer.accumulate_grad_batches))  # the last, short group steps too
    total = per_epoch * max(1, trainer.max_epochs or 1)
    return (min(total, trainer.max_steps) if trainer.max_steps > 0 else total), per_epoch
