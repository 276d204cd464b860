"""Files are named by their bytes, looked into, and never run."""

from __future__ import annotations

import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scirs_neural.core.errors import CheckpointError
from scirs_neural.serialization.describe import describe_file
from scirs_neural.serialization.formats import TITLES, identify
from scirs_neural.serialization.pt2 import DTYPES
from tests.serialization.nets import net


@pytest.fixture(scope="module")
def files(written, graph) -> dict[str, Path]:
    """By kind: a file."""
    return {**written[0], "onnx": graph.path}


def expected() -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in net("zoo-cnn")[0].state_dict().items()}


@pytest.mark.feature(126)
@pytest.mark.parametrize(
    ("kind", "prefix"),
    [("package", ""), ("safetensors", ""), ("torch", ""), ("torch-stream", "model_state_dict."),
     ("lightning", "state_dict.net."), ("huggingface", ""), ("torch-export", "")],
)  # fmt: skip
def test_kind_and_tensors_are_named(files, kind: str, prefix: str, tmp_path: Path) -> None:
    held = describe_file(files[kind])
    assert (held.kind, held.refused, held.title) == (kind, "", TITLES[kind])
    shapes = {t.name.removeprefix(prefix): t.shape for t in held.tensors if t.name.startswith(prefix)}
    assert shapes == expected()
    assert {t.dtype for t in held.tensors} <= {"F32", "I64", "float32", "int64"}
    nameless = tmp_path / "file"  # the name says nothing
    if files[kind].is_file():
        nameless.write_bytes(files[kind].read_bytes())
        assert identify(nameless) == kind


@pytest.mark.feature(126)
def test_facts_are_shown(files) -> None:
    assert describe_file(files["lightning"]).facts["hyper_parameters.lr"] == 0.1
    assert describe_file(files["torch-stream"]).facts == {"epoch": 3}
    assert describe_file(files["huggingface"]).facts["model_type"] == "net"
    assert describe_file(files["torch-export"]).facts == {"archive_format": "pt2", "archive_version": "0"}
    graph = describe_file(files["onnx"])
    assert graph.kind == "onnx"
    assert graph.facts["inputs"][0].startswith("input (")
    assert graph.facts["nodes"]["Conv"] == 4
    assert {t.name: t.shape for t in graph.tensors}["head.weight"] == (3, 8)
    assert sum(graph.dtypes.values()) == len(graph.tensors)


def zipped(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


def scripted(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(nn.Linear(2, 1), torch.zeros(1, 2)).save(str(path))


def arrays(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros((2, 3), "int16"), b=np.ones(4))


def array(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.zeros((2, 3), "float16"))


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


OTHERS: dict[str, Callable[[Path], Any]] = {
    "torchscript": scripted,
    "npz": arrays,
    "numpy": array,
    "gguf": content(b"GGUF" + struct.pack("<IQQ", 3, 7, 5)),
    "hdf5": content(b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "tflite": content(struct.pack("<I", 28) + b"TFL3" + bytes(20)),
    "executorch": content(struct.pack("<I", 28) + b"ET12" + bytes(20)),
    "pickle": content(pickle.dumps({"a": [1, 2]})),
    "keras": zipped("config.json", "metadata.json", "model.weights.h5"),
    "aotinductor": zipped("m/archive_format", "m/data/aotinductor/model/a.so"),
    "zip": zipped("readme.txt", "a/b.csv"),
    "folder": lambda path: path.mkdir(),
    "unknown": content(b"weights, honestly"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_named_too(kind: str, tmp_path: Path) -> None:
    OTHERS[kind](tmp_path / "file.pt")
    held = describe_file(tmp_path / "file.pt")
    assert (held.kind, held.refused) == (kind, "")
    if kind == "gguf":
        assert held.facts == {"GGUF version": 3, "tensors": 7, "metadata entries": 5}
    if kind == "npz":
        assert [(t.name, t.dtype, t.shape) for t in held.tensors] == [("a", "int16", (2, 3)), ("b", "float64", (4,))]
    if kind == "numpy":
        assert [(t.dtype, t.shape) for t in held.tensors] == [("float16", (2, 3))]


def test_there_is_a_file_of_every_kind() -> None:
    read = {"package", "safetensors", "torch", "torch-stream", "lightning", "huggingface", "torch-export", "onnx"}
    assert read | OTHERS.keys() | {"run"} == TITLES.keys()


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.canary}",)


def test_a_file_that_would_run_code_says_what(tmp_path: Path) -> None:
    torch.save({"weight": Payload(tmp_path / "canary")}, tmp_path / "bad.pt")
    held = describe_file(tmp_path / "bad.pt")
    assert held.kind == "torch"
    assert f"{os.system.__module__}.system" in held.refused
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", ["package", "safetensors", "torch", "huggingface", "torch-export", "onnx"])
def test_damaged_files_are_still_named(files, kind: str, tmp_path: Path) -> None:
    source = files[kind] / "config.json" if files[kind].is_dir() else files[kind]
    target = tmp_path / "config.json" if kind == "huggingface" else tmp_path / source.name
    target.write_bytes(source.read_bytes()[:-7])
    held = describe_file(tmp_path if kind == "huggingface" else target)
    assert held.refused
    assert held.kind in (kind, "unknown")


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        describe_file(tmp_path / "none.pt")
    (tmp_path / "empty.safetensors").touch()
    assert describe_file(tmp_path / "empty.safetensors").kind == "unknown"


def test_most_kinds_are_looked_into_without_torch(files, python) -> None:
    paths = [str(files[kind]) for kind in ("package", "safetensors", "huggingface", "torch-export", "onnx")]
    code = (
        "import sys\nfrom scirs_neural.serialization.describe import describe_file\n"
        f"for path in {paths!r}:\n    held = describe_file(path)\n    assert not held.refused, held.refused\n"
        "    print(held.kind, len(held.tensors) > 0, 'torch' in sys.modules)"
    )
    ended = python("-c", code)
    assert [line.split()[1:] for line in ended.stdout.splitlines()] == [["True", "False"]] * 5, ended.stderr


def test_dtypes_of_programs_are_torch_s() -> None:
    from torch._export.serde.schema import ScalarType

    names = {"byte": "uint8", "char": "int8", "short": "int16", "int": "int32", "long": "int64", "half": "float16",
             "float": "float32", "double": "float64", "complexhalf": "complex32", "complexfloat": "complex64",
             "complexdouble": "complex128"}  # fmt: skip
    for held in ScalarType:
        if held.name != "UNKNOWN":
            lower = held.name.lower()
            name = names.get(lower, lower.replace("float8e", "float8_e"))
            assert DTYPES[held.value] == name
            assert isinstance(getattr(torch, name), torch.dtype)


def test_strided_weights_of_a_program_come_back(tmp_path: Path) -> None:
    from scirs_neural.serialization.sources import read_source

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.arange(12.0).reshape(3, 4)
            self.turned, self.part = nn.Parameter(whole.T), nn.Parameter(whole[1:])
            self.empty = nn.Parameter(torch.zeros(0, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.turned + self.part.sum() + self.empty.sum()

    model = Turned().eval()
    with warnings.catch_warnings(action="ignore"):  # torch's: that part is a piece of whole
        torch.export.save(torch.export.export(model, (torch.ones(1, 4),)), tmp_path / "net.pt2")
    state = read_source(tmp_path / "net.pt2").state
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
