"""Fine-tuning: the new head first, then the body, all at once or stage by stage from the top."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from torch.nn.modules.batchnorm import _BatchNorm

from scirs_neural.config.schema import FinetuneConfig
from scirs_neural.optim.groups import stages


class Finetuning(L.Callback):
    """Freezes and unfreezes the stages of a network on a schedule.

    All parameters are in the optimizer from the start; one that is frozen has no gradient, so the optimizer leaves it
    as it is, weight decay included. BatchNorm below the first learning stage, or everywhere if asked for, is kept in
    evaluation mode: neither its parameters nor its statistics move.

    Args:
        settings: when what learns.
    """

    def __init__(self, settings: FinetuneConfig) -> None:
        self.settings = settings

    def num_learning(self, epoch: int, num_stages: int) -> int:
        """How many stages learn in an epoch, counted from the head.

        Example:
            >>> tuning = Finetuning(FinetuneConfig(head_epochs=2, unfreeze="gradual"))
            >>> [tuning.num_learning(epoch, num_stages=4) for epoch in range(7)]
            [1, 1, 2, 3, 4, 4, 4]
        """
        late = epoch - self.settings.head_epochs
        if late < 0 or self.settings.unfreeze == "never":
            return 1
        return num_stages if self.settings.unfreeze == "all" else min(num_stages, 2 + late)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Set what learns in the epoch in which a run goes on: Lightning says nothing of its start."""
        self.on_train_epoch_start(trainer, module)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Set what learns in this epoch."""
        model: Any = module.model
        staged = stages(model)
        learning = self.num_learning(trainer.current_epoch, len(staged))
        frozen = {name for stage in staged[: len(staged) - learning] for name in stage}
        frozen |= getattr(module, "frozen_parameters", set())  # by a rule of the user's: for good
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in frozen)
        for path, part in model.named_modules():
            if isinstance(part, _BatchNorm):
                own = {f"{path}.{name}" for name, _ in part.named_parameters()}
                held = self.settings.freeze_batchnorm or bool(own & frozen)
                part.train(not held)
                for name, parameter in part.named_parameters():
                    parameter.requires_grad_(not held and f"{path}.{name}" not in frozen)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Validation within an epoch puts every part back into training mode: hold BatchNorm again."""
        if trainer.training:
            self.on_train_epoch_start(trainer, module)
