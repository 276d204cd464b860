"""ONNX graphs that reach for other files or code."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from tests.guard.attacks.corpus import COMMAND, Cases, family, put
from tests.guard.attacks.pickles import Call


def graph(domain: str = "", functions: Any = (), initializers: Any = (), opset: int = 20) -> Any:
    from onnx import TensorProto, helper

    node = helper.make_node("Relu" if not domain else "Evil", ["x"], ["y"], domain=domain)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    made = helper.make_graph([node], "g", infos[:1], infos[1:], initializer=list(initializers))
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(made, opset_imports=imports, functions=list(functions))


def outside(name: str = "w", dims: tuple[int, ...] = (2,), **places: Any) -> Any:
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=list(dims), data_location=TensorProto.EXTERNAL)
    for key, value in places.items():
        tensor.external_data.add(key=key.rstrip("_"), value=str(value))
    return tensor


@family("onnx")
def onnx_places(folder: Path) -> Cases:
    """Tensors in other files."""
    home = folder / "home"
    put(folder / "secret.bin", bytes(64))
    put(home / "w.bin", bytes(64))
    (home / "link.bin").symlink_to(folder / "secret.bin")
    (home / "dir").symlink_to(folder, target_is_directory=True)
    os.link(folder / "secret.bin", home / "hard.bin")
    os.mkfifo(home / "pipe.bin")
    good = {"location": "w.bin", "offset": 0, "length": 8}
    cases: dict[str, Any] = {
        "up": [outside(**{**good, "location": "../secret.bin"})],
        "up again": [outside(**{**good, "location": "a/../../secret.bin"})],
        "absolute": [outside(**{**good, "location": str(folder / "secret.bin")})],
        "passwd": [outside(**{**good, "location": "/etc/passwd"})],
        "backslash": [outside(**{**good, "location": "..\\secret.bin"})],
        "address": [outside(**{**good, "location": "http://localhost/w"})],
        "link": [outside(**{**good, "location": "link.bin"})],
        "link above": [outside(**{**good, "location": "dir/secret.bin"})],
        "hard link": [outside(**{**good, "location": "hard.bin"})],
        "pipe": [outside(**{**good, "location": "pipe.bin"})],
        "nowhere": [outside(**{**good, "location": "none.bin"})],
        "empty": [outside(**{**good, "location": ""})],
        "no location": [outside(offset=0, length=8)],
        "unknown key": [outside(**good, basepath="/")],
        "key twice": [outside(**good, location_="../secret.bin")],
        "outside": [outside(**{**good, "offset": 60})],
        "negative": [outside(**{**good, "offset": -8})],
        "huge offset": [outside(**{**good, "offset": 1 << 70})],
        "text": [outside(**{**good, "length": "8; touch canary"})],
        "longer": [outside(**{**good, "length": 64})],
        "huge": [outside(dims=(1 << 40,), **{**good, "length": 1 << 42})],
        "overflow": [outside(dims=(1 << 62, 4), **good)],
        "overlap": [outside(**good), outside(name="v", **{**good, "offset": 4})],
        "many on one": [outside(name=str(number), **good) for number in range(1000)],
    }
    for name, tensors in cases.items():
        yield name, put(home / f"{name}.onnx", graph(initializers=tensors).SerializeToString())


@family("onnx")
def onnx_graphs(folder: Path) -> Cases:
    """Operators of strangers, functions without end, tensors of another size than their shape."""
    from onnx import AttributeProto, TensorProto, helper

    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    again = helper.make_function("own", "F", ["x"], ["y"], [helper.make_node("F", ["x"], ["y"], domain="own")], opsets)
    loops = graph(functions=[again])
    inner = graph("evil.ops").graph
    nested = graph()
    nested.graph.node[0].attribute.add(name="body", type=AttributeProto.GRAPH).g.CopyFrom(inner)
    short = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40], raw_data=bytes(8))
    strange = TensorProto(name="w", data_type=99, dims=[2], raw_data=bytes(8))
    negative = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-1, -2], raw_data=bytes(8))
    both = outside(location="w.bin")
    both.data_location = TensorProto.DEFAULT
    attribute = graph()
    attribute.graph.node[0].attribute.add(name="t", type=AttributeProto.TENSOR).t.CopyFrom(
        outside(location="/etc/passwd", offset=0, length=8)
    )
    whole = graph().SerializeToString()
    cases: dict[str, bytes] = {
        "unknown domain": graph("evil.ops").SerializeToString(), "near domain": graph("ai.onnx.evil").SerializeToString(),
        "python operator": graph("ai.onnx.contrib").SerializeToString(), "domain within": nested.SerializeToString(),
        "endless function": loops.SerializeToString(), "short tensor": graph(initializers=[short]).SerializeToString(),
        "strange type": graph(initializers=[strange]).SerializeToString(),
        "negative shape": graph(initializers=[negative]).SerializeToString(),
        "two places": graph(initializers=[both]).SerializeToString(), "in an attribute": attribute.SerializeToString(),
        "half": whole[: len(whole) // 2], "empty": b"", "text": b"onnx, honestly", "random": bytes(range(256)) * 9,
        "pickle": pickle.dumps(Call(os.system, COMMAND)), "no opsets": b"\x08\x08",
    }  # fmt: skip
    for name, content in cases.items():
        yield name, put(folder / f"{name}.onnx", content)
