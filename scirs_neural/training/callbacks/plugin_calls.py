"""When plugins are called in training, and what checkpoints hold of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as L

from scirs_neural.core.errors import NoRankedEpochError
from scirs_neural.plugins.order import load_states, records_of
from scirs_neural.plugins.plugin import Plugin
from scirs_neural.training.callbacks.carry import Carried
from scirs_neural.training.module import Module

RECORDS, WEIGHTS = "plugins", "training_weights"
"""In a checkpoint: name, version, record and state of each plugin; and the weights that are trained, where others are
shown: ``state_dict`` holds the shown ones, which are what is used later."""


class PluginCalls(L.Callback):
    """Calls the plugins of a `Module` at the boundaries of epochs and steps, and keeps their records and states.

    Args:
        preparations: steps of the Trainer's own that a changed network needs too.

    Attributes:
        unranked: epochs that a plugin did not let rank.
    """

    def __init__(self, preparations: Sequence[Plugin] = ()) -> None:
        self.preparations, self.unranked = preparations, set[int]()

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Let the plugins change the network; if its parameters are other ones, the optimizer is too."""
        assert isinstance(module, Module)
        module.note_epoch()
        before, ctx = Carried(trainer, module), module.context(0)
        for plugin in module.plugins:
            module.model = plugin.at_epoch(module.model, ctx) or module.model
        if before.is_changed(module):
            module.to(module.device)
            for step in self.preparations:
                step.at_epoch(module.model, ctx)
            before.carry(trainer, module)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell them of a step, and of an epoch's last."""
        assert isinstance(module, Module)
        ctx = module.context(batch_idx)
        for plugin in module.plugins:
            plugin.after_step(module.model, ctx)
        if trainer.is_last_batch:
            for plugin in module.plugins:
                plugin.after_epoch(module.model, ctx)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Note whether the epoch may be the best one."""
        assert isinstance(module, Module)
        if not module.may_rank:
            self.unranked.add(trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The epochs that may not rank."""
        return {"unranked": sorted(self.unranked)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them up."""
        self.unranked = set(state_dict["unranked"])

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep records and states; where another network is shown, its weights in place of those that are trained."""
        assert isinstance(module, Module)
        checkpoint[RECORDS] = records_of(module.plugins, state=True)
        shown = module.shown
        if shown is not module.model:
            weights = checkpoint["state_dict"]
            checkpoint[WEIGHTS] = {name: weights[name] for name in weights if name.startswith("model.")}
            others = {name: value for name, value in weights.items() if not name.startswith("model.")}
            averaged = {f"model.{name}": value.detach() for name, value in shown.state_dict().items()}
            checkpoint["state_dict"] = {**averaged, **others}

    def on_load_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Give states and trained weights back; the network was rebuilt before."""
        assert isinstance(module, Module)
        load_states(module.plugins, checkpoint[RECORDS])
        if WEIGHTS in checkpoint:
            weights = {name.removeprefix("model."): value for name, value in checkpoint[WEIGHTS].items()}
            module.model.load_state_dict(weights)

    def foreseen(self, module: Module, max_epochs: int | None) -> str | None:
        """What is known before the first step of epochs that may not rank: a sentence if, as it stands, none may."""
        for plugin in module.plugins:
            epochs = range(max_epochs or 0) if max_epochs and max_epochs > 0 else ()
            if epochs and not any(plugin.may_rank(_at(module, epoch)) for epoch in epochs):
                count = f"the {max_epochs} epochs" if max_epochs != 1 else "the only epoch"
                return f"plugin '{plugin.name}' lets none of {count} rank, as it stands: the run would fail at its end"
        return None

    def check_ranked(self, module: Module, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a run of which no epoch may be the best one.

        Raises:
            NoRankedEpochError: it says which plugin did not let it.
        """
        done = {int(row["epoch"]) for row in epochs}
        if done and done <= self.unranked:
            ctx = _at(module, max(done))
            names = [plugin.name for plugin in module.plugins if not plugin.may_rank(ctx)]
            by = f"the plugin '{names[0]}'" if names else "a plugin"
            raise NoRankedEpochError(
                f"none of {len(done)} epochs may be the best one: {by} had not come to its end",
                where="plugins",
                fix="a larger trainer.max_epochs, or let the plugin end earlier",
            )


def _at(module: Module, epoch: int) -> Any:
    return replace(module.context(0), epoch=epoch)
