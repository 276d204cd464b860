"""What the Trainer itself does to a network before the first step: steps of the plugins' protocol, in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scirs_neural.config.schema import TrainerConfig
from scirs_neural.data.context import Batch, Context
from scirs_neural.optim.build import traits
from scirs_neural.plugins.plugin import Plugin
from scirs_neural.training.compiling import Compiled, compile_network
from scirs_neural.training.distributed.ranks import shard
from scirs_neural.training.distributed.tensor_parallel import split
from scirs_neural.training.loops.step import as_group
from scirs_neural.training.machine import is_model_parallel
from scirs_neural.training.memory import checkpoint_activations
from scirs_neural.training.module import Module
from scirs_neural.training.precision import pin_to_fp32

if TYPE_CHECKING:
    import lightning.pytorch as L


class Preparation(Plugin):
    """A step of the Trainer's own, after those of all plugins, which so see the network as it was built.

    It leaves no record: the settings of each run say what it is.

    Args:
        trainer: Lightning's.
        module: whose network it is.
        data: its data, as Lightning takes it.
        settings: of the Trainer.
    """

    def __init__(self, trainer: L.Trainer, module: L.LightningModule, data: Any, settings: TrainerConfig) -> None:
        super().__init__()
        self.module: Any = module
        self.trainer, self.data, self.settings = trainer, data, settings

    def is_wanted(self) -> bool:
        """Whether the settings ask for it, here."""
        raise NotImplementedError

    def at_epoch(self, model: nn.Module, ctx: Context) -> nn.Module | None:
        """Once more, for the parts that a plugin has put into the network."""
        task: Any = None
        return self.prepare(model, task, {})


class Fp32Modules(Preparation):
    """``trainer.fp32_modules``."""

    name, stage = "fp32_modules", 71

    def is_wanted(self) -> bool:
        """Whether modules are named."""
        return bool(self.settings.fp32_modules)

    def prepare(self, model: nn.Module, task: Any, example: Batch) -> nn.Module:
        """Let them compute in float32."""
        pin_to_fp32(model, self.settings.fp32_modules)
        return model


class Recomputation(Preparation):
    """``trainer.activation_checkpointing``."""

    name, stage = "activation_checkpointing", 72

    def is_wanted(self) -> bool:
        """Whether modules are named."""
        return bool(self.settings.activation_checkpointing)

    def prepare(self, model: nn.Module, task: Any, example: Batch) -> nn.Module:
        """Let them compute again in the backward pass what lies within them."""
        checkpoint_activations(model, self.settings.activation_checkpointing)
        return model


class MemoryFormat(Preparation):
    """``trainer.channels_last``."""

    name, stage = "channels_last", 73

    def is_wanted(self) -> bool:
        """Not where XLA lays tensors out by itself, FSDP2 wants them in order, or an optimizer flattens them."""
        chosen = self.module.optimizer_settings.name if isinstance(self.module, Module) else None
        flattens = chosen is not None and traits(chosen).get("flattens")
        is_xla = self.settings.accelerator in ("tpu", "xla_cpu")
        return bool(self.settings.channels_last) and not (is_xla or is_model_parallel(self.settings) or flattens)

    def prepare(self, model: nn.Module, task: Any, example: Batch) -> nn.Module:
        """Lay weights out as NHWC."""
        return model.to(memory_format=torch.channels_last)


class Sharding(Preparation):
    """``trainer.strategy=fsdp2``, ``trainer.tensor_parallel``."""

    name, stage = "sharding", 74

    def is_wanted(self) -> bool:
        """Whether parts of the network lie on different devices."""
        return is_model_parallel(self.settings)

    def prepare(self, model: nn.Module, task: Any, example: Batch) -> nn.Module:
        """Let it be done when Lightning has brought the ranks up."""
        self.module.configure_model = self._shard
        return model

    def _shard(self) -> None:
        """Layers are split first, then what is left of them is sharded."""
        mesh = self.module.trainer.strategy.device_mesh
        if self.settings.tensor_parallel > 1:
            split(self.module, self.settings, mesh)
        if mesh["data_parallel"].size() > 1 or self.settings.strategy == "fsdp2":
            shard(self.module.model, mesh["data_parallel"])


class Compilation(Preparation):
    """``trainer.compile``."""

    name, stage = "compile", 75

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.compiled: Compiled | None = None

    def is_wanted(self) -> bool:
        """Whether it is, and the network is known to be called with the inputs."""
        return bool(self.settings.compile) and isinstance(self.module, Module)

    def prepare(self, model: nn.Module, task: Any, example: Batch) -> nn.Module:
        """Compile it if that works on a batch."""
        assert isinstance(self.module, Module)
        batch = as_group(next(iter(self.data.train_dataloader())))[0]
        inputs = self.trainer.strategy.batch_to_device([batch[name] for name in self.module.spec.inputs])
        within = self.trainer.precision_plugin.forward_context
        self.compiled = compile_network(model, self.settings.compile, inputs, within)
        return model

    def at_epoch(self, model: nn.Module, ctx: Context) -> nn.Module | None:
        """Nothing: what is compiled is compiled again by itself where shapes are other ones."""
        return None


PREPARATIONS: Sequence[Callable[..., Preparation]] = (Fp32Modules, Recomputation, MemoryFormat, Sharding, Compilation)


def preparations(
    trainer: L.Trainer, module: L.LightningModule, data: Any, settings: TrainerConfig
) -> list[Preparation]:
    """The steps that the settings ask for, in order."""
    made = [kind(trainer, module, data, settings) for kind in PREPARATIONS]
    return [step for step in made if step.is_wanted()]
