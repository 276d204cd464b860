"""The one guarded door: every weights file and checkpoint is read here, and nothing in one is ever run.

- ``.safetensors`` holds numbers and names only. Its header is held to a size, because parsing a huge one costs
  hundreds of megabytes.
- ``.pth``, ``.pt`` and ``.ckpt`` are pickles. They are read with ``weights_only=True``, which builds tensors and plain
  containers and refuses every other name, and not at all below torch 2.10, where that was not safe (CVE-2026-24747).
  ``torch.save`` never compresses, so a zip with compressed members, or with members larger than the file, is no
  checkpoint but a bomb (a megabyte that becomes a gigabyte), and refused before it is unpacked.

A refused file raises `CheckpointError` with the reason. Nothing that a file names is imported.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scirs_neural.core.errors import CheckpointError, StorageError
from scirs_neural.core.paths import replacing

PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt")
SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)
FIRST_SAFE_TORCH = "2.10"
MAX_HEADER_BYTES = 16 * 2**20  # 100,000 tensors need about 10 MB
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
    path = _existing(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    held: Any = read_checkpoint(path)
    for key in _STATE_KEYS:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
            break
    if not isinstance(held, Mapping) or not held:
        raise CheckpointError("the file holds no weights", where=str(path), fix="save model.state_dict()")
    size = path.stat().st_size
    for name, tensor in held.items():
        _check_tensor(name, tensor, size, path)
    return dict(held)


def read_checkpoint(path: str | Path) -> Any:
    """Read a .pth, .pt or .ckpt file whole: tensors on the CPU in plain containers.

    Raises:
        CheckpointError: the file is missing, damaged, or refused.
    """
    path = _existing(path)
    if torch.__version__ < FIRST_SAFE_TORCH:
        raise CheckpointError(
            f"torch {torch.__version__} cannot read pickled files safely (CVE-2026-24747, fixed in {FIRST_SAFE_TORCH})",
            where=str(path),
            fix=f"install torch {FIRST_SAFE_TORCH} or newer, or give a .safetensors file",
        )
    _check_zip(path)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch's, on the way to a refusal
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"the file is damaged or no torch file: {reason}", where=str(path)) from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text entries that a .safetensors file carries beside its tensors.

    Raises:
        CheckpointError: the file is missing, damaged, or refused.
    """
    from safetensors import SafetensorError, safe_open

    path = _existing(path)
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the file is damaged: {error}", where=str(path)) from error


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
        StorageError: it could not be written. A file that was there is untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    seen: set[int] = set()
    flat: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        held = tensor.detach().cpu().contiguous()
        storage = held.untyped_storage()
        whole = storage.nbytes() == held.nbytes and storage.data_ptr() not in seen
        flat[name] = held if whole else held.clone()
        seen.add(storage.data_ptr())
    with replacing(Path(path)) as temporary:
        try:
            save_file(flat, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:
            raise StorageError(f"could not write: {error}", where=str(path)) from error


def _existing(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise CheckpointError(f"{what}: {path}")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"cannot read weights from '{path.name}'", fix=f"one of {', '.join(SUFFIXES)}")
    return path


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _check_header(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the file is damaged: {error}", where=str(path)) from error


def _check_header(path: Path) -> None:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER_BYTES, max(path.stat().st_size - 8, 0)):
        limit = MAX_HEADER_BYTES // 2**20
        raise CheckpointError(f"the file's header of {length} bytes is cut off or over {limit} MiB", where=str(path))


def _check_zip(path: Path) -> None:
    """Refuse a zip that would unpack to more than it is."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6: one stream, no longer than what it holds
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"the file is damaged: {error}", where=str(path)) from error
    unpacked = sum(member.file_size for member in members)
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed or unpacked > path.stat().st_size:
        raise CheckpointError(
            f"refused: {path.stat().st_size:,} bytes would unpack to {unpacked:,}, and torch never compresses",
            where=str(path),
            fix="if you trust it, unpack it and save it again with torch.save, or as .safetensors",
        )


def _check_tensor(name: object, tensor: object, file_size: int, path: Path) -> None:
    if not isinstance(name, str) or not isinstance(tensor, Tensor):
        raise CheckpointError(
            f"'{name}' is no tensor but a {type(tensor).__name__}", where=str(path), fix="save model.state_dict() alone"
        )
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(f"'{name}' is a {tensor.layout} tensor on {tensor.device}", where=str(path))
    if tensor.nbytes > file_size:
        raise CheckpointError(
            f"refused: '{name}' of {tuple(tensor.shape)} is larger than the file of {file_size:,} bytes",
            where=str(path),
        )


def _refusal(path: Path, message: str) -> CheckpointError:
    """What the file wanted to call, in our words."""
    named = re.search(r"(?:GLOBAL|Unsupported class|Unsupported global:?)\s+(?:GLOBAL\s+)?([\w.]+)", message)
    reason = f"it wants to call {named.group(1)}" if named else _first_reason(message)
    return CheckpointError(
        f"refused, and nothing of it was run: {reason}",
        where=str(path),
        fix="get the weights as .safetensors, or as a plain state_dict",
    )


def _first_reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    known = [line for line in lines if "WeightsUnpickler error" in line or "Unsupported" in line]
    return (known or lines or ["not a plain state_dict"])[0]
