"""Weights out of files of every kind that has some: names to tensors, and the plain data beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown, unsafe_name
from scirs_neural.guard.onnx import read_onnx
from scirs_neural.guard.text import read_json
from scirs_neural.guard.tokenizer import read_tokenizer
from scirs_neural.guard.weights import read_checkpoint, read_metadata, read_state_dict
from scirs_neural.guard.zip_index import STORED
from scirs_neural.serialization.formats import TITLES, identify, zip_bytes
from scirs_neural.serialization.pt2 import stored_tensors

HF_CONFIG, HF_WEIGHTS, HF_INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
HF_PICKLED = "pytorch_model.bin"  # of before, and of timm: a file of torch.save
OURS = "scirs_neural"  # the key of config.json under which a network of this library says how it is built


@dataclass(frozen=True)
class Source:
    """Weights, and what stood beside them.

    Args:
        kind: of the file, a key of `TITLES`.
        state: names to tensors.
        facts: plain data: hyper-parameters, a folder's configuration, texts.
        tokenizer: the files of a tokenizer, by name.
    """

    kind: str
    state: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, bytes] = field(default_factory=dict)


def read_source(path: str | Path) -> Source:
    """Read the weights of a file or folder, whatever its kind. Nothing in it is run.

    Raises:
        CheckpointError: it is of a kind that has no weights to read, or damaged.
        RefusedError: it is dishonest, or asks for code to be run.
    """
    path = Path(path).expanduser()
    kind = identify(path)
    if kind not in _READERS:
        fix = "package it first: python -m scirs_neural.package RUN" if kind == "run" else None
        raise CheckpointError(f"cannot take weights from {TITLES[kind]}", where=str(path), fix=fix)
    state, facts = _READERS[kind](path)
    if not state:
        raise CheckpointError("it holds no weights", where=str(path))
    return Source(kind, state, facts, read_tokenizer(path) if kind == "huggingface" else {})


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return read_state_dict(path), dict(read_metadata(path))


def _torch(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return read_state_dict(path), {}


def _lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and hyper-parameters of a checkpoint of a plain Lightning project."""
    checkpoint = read_checkpoint(path)
    known = ("hyper_parameters", "epoch", "global_step", "pytorch-lightning_version")
    facts = {key: plain(checkpoint[key]) for key in known if checkpoint.get(key) is not None}
    return read_state_dict(path), facts


def _huggingface(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    config = read_json(path / HF_CONFIG, allow_nan=True)  # there are honest ones with Infinity
    if not isinstance(config, dict):
        raise CheckpointError("config.json is no mapping", where=str(path))
    if (path / HF_WEIGHTS).is_file():
        return read_state_dict(path / HF_WEIGHTS), config
    if not (path / HF_INDEX).is_file():
        if (path / HF_PICKLED).is_file():
            return read_state_dict(path / HF_PICKLED), config
        raise CheckpointError(f"the folder has no {HF_WEIGHTS}", where=str(path))
    index = read_json(path / HF_INDEX)
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict) or not all(isinstance(file, str) for file in table.values()):
        raise CheckpointError(f"{HF_INDEX} has no weight_map", where=str(path))
    state: dict[str, Tensor] = {}
    for file in sorted(set(table.values())):
        if unsafe_name(file) or "/" in file or not file.endswith(".safetensors"):
            raise RefusedError(f"refused: {HF_INDEX} names the file {shown(file)}", where=str(path))
        state |= read_state_dict(path / file)
    if state.keys() != table.keys():
        raise CheckpointError(f"the files do not hold what {HF_INDEX} says", where=str(path))
    return state, config


def _torch_export(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a .pt2 file; its program is not looked at. Tensors that share memory in it still do."""
    state: dict[str, Tensor] = {}
    read: dict[str, bytearray] = {}
    left = path.stat().st_size  # for those that have to be laid out anew
    for name, stored in stored_tensors(path).items():
        if stored.member.method != STORED:
            raise RefusedError(f"refused: {shown(name)} is compressed, and torch never compresses", where=str(path))
        if stored.member.name not in read:
            read[stored.member.name] = bytearray(zip_bytes(path, stored.member, limit=BUDGETS.archive_bytes))
        content, dtype = read[stored.member.name], getattr(torch, stored.dtype)
        count = math.prod(stored.shape)
        if count > len(content) // dtype.itemsize:
            raise RefusedError(f"refused: {shown(name)} is larger than its bytes", where=str(path))
        try:
            flat = torch.frombuffer(content, dtype=dtype) if count else torch.empty(0, dtype=dtype)
            tensor = flat.as_strided(stored.shape, stored.strides, stored.offset if count else 0)
        except (RuntimeError, ValueError) as error:
            raise RefusedError(f"refused: {shown(name)} lies outside of its bytes", where=str(path)) from error
        left -= 0 if tensor.is_contiguous() else tensor.nbytes
        if left < 0:
            raise RefusedError("refused: its tensors are larger than the file", where=str(path))
        state[name] = tensor.contiguous()
    return state, {}


def _onnx(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The initial values of a graph, by their names in it. Exporters may have folded layers into each other."""
    model = read_onnx(path).model
    from onnx import numpy_helper

    state = {}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor, base_dir=str(path.parent))
        state[tensor.name] = torch.from_numpy(array.copy())
    return state, {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "ir_version": model.ir_version,
    }


def plain(value: Any) -> Any:
    """Hyper-parameters as JSON has them; what is no plain data becomes its text.

    Example:
        >>> plain({"lr": 0.1, "size": (3, 4), "path": Path("a")})
        {'lr': 0.1, 'size': [3, 4], 'path': 'a'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def as_texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Plain data as the texts that a safetensors file can carry."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


_READERS: dict[str, Callable[[Path], tuple[dict[str, Tensor], dict[str, Any]]]] = {
    "safetensors": _safetensors,
    "torch": _torch,
    "torch-stream": _torch,
    "lightning": _lightning,
    "huggingface": _huggingface,
    "torch-export": _torch_export,
    "onnx": _onnx,
}
