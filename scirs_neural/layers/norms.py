"""What a model's normalisation layers need beyond torch: freezing, exact statistics, conversion."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase

from scirs_neural.core.errors import ConfigError


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Every batch normalisation (synchronised ones too) by its path."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm) and not isinstance(module, _LazyNormBase)
    }


def freeze_batch_norm(model: nn.Module, affine: bool = False) -> nn.Module:
    """Keep the statistics of every batch normalisation as they are, through later calls of `train()`.

    Args:
        model: changed in place and given back.
        affine: freeze scale and shift too.

    Example:
        >>> model = freeze_batch_norm(nn.Sequential(nn.BatchNorm1d(2))).train()
        >>> model.training, model[0].training
        (True, False)
    """
    for norm in batch_norms(model).values():
        norm.eval()
        norm.__dict__["train"] = _stay_in_eval(norm)
        if affine and norm.affine:
            norm.weight.requires_grad_(False)
            norm.bias.requires_grad_(False)
    return model


def unfreeze_batch_norm(model: nn.Module) -> nn.Module:
    """Undo `freeze_batch_norm`."""
    for norm in batch_norms(model).values():
        norm.__dict__.pop("train", None)
        norm.train(model.training)
        if norm.affine:
            norm.weight.requires_grad_(True)
            norm.bias.requires_grad_(True)
    return model


class _stay_in_eval:  # noqa: N801  # stands where a method stood; a class, so that copies bind to the copied layer
    def __init__(self, norm: _BatchNorm) -> None:
        self.norm = norm

    def __call__(self, mode: bool = True) -> _BatchNorm:
        return self.norm


@dataclass
class _Sums:
    """Count, mean and squared deviations of what one layer has seen, in float64."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def none(cls, norm: _BatchNorm) -> _Sums:
        """Nothing seen yet."""
        assert norm.running_mean is not None
        zeros = torch.zeros_like(norm.running_mean, dtype=torch.float64)
        return cls(0, zeros, zeros.clone())

    def add(self, x: Tensor) -> None:
        """Merge one batch (Chan, Golub and LeVeque 1979): no loss of digits, no weight for the order of batches."""
        flat = x.detach().double().transpose(0, 1).flatten(1)
        count, mean = flat.shape[1], flat.mean(1)
        squares = (flat - mean[:, None]).square().sum(1)
        total, apart = self.count + count, mean - self.mean
        self.squares += squares + apart.square() * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total


@torch.no_grad()
def recalibrate_batch_norm(model: nn.Module, batches: Iterable[Any]) -> nn.Module:
    """Set the running statistics to the exact mean and variance of what each layer sees over some data.

    Needed after weights were changed without training: averaged (SWA, EMA), pruned, merged. Every sample counts the
    same, whatever the size of its batch. The layers use each batch's own statistics during the pass, so those behind
    others see what they see in training; all other layers run in evaluation mode.

    Args:
        model: changed in place and given back, in the mode in which it came.
        batches: the inputs of the model, one batch an item; of a tuple or list the first element.

    Raises:
        ConfigError: no batch, or no batch normalisation that keeps statistics.

    Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021), section 3, with pooled variances.
    """
    norms = [norm for norm in batch_norms(model).values() if norm.track_running_stats]
    if not norms:
        raise ConfigError("the model has no batch normalisation with running statistics")
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    sums = {norm: _Sums.none(norm) for norm in norms}

    def observe(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        sums[norm].add(arguments[0])

    hooks = [norm.register_forward_pre_hook(observe) for norm in norms]
    try:
        model.eval()
        for norm in norms:
            norm.training, norm.momentum = True, 0.0  # statistics of the batch, none of it kept
        for batch in batches:
            model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    for norm, seen in sums.items():
        if seen.count == 0:
            raise ConfigError("no data reached the model's batch normalisation")
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(seen.mean)
        norm.running_var.copy_(seen.squares / max(seen.count - 1, 1))  # unbiased, as torch keeps it
    return model


def convert_batch_norm(model: nn.Module, make: Callable[[_BatchNorm], nn.Module]) -> nn.Module:
    """Replace every batch normalisation by what `make` gives for it; scale and shift are carried over.

    For the synchronised kind use `torch.nn.SyncBatchNorm.convert_sync_batchnorm`.

    Args:
        model: not changed.
        make: from the old layer to the new one, such as ``lambda old: nn.GroupNorm(32, old.num_features)``.

    Returns:
        The converted copy.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        >>> convert_batch_norm(model, lambda old: nn.GroupNorm(2, old.num_features))[1].num_groups
        2
    """
    model = copy.deepcopy(model)
    for path, old in batch_norms(model).items():
        new = make(old).to(old.running_mean.device if old.running_mean is not None else None)
        for name, value in old.named_parameters(recurse=False):
            if isinstance(getattr(new, name, None), Tensor):
                with torch.no_grad():
                    getattr(new, name).copy_(value)
        new.train(old.training)
        if not path:
            return new
        model.set_submodule(path, new)
    return model
