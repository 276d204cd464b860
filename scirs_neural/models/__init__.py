"""The zoo. ``MODELS`` maps names to builders, `list_models` finds names, `create_model` builds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scirs_neural.core.registry import Registry
from scirs_neural.models.catalog import ModelEntry, WeightsEntry, catalogue

if TYPE_CHECKING:
    from scirs_neural.models.create import check_input, create_model
    from scirs_neural.models.meta import on_meta
    from scirs_neural.models.weights import LoadReport, load_strictly, load_weights

__all__ = [
    "LoadReport",
    "MODELS",
    "ModelEntry",
    "WeightsEntry",
    "catalogue",
    "check_input",
    "create_model",
    "list_models",
    "load_strictly",
    "load_weights",
    "on_meta",
]

_LAZY = {  # these need torch
    "LoadReport": "weights",
    "check_input": "create",
    "create_model": "create",
    "load_strictly": "weights",
    "load_weights": "weights",
    "on_meta": "meta",
}

MODELS = Registry("model")
for _entry in catalogue().values():
    MODELS.add(_entry.name, _entry.builder, summary=_entry.summary, options=_entry.options)


def list_models(
    pattern: str = "*",
    *,
    task: str | None = None,
    max_params: int | None = None,
    has_weights: bool | None = None,
    family: str | None = None,
) -> list[str]:
    """The names of the networks that match, sorted. Needs no torch.

    Networks that a user registered are found by pattern alone: nothing else is known of them.

    Args:
        pattern: shell-style, such as "resnet*".
        task: the task that the network's own head is for, such as "image_classification".
        max_params: parameters at most, counted with the network's own head.
        has_weights: whether there are published weights.
        family: such as "resnet" or "efficientnet_v2".

    Example:
        >>> list_models("resnet*", max_params=30_000_000)
        ['resnet18', 'resnet34', 'resnet50']
    """
    known = catalogue()

    def fits(name: str) -> bool:
        entry = known.get(name)
        if entry is None:
            return task is None and max_params is None and not has_weights and family is None
        return (
            (task is None or entry.task == task)
            and (max_params is None or entry.num_params <= max_params)
            and (has_weights is None or bool(entry.weights) == has_weights)
            and (family is None or entry.family == family)
        )

    return [name for name in MODELS.names(pattern) if fits(name)]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"scirs_neural.models.{_LAZY[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
