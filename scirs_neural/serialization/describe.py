"""What is in a model file: its tensors and the plain data beside them. Nothing is executed.

Torch is loaded only for files of ``torch.save``, which nothing else reads safely.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.tensors import Header, read_header
from scirs_neural.guard.text import read_json
from scirs_neural.guard.zip_index import read_member
from scirs_neural.serialization.formats import TITLES, identify, zip_bytes, zip_members
from scirs_neural.serialization.pt2 import stored_tensors

_GGUF_HEAD, _NPY_HEAD = 24, 16_384


@dataclass(frozen=True)
class TensorFact:
    """One tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Description:
    """What a file is and holds.

    Args:
        path: the file or folder.
        kind: a key of `TITLES`.
        num_bytes: on the disk.
        tensors: in the order of the file.
        facts: other facts in it.
        refused: why it would not be loaded; empty if it would.
    """

    path: str
    kind: str
    num_bytes: int
    tensors: list[TensorFact] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    refused: str = ""

    @property
    def title(self) -> str:
        """The kind in words."""
        return TITLES[self.kind]

    @property
    def num_values(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def dtypes(self) -> dict[str, int]:
        """How many tensors there are of each dtype."""
        return dict(Counter(tensor.dtype for tensor in self.tensors))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = asdict(self)
        return {**plain, "title": self.title, "num_values": self.num_values, "dtypes": self.dtypes}


def describe_file(path: str | Path) -> Description:
    """Look at a model file or folder.

    A file that is refused is still named, with the reason.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(path).expanduser()
    try:
        kind = identify(path)
    except CheckpointError as error:
        if not path.exists():
            raise
        return Description(str(path), "unknown", _size(path), refused=error.what)
    try:
        tensors, facts = _LOOKS[kind](path) if kind in _LOOKS else ([], {})
    except CheckpointError as error:
        return Description(str(path), kind, _size(path), refused=error.what)
    return Description(str(path), kind, _size(path), tensors, facts)


Looked = tuple[list[TensorFact], dict[str, Any]]


def _package(path: Path) -> Looked:
    from scirs_neural.serialization.package import inspect_package

    package = inspect_package(path)
    facts = {
        "name": package.manifest.name,
        "format version": package.version,
        **package.shown(),
        "members": list(package.manifest.members),
    }
    return [TensorFact(name, dtype, shape) for name, (dtype, shape) in package.tensors.items()], facts


def _safetensors(path: Path) -> Looked:
    header = read_header(path)
    return _in(header), dict(header.metadata)


def _huggingface(path: Path) -> Looked:
    config = read_json(path / "config.json", allow_nan=True)
    files = sorted(path.glob("*.safetensors"))
    tensors = [fact for file in files for fact in _in(read_header(file))]
    if not tensors and (path / "pytorch_model.bin").is_file():
        tensors, _ = _torch(path / "pytorch_model.bin")
    keys = ("architectures", "architecture", "model_type", "torch_dtype", "dtype", "transformers_version")
    facts = {key: config[key] for key in keys if key in config} if isinstance(config, dict) else {}
    tokenizer = _tokenizer(path)
    return tensors, {**facts, **tokenizer, "files": sorted(file.name for file in path.iterdir())}


def _tokenizer(path: Path) -> dict[str, Any]:
    """What the tokenizer of a folder is, in a line."""
    from scirs_neural.guard.tokenizer import read_tokenizer

    files = read_tokenizer(path)
    if "tokenizer.json" not in files:
        return {"tokenizer": ", ".join(files)} if files else {}
    model = read_json(files["tokenizer.json"], where=str(path / "tokenizer.json"))["model"]
    return {"tokenizer": f"{model.get('type', 'of some kind')}, {len(model['vocab']):,} words"}


def _torch(path: Path) -> Looked:
    from scirs_neural.guard.weights import read_checkpoint

    return _tree(read_checkpoint(path))


def _tree(content: Any) -> Looked:
    """Tensors of nested mappings by dotted name; other values as they are."""
    import torch

    tensors: list[TensorFact] = []
    facts: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            tensors.append(TensorFact(prefix or "the tensor", dtype, tuple(value.shape)))
        elif isinstance(value, dict):
            for key, part in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), part)
        elif isinstance(value, (list, tuple)) and any(isinstance(part, (torch.Tensor, dict)) for part in value):
            for number, part in enumerate(value):
                walk(f"{prefix}.{number}", part)
        else:
            facts[prefix or "value"] = value if isinstance(value, (bool, int, float, str, type(None))) else str(value)

    walk("", content)
    ordered = sorted(facts, key=lambda name: (not name.startswith("hyper_parameters"), name.count(".")))
    return tensors, {name: facts[name] for name in ordered}


def _torch_export(path: Path) -> Looked:
    tensors = [TensorFact(name, tensor.dtype, tensor.shape) for name, tensor in stored_tensors(path).items()]
    members = {name.partition("/")[2]: member for name, member in zip_members(path).items()}
    told = [name for name in ("archive_format", "archive_version") if name in members]
    return tensors, {name: zip_bytes(path, members[name]).decode("utf-8", "replace") for name in told}


def _onnx(path: Path) -> Looked:
    from scirs_neural.guard.onnx import read_onnx

    graph = read_onnx(path)
    from onnx import TensorProto

    model, kinds = graph.model, TensorProto.DataType
    tensors = [TensorFact(t.name, kinds.Name(t.data_type), tuple(t.dims)) for t in model.graph.initializer]

    def places(values: Any) -> list[str]:
        return [f"{v.name} ({', '.join(_dimension(d) for d in v.type.tensor_type.shape.dim)})" for v in values]

    facts = {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "IR version": model.ir_version,
        "operators": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "inputs": places(model.graph.input),
        "outputs": places(model.graph.output),
        "nodes": dict(Counter(node.op_type for node in model.graph.node)),
        "tensors in other files": len(graph.external),
    }
    return tensors, facts


def _dimension(dim: Any) -> str:
    return dim.dim_param or str(dim.dim_value)


def _gguf(path: Path) -> Looked:
    with open(path, "rb") as file:
        head = file.read(_GGUF_HEAD)
    version, tensors, entries = (int.from_bytes(head[a:b], "little") for a, b in ((4, 8), (8, 16), (16, 24)))
    return [], {"GGUF version": version, "tensors": tensors, "metadata entries": entries}


def _npz(path: Path) -> Looked:
    tensors = []
    with open(path, "rb") as file:
        for name, member in zip_members(path).items():
            head = next(read_member(file, member, str(path)), b"")
            tensors.append(_array(name.removesuffix(".npy"), head, path))
    return tensors, {}


def _npy(path: Path) -> Looked:
    with open(path, "rb") as file:
        return [_array("array", file.read(_NPY_HEAD), path)], {}


def _array(name: str, content: bytes, path: Path) -> TensorFact:
    """An array's head, by NumPy's reader."""
    from numpy.lib import format as npy

    stream = io.BytesIO(content)
    try:
        read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, EOFError, TypeError) as error:
        raise CheckpointError("an array in it is damaged", where=str(path)) from error
    return TensorFact(name, str(dtype), tuple(shape))


def _in(header: Header) -> list[TensorFact]:
    return [TensorFact(name, info.dtype, info.shape) for name, info in header.tensors.items()]


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


_LOOKS: dict[str, Callable[[Path], Looked]] = {
    "package": _package,
    "safetensors": _safetensors,
    "huggingface": _huggingface,
    "torch": _torch,
    "torch-stream": _torch,
    "lightning": _torch,
    "torch-export": _torch_export,
    "onnx": _onnx,
    "gguf": _gguf,
    "npz": _npz,
    "numpy": _npy,
}
