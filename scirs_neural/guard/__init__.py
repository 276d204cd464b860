"""Floor 1: the one guarded door through which the files of others come in."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.guard.weights import read_checkpoint, read_metadata, read_state_dict, write_state_dict

__all__ = ["read_checkpoint", "read_metadata", "read_state_dict", "write_state_dict"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("scirs_neural.guard.weights"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
