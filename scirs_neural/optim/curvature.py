"""Derivatives that an optimizer does not need: gradients of single samples, and products with the Hessian.

torch.func does the work; this puts a module with its loss into the form that it takes, leaves the module as it was, and
says which part cannot be differentiated sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from scirs_neural.core.errors import ConfigError

Loss = Callable[[Any, Any], Tensor]


def per_sample_gradients(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The gradient of every sample's own loss, in one vectorised pass.

    Random layers draw anew for each sample. The mean over samples is the gradient of a batch under a mean loss.

    Args:
        model: inputs (N, …) to outputs (N, …); in training mode it must not normalise over the batch.
        loss: (outputs, targets) of a batch to a scalar.
        inputs: (N, …).
        targets: (N, …).

    Shape: (N, …) -> for each parameter of shape P that learns: (N, *P).

    Raises:
        ConfigError: BatchNorm in training mode makes a sample's loss depend on the others.

    Example:
        >>> import torch
        >>> net = nn.Linear(2, 1, bias=False)
        >>> found = per_sample_gradients(net, nn.functional.mse_loss, torch.eye(2), torch.zeros(2, 1))
        >>> found["weight"].shape
        torch.Size([2, 1, 2])
    """
    mixing = [path for path, part in model.named_modules() if isinstance(part, _BatchNorm) and part.training]
    if mixing:
        raise ConfigError(
            f"'{mixing[0]}' normalises over the batch: a sample has no gradient of its own",
            fix="call model.eval() first, or use GroupNorm or LayerNorm",
        )
    learning, fixed = _split(model)

    def one(parameters: Mapping[str, Tensor], sample: Tensor, target: Tensor) -> Tensor:
        outputs = functional_call(model, {**fixed, **parameters}, (sample.unsqueeze(0),))
        return loss(outputs, target.unsqueeze(0))

    gradients: dict[str, Tensor] = vmap(grad(one), in_dims=(None, 0, 0), randomness="different")(
        learning, inputs, targets
    )
    return gradients


def hessian_vector_product(
    model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, vector: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The Hessian of a batch's loss by the parameters, times a vector, at about twice the cost of a gradient.

    Args:
        model: inputs (N, …) to outputs (N, …). Its buffers (BatchNorm's statistics) stay as they are.
        loss: (outputs, targets) of a batch to a scalar.
        inputs: (N, …).
        targets: (N, …).
        vector: for each parameter that learns, a tensor of its shape.

    Raises:
        ConfigError: the vector has other names than the parameters.

    Source: Pearlmutter, Fast Exact Multiplication by the Hessian, 1994.

    Example:
        >>> import torch
        >>> net = nn.Linear(1, 1, bias=False)  # loss (3 w)^2, second derivative 18
        >>> product = hessian_vector_product(
        ...     net, nn.functional.mse_loss, torch.full((1, 1), 3.0), torch.zeros(1, 1), {"weight": torch.ones(1, 1)}
        ... )
        >>> product["weight"]
        tensor([[18.]])
    """
    learning, fixed = _split(model)
    if set(vector) != set(learning):
        wrong = sorted(set(vector) ^ set(learning))[0]
        raise ConfigError(f"the vector and the parameters that learn differ in '{wrong}'")

    def whole(parameters: Mapping[str, Tensor]) -> Tensor:
        own = {name: value.clone() for name, value in fixed.items()}  # what the pass moves is thrown away
        return loss(functional_call(model, {**own, **parameters}, (inputs,)), targets)

    direction = {name: vector[name] for name in learning}
    pull_back = vjp(grad(whole), learning)[1]  # the Hessian is symmetric; torch's forward mode warns when it is used
    product: dict[str, Tensor] = pull_back(direction)[0]
    return product


def _split(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What learns, and all else that a module holds."""
    learning = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    return learning, {**frozen, **{name: b.detach() for name, b in model.named_buffers()}}
