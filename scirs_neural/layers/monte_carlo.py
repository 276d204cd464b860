"""Dropout at prediction: the spread of several passes tells how sure a model is.

Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016), section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torchvision.ops import DropBlock2d, StochasticDepth

from scirs_neural.core.errors import ConfigError

# Layers that only draw random numbers in training mode. Recurrent layers and torch's attention drop out inside.
_RANDOM = (_DropoutNd, DropBlock2d, StochasticDepth, nn.RReLU, nn.RNNBase, nn.MultiheadAttention)


@contextmanager
def mc_dropout(model: nn.Module) -> Iterator[None]:
    """Switch the dropout layers of a model on, and nothing else; as it was, afterwards.

    Raises:
        ConfigError: the model has no layer that drops anything.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).eval()
        >>> with mc_dropout(model):
        ...     [layer.training for layer in model]
        [False, True]
        >>> model[1].training
        False
    """
    layers = [module for module in model.modules() if isinstance(module, _RANDOM)]
    if not any(float(getattr(layer, "p", 0) or getattr(layer, "dropout", 0)) for layer in layers):
        raise ConfigError("the model has no dropout, so its predictions have no spread")
    before = [layer.training for layer in layers]
    try:
        for layer in layers:
            layer.training = True
        yield
    finally:
        for layer, training in zip(layers, before, strict=True):
            layer.training = training


@torch.no_grad()
def mc_predict(model: nn.Module, *inputs: Tensor, samples: int = 20) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of several passes with dropout on.

    Args:
        model: in evaluation mode; its other layers stay so.
        *inputs: of the model.
        samples: passes, at least 2.

    Raises:
        ConfigError: no dropout in the model, or fewer than two samples.
    """
    if samples < 2:
        raise ConfigError(f"a spread needs at least 2 samples, got {samples}")
    with mc_dropout(model):
        outputs = torch.stack([model(*inputs) for _ in range(samples)])
    return outputs.mean(0), outputs.std(0)
