"""Where a non-finite number came from: the run is gone through again from its last checkpoint, looking at everything.

Resumed runs have the bits of unbroken ones, so going through it again meets the same numbers. What is found is kept as
files, and can be met again without the run (`scirs_neural.runs.replay`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from scirs_neural.core.errors import NonFiniteError
from scirs_neural.core.paths import atomic_write
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.guard.weights import write_state_dict
from scirs_neural.training.module import Module


class NonFiniteSearch(L.Callback):
    """Stops at the first module, gradient or weight that is not finite, and keeps the step as files.

    Args:
        folder: the run's; the step is kept in ``nonfinite/step-<n>``.
        seed: the run's.
        last_batch: of the run; later ones are not looked at.
    """

    def __init__(self, folder: Path, seed: int, last_batch: int) -> None:
        self.folder, self.seed, self.last_batch = folder, seed, last_batch
        self.found: str | None = None
        self.place: Path | None = None
        self.before: dict[str, Tensor] = {}
        self.step: dict[str, Any] = {}
        self.batch: Any = None
        self._hooks: list[Any] = []

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Watch every module's output."""
        self._hooks = watch(network_of(module), self._note)

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep the weights, the batch and its seed."""
        place = trainer.fit_loop.epoch_loop.total_batch_idx
        if place > self.last_batch:
            trainer.should_stop = True
            raise NonFiniteError("gone through again, every number is finite")
        self.before = {name: value.detach().clone() for name, value in network_of(module).state_dict().items()}
        self.batch = batch
        seed = stream_seed("step", self.seed, trainer.current_epoch, batch_idx, rank_and_world_size()[0])
        self.step = {
            "batch_of_run": place, "epoch": trainer.current_epoch, "batch": batch_idx, "rank": rank_and_world_size()[0],
            "seed": seed, "precision": str(trainer.precision), "samples": _samples(batch),
            "data": module.spec.to_dict() if isinstance(module, Module) else None,
        }  # fmt: skip
        if any(not _is_finite(t) for t in tensors(batch)):
            self._note("the batch itself")

    def on_after_backward(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Look at the gradients, the last layer's first: that is where they come from."""
        if self.found is None:
            self._note(bad_gradient(network_of(module)))
        self._end()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Look at the weights."""
        bad = next((n for n, p in network_of(module).named_parameters() if not _is_finite(p)), None)
        self._note(bad and f"weight {bad}, made so by the optimizer's step")
        self._end()

    def _note(self, what: str | None) -> None:
        if self.found is None:
            self.found = what

    def _end(self) -> None:
        if self.found is not None:
            for hook in self._hooks:
                hook.remove()
            self.place = keep(self.folder, {**self.step, "found": self.found}, self.before, self.batch)
            raise NonFiniteError(self.found)


def watch(network: nn.Module, note: Any) -> list[Any]:
    """Hooks that report the first module whose output is not finite; inner modules are asked before outer ones."""

    def hook(name: str) -> Any:
        def look(part: nn.Module, inputs: Any, output: Any) -> None:
            if any(not _is_finite(t) for t in tensors(output)):
                note(f"output of {name or 'the network'} ({type(part).__name__})")

        return look

    return [part.register_forward_hook(hook(name)) for name, part in network.named_modules()]


def bad_gradient(network: nn.Module) -> str | None:
    """The gradient that is not finite and nearest to the loss."""
    named = [(n, p.grad) for n, p in network.named_parameters() if p.grad is not None]
    return next((f"gradient of {n}" for n, grad in reversed(named) if not _is_finite(grad)), None)


def keep(folder: Path, step: dict[str, Any], weights: dict[str, Tensor], batch: Any) -> Path:
    """Write a step: ``step.json``, ``weights.safetensors`` from before it, ``batch.safetensors``."""
    place = folder / "nonfinite" / f"step-{step['batch_of_run']}"
    place.mkdir(parents=True, exist_ok=True)
    for name, held in (("weights", weights), ("batch", named_tensors(batch))):
        write_state_dict(place / f"{name}.safetensors", {key: value.detach().cpu() for key, value in held.items()})
    atomic_write(place / "step.json", json.dumps(step, indent=2) + "\n")
    return place


def tensors(nest: Any) -> list[Tensor]:
    """The tensors in a nest of anything."""
    found: list[Tensor] = []
    apply_to_collection(nest, Tensor, found.append)
    return found


def named_tensors(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch by name; of a group of batches, those of the first are "0/…"."""
    if isinstance(batch, list) and all(isinstance(part, dict) for part in batch):
        return {f"{i}/{name}": t for i, part in enumerate(batch) for name, t in named_tensors(part).items()}
    if isinstance(batch, dict):
        return {name: value for name, value in batch.items() if isinstance(value, Tensor)}
    return {str(i): t for i, t in enumerate(tensors(batch))}


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def network_of(module: L.LightningModule) -> nn.Module:
    """The network of a module: its ``model``, or all of it."""
    held = getattr(module, "model", None)
    return held if isinstance(held, nn.Module) else module


def _samples(batch: Any) -> list[str]:
    """The names of the samples in a batch, or a group of them."""
    parts = batch if isinstance(batch, list) else [batch]
    return [str(name) for part in parts if isinstance(part, dict) for name in part.get("id", ())]
