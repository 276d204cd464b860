"""The one guarded door through which files come in: checkpoints, packages, settings, pictures, graphs.

Nothing that a file names is imported or called, and no file costs more than `BUDGETS` allows. What is not let in raises
`scirs_neural.core.errors.RefusedError`. Only what reads tensors needs torch, and loads it when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scirs_neural.guard.archive import Archive, open_archive
    from scirs_neural.guard.budgets import BUDGETS, Budgets
    from scirs_neural.guard.tensors import Header, TensorInfo, read_header
    from scirs_neural.guard.text import read_json, read_yaml
    from scirs_neural.guard.tokenizer import read_tokenizer
    from scirs_neural.guard.weights import read_checkpoint, read_metadata, read_state_dict, write_state_dict

_HOMES = {
    "Archive": "archive", "open_archive": "archive",
    "BUDGETS": "budgets", "Budgets": "budgets",
    "Header": "tensors", "TensorInfo": "tensors", "read_header": "tensors",
    "read_json": "text", "read_yaml": "text",
    "read_tokenizer": "tokenizer",
    "read_checkpoint": "weights", "read_metadata": "weights",
    "read_state_dict": "weights", "write_state_dict": "weights",
}  # fmt: skip
__all__ = [
    "BUDGETS", "Archive", "Budgets", "Header", "TensorInfo", "open_archive", "read_checkpoint", "read_header",
    "read_json", "read_metadata", "read_state_dict", "read_tokenizer", "read_yaml", "write_state_dict",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"scirs_neural.guard.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
