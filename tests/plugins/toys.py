"""Toy plugins: one that drops channels, one that adds parameters, one that changes numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from scirs_neural.plugins.plugin import ADAPTERS, NUMERICS, STRUCTURE, Plugin
from scirs_neural.plugins.registry import PLUGINS


@PLUGINS.register("toy_drop")
class Drop(Plugin):
    """Drop channels of the zoo's tiny cnn before an epoch."""

    stage = STRUCTURE

    def __init__(self, keep: int = 5, epoch: int = 1) -> None:
        super().__init__(keep=keep, epoch=epoch)
        self.keep, self.epoch = keep, epoch
        self.channels: list[int] | None = None

    def at_epoch(self, model: Any, ctx: Any) -> nn.Module | None:
        if ctx.epoch != self.epoch or self.channels is not None:
            return None
        size = model.stage1[3].weight.detach().abs().sum((1, 2, 3))
        self.channels = size.topk(self.keep).indices.sort().values.tolist()
        return self.slim(model)

    def slim(self, model: Any) -> nn.Module:
        conv, norm, then = model.stage1[3], model.stage1[4], model.stage2[1]
        kept = torch.tensor(self.channels, device=conv.weight.device)
        for part, name, axis in ((conv, "weight", 0), (norm, "weight", 0), (norm, "bias", 0), (then, "weight", 1)):
            value = getattr(part, name).detach()
            setattr(part, name, nn.Parameter(value.index_select(axis, kept)))
        norm.running_mean, norm.running_var = norm.running_mean[kept], norm.running_var[kept]
        conv.out_channels = norm.num_features = then.in_channels = len(kept)
        return model  # type: ignore[no-any-return]

    def map_state(self, name: str, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        axis = {"stage1.3.weight": 0, "stage1.4.weight": 0, "stage1.4.bias": 0, "stage2.1.weight": 1}.get(name)
        if axis is None:
            return None
        return {k: v.index_select(axis, torch.tensor(self.channels)) if v.ndim else v for k, v in state.items()}

    def record(self) -> dict[str, Any]:
        return {"channels": self.channels} if self.channels else {}

    def rebuild(self, model: nn.Module, record: Mapping[str, Any]) -> nn.Module:
        self.channels = record.get("channels")
        return self.slim(model) if self.channels else model


class Adapted(nn.Module):
    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        like = {"device": base.weight.device}
        self.a = nn.Parameter(torch.randn(rank, base.in_features, **like) * 0.1)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank, **like))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + x @ self.a.T @ self.b.T
        return out


@PLUGINS.register("toy_lora")
class LoRA(Plugin):
    """A matrix of low rank beside the head, merged into it at the end."""

    stage = ADAPTERS

    def __init__(self, rank: int = 2) -> None:
        super().__init__(rank=rank)
        self.rank, self.merged = rank, False

    def prepare(self, model: Any, task: Any, example: Any) -> nn.Module:
        model.head = Adapted(model.head, self.rank)
        return model  # type: ignore[no-any-return]

    def finalize(self, model: Any, batches: Any, task: Any) -> nn.Module:
        head = model.head
        head.base.weight.data += head.b.data @ head.a.data
        model.head, self.merged = head.base, True
        return model  # type: ignore[no-any-return]

    def record(self) -> dict[str, Any]:
        return {"rank": self.rank, "merged": self.merged}

    def rebuild(self, model: nn.Module, record: Mapping[str, Any]) -> nn.Module:
        self.rank, self.merged = record["rank"], record["merged"]
        return model if self.merged else self.prepare(model, None, None)


@PLUGINS.register("toy_lora_too_late")
class LateLoRA(LoRA):
    """One that is merged while something else still stands on the weight."""

    stage = NUMERICS
    after = ("toy_quant",)


class FakeQuant(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        if w.is_meta:
            return w
        scale = w.detach().abs().amax().clamp_min(1e-8) / 127
        return torch.fake_quantize_per_tensor_affine(w, scale, torch.zeros((), dtype=torch.int32), -127, 127)


@PLUGINS.register("toy_quant")
class Quant(Plugin):
    """Linear layers train as if they had 8 bits; in the end their weights have."""

    stage = NUMERICS

    def __init__(self, bits: int = 8) -> None:
        super().__init__(bits=bits)
        self.final = False

    def layers(self, model: nn.Module) -> list[nn.Module]:
        return [part for part in model.modules() if isinstance(part, nn.Linear)]

    def prepare(self, model: nn.Module, task: Any, example: Any) -> nn.Module:
        for part in self.layers(model):
            parametrize.register_parametrization(part, "weight", FakeQuant(), unsafe=True)
        return model

    def finalize(self, model: nn.Module, batches: Any, task: Any) -> nn.Module:
        for part in self.layers(model):
            parametrize.remove_parametrizations(part, "weight")
        self.final = True
        return model

    def record(self) -> dict[str, Any]:
        return {"final": self.final}

    def rebuild(self, model: nn.Module, record: Mapping[str, Any]) -> nn.Module:
        self.final = record["final"]
        return model if self.final else self.prepare(model, None, None)


@PLUGINS.register("toy_never")
class Never(Plugin):
    """Lets no epoch rank."""

    def may_rank(self, ctx: Any) -> bool:
        return False


@PLUGINS.register("toy_alone")
class Alone(Plugin):
    """Cannot run beside the adapter."""

    conflicts = ("toy_lora",)


class Copies(L.Callback):
    """Copies of ``last.ckpt`` as it is at some places of a run."""

    def __init__(self, folder: Path, places: dict[str, tuple[int, int]]) -> None:
        self.folder, self.places = folder, places

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        for name, place in self.places.items():
            if place == (trainer.current_epoch, batch_idx):
                shutil.copy(self.folder / "checkpoints/last.ckpt", self.folder / f"{name}.ckpt")
