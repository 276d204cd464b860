"""Weights files: names to tensors.

- ``.safetensors`` holds numbers and names only. Its header is judged before anything else (`guard.tensors`), and its
  data are mapped, not copied.
- ``.pth``, ``.pt`` and ``.ckpt`` are pickles (`guard.torch_file`).

A refused file raises `RefusedError` with the reason. Nothing that a file names is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.core.paths import replacing
from scirs_neural.guard.names import shown
from scirs_neural.guard.shards import is_sharded, join_shards
from scirs_neural.guard.tensor_bytes import to_bytes
from scirs_neural.guard.tensors import read_header
from scirs_neural.guard.torch_file import SUFFIXES as PICKLE_SUFFIXES
from scirs_neural.guard.torch_file import existing, read_checkpoint

SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)
_STATE_KEYS = ("state_dict", "model_state_dict", "model")  # Lightning, torch's tutorials, torchvision's references


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a weights file: names to tensors on the CPU.

    A checkpoint that keeps its weights under ``state_dict``, ``model_state_dict`` or ``model`` gives those.

    Args:
        path: a .safetensors, .pth, .pt or .ckpt file.

    Raises:
        CheckpointError: the file is missing, damaged, refused, or holds something else.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "net.safetensors"
        >>> write_state_dict(file, {"weight": torch.ones(2, 3)})
        >>> read_state_dict(file)["weight"].shape
        torch.Size([2, 3])
    """
    path = existing(path, SUFFIXES)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    state: Any = read_checkpoint(path)
    if is_sharded(state):
        state = join_shards(state, path)
    for key in _STATE_KEYS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError("the file holds no weights", where=str(path), fix="save model.state_dict()")
    for name, tensor in state.items():
        _check_tensor(name, tensor, path)
    return dict(state)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text entries that a .safetensors file carries beside its tensors.

    Raises:
        CheckpointError: the file is missing, damaged, or refused.
    """
    return read_header(existing(path, (".safetensors",))).metadata


def write_state_dict(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a .safetensors file whole or not at all.

    Tensors that share memory are written each for itself, so every name comes back.

    Args:
        path: where to; its suffix should be .safetensors.
        tensors: names to tensors, on any device.
        metadata: text entries to keep with them.

    Raises:
        CheckpointError: one is of a layout or dtype that the format does not have.
        StorageError: it could not be written. A file that was there is untouched.
    """
    pieces = to_bytes(tensors, metadata)
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        file.writelines(pieces)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    read_header(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise RefusedError(f"refused: the file is damaged: {error}", where=str(path)) from error


def _check_tensor(name: object, tensor: object, path: Path) -> None:
    if not isinstance(name, str) or not isinstance(tensor, Tensor):
        what = f"{shown(name)} is no tensor but a {type(tensor).__name__}"
        raise CheckpointError(what, where=str(path), fix="save model.state_dict() alone")
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(f"{shown(name)} is a {tensor.layout} tensor on {tensor.device}", where=str(path))
