"""ONNX files, judged before any runtime sees them: where their data lie, and which operators they use. No torch.

A graph may keep its tensors in other files, by path, offset and length: every reader of ONNX was once made to read
files outside of the folder in this way. Here such a file must be a plain one in the graph's own folder or below it, and
each tensor a piece of it that lies inside, is as long as its shape says, and overlaps no other.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from scirs_neural.core.errors import CheckpointError, MissingExtraError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown, unsafe_name

DOMAINS = frozenset({
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training",
    "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc",
})  # fmt: skip
_KEYS = frozenset({"location", "offset", "length", "checksum"})
_TEXT_TYPE = 8  # TensorProto.STRING
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip


@dataclass(frozen=True)
class ExternalTensor:
    """A tensor that lies in another file."""

    name: str
    path: Path
    offset: int
    length: int


@dataclass(frozen=True)
class OnnxFile:
    """A graph that was judged: ``model`` is onnx's own ModelProto, without the data of other files."""

    model: Any
    external: tuple[ExternalTensor, ...]


def read_onnx(path: str | Path, *, domains: Iterable[str] = DOMAINS) -> OnnxFile:
    """Read an ONNX file and judge what it refers to.

    Args:
        path: the file.
        domains: of operators that are taken, beside those of functions in the file itself.

    Raises:
        CheckpointError: there is no such file.
        RefusedError: it is damaged, uses operators of an unknown domain, has functions that call themselves, or its
            tensors are not where and what it says.
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "reading an ONNX file") from error
    path = Path(path).expanduser()
    where = str(path)
    with storage_errors(path, "read"):
        if not path.is_file():
            raise CheckpointError(f"no such file: {path}")
        if path.stat().st_size > BUDGETS.onnx_bytes:
            raise RefusedError(f"refused: it is larger than {BUDGETS.onnx_bytes:,} bytes", where=where)
        content = path.read_bytes()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf has several kinds, none of them public
        raise RefusedError("refused: it is damaged or no ONNX file", where=where) from error
    if not model.HasField("graph") or not model.opset_import:
        raise RefusedError("refused: it is no ONNX file: it has no graph or no operator versions", where=where)
    found = _Judge(path, frozenset(domains)).judge(model)
    return OnnxFile(model, tuple(found))


class _Judge:
    """Looks at every node and every tensor of one file."""

    def __init__(self, path: Path, domains: frozenset[str]) -> None:
        self.path, self.domains = path, domains
        self.external: list[ExternalTensor] = []

    def judge(self, model: Any) -> list[ExternalTensor]:
        """All of a model: its graph, its functions, what it trains with."""
        functions = {(function.domain, function.name): function for function in model.functions}
        self.functions = frozenset(functions)
        self.check_calls(functions)
        graphs = [
            model.graph,
            *(graph for info in model.training_info for graph in (info.initialization, info.algorithm)),
        ]
        for graph in graphs:
            self.graph(graph, 0)
        for function in model.functions:
            self.nodes(function.node, 0)
        self.check_overlaps()
        return self.external

    def graph(self, graph: Any, depth: int) -> None:
        """A graph, and those within its nodes."""
        if depth > BUDGETS.depth:
            self.refuse(f"its graphs are nested deeper than {BUDGETS.depth}")
        for tensor in graph.initializer:
            self.tensor(tensor)
        for sparse in graph.sparse_initializer:
            self.tensor(sparse.values)
            self.tensor(sparse.indices)
        self.nodes(graph.node, depth)

    def nodes(self, nodes: Iterable[Any], depth: int) -> None:
        """Nodes, and what stands in their attributes."""
        for node in nodes:
            if node.domain not in self.domains and (node.domain, node.op_type) not in self.functions:
                self.refuse(f"the operator {shown(node.op_type)} is of the unknown domain {shown(node.domain)}")
            for attribute in node.attribute:
                for tensor in _tensors(attribute):
                    self.tensor(tensor)
                for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                    self.graph(graph, depth + 1)

    def check_calls(self, functions: dict[tuple[str, str], Any]) -> None:
        """Refuse functions that call themselves, directly or through others."""
        calls = {
            key: {(node.domain, node.op_type) for node in _all_nodes(function.node)} & functions.keys()
            for key, function in functions.items()
        }
        while calls:
            leaves = {key for key, called in calls.items() if not called}
            if not leaves:
                self.refuse(f"the function {shown(min(calls)[1])} calls itself")
            calls = {key: called - leaves for key, called in calls.items() if key not in leaves}

    def tensor(self, tensor: Any) -> None:
        """One tensor: as long as its shape says, and where it may be."""
        if any(dim < 0 for dim in tensor.dims) or len(tensor.dims) > BUDGETS.dimensions:
            self.refuse(f"the tensor {shown(tensor.name)} has the shape {shown(list(tensor.dims))}")
        bits = _BITS.get(tensor.data_type)
        size = None if bits is None else (math.prod(tensor.dims) * bits + 7) // 8
        if tensor.data_location == 1:
            self.outside(tensor, size)
        elif tensor.external_data:
            self.refuse(f"the tensor {shown(tensor.name)} lies in two places")
        elif bits is None and tensor.data_type != _TEXT_TYPE:
            self.refuse(f"the tensor {shown(tensor.name)} has the unknown type {tensor.data_type}")
        elif size is not None and tensor.HasField("raw_data") and len(tensor.raw_data) != size:
            self.refuse(f"the tensor {shown(tensor.name)} has {len(tensor.raw_data):,} bytes, its shape {size:,}")

    def outside(self, tensor: Any, size: int | None) -> None:
        """A tensor in another file."""
        name = shown(tensor.name)
        facts = {entry.key: entry.value for entry in tensor.external_data}
        if len(facts) < len(tensor.external_data) or not facts.keys() <= _KEYS or "location" not in facts:
            self.refuse(f"the place of the tensor {name} is said twice, not at all, or in unknown words")
        location = facts["location"]
        if reason := unsafe_name(location.removeprefix("./")):
            self.refuse(f"the tensor {name} lies in {shown(location)}: {reason}")
        place = self.path.parent
        for part in location.removeprefix("./").split("/"):
            place = place / part
            if place.is_symlink():
                self.refuse(f"the tensor {name} lies behind the link {shown(location)}")
        try:
            facts_of_file = os.lstat(place)
        except OSError:
            self.refuse(f"the file {shown(location)} of the tensor {name} is not there")
        if not stat.S_ISREG(facts_of_file.st_mode) or facts_of_file.st_nlink > 1:
            self.refuse(f"{shown(location)} is no plain file, or has a second name elsewhere")
        offset = self.count(facts.get("offset", "0"), name)
        length = self.count(facts["length"], name) if "length" in facts else facts_of_file.st_size - offset
        if size is None or length != size or offset + length > facts_of_file.st_size or length < 0:
            self.refuse(f"the tensor {name} is not the {size} bytes of its shape, or lies outside of {shown(location)}")
        self.external.append(ExternalTensor(tensor.name, place, offset, length))

    def count(self, text: str, name: str) -> int:
        """An offset or a length."""
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            self.refuse(f"the place of the tensor {name} has the number {shown(text)}")
        return int(text)

    def check_overlaps(self) -> None:
        """Refuse tensors that lie on top of each other."""
        ends: dict[Path, int] = {}
        for found in sorted(self.external, key=lambda one: (str(one.path), one.offset)):
            if found.length and found.offset < ends.get(found.path, 0):
                self.refuse(f"the tensor {shown(found.name)} lies on top of another")
            ends[found.path] = max(ends.get(found.path, 0), found.offset + found.length)

    def refuse(self, what: str) -> NoReturn:
        raise RefusedError(f"refused: {what}", where=str(self.path))


def _tensors(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in ([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []) + list(
        attribute.sparse_tensors
    ):
        yield sparse.values
        yield sparse.indices


def _all_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes, and those in the graphs of their attributes."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                waiting.extend(graph.node)
