"""Headers of safetensors that lie."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

from tests.guard.attacks.archives import raw_zip
from tests.guard.attacks.corpus import COMMAND, Cases, family, one, put, tensor_file
from tests.guard.attacks.pickles import Call


@family("state_dict")
def safetensors_headers(folder: Path) -> Cases:
    """Headers of every wrong kind."""
    text = json.dumps(one()).encode()
    headers: dict[str, bytes] = {
        "empty file": b"", "seven bytes": bytes(7), "no header": bytes(8), "length 1": struct.pack("<Q", 1) + b"{",
        "length of 2 to the 40": tensor_file(text, bytes(8), 1 << 40),
        "length of 2 to the 64": b"\xff" * 8 + text + bytes(8),
        "length one more": tensor_file(text, bytes(8), len(text) + 1),
        "length one less": tensor_file(text, bytes(8), len(text) - 1),
        "90 MB of metadata": tensor_file({"__metadata__": {"a": "x" * 90_000_000}}),
        "two million lists": tensor_file(b'{"a":[' + b"[]," * 2_000_000 + b"0]}"),
        "no json": tensor_file(b"{w: 1}"), "a list": tensor_file([]), "a number": tensor_file(b"11"),
        "space before": tensor_file(b" " + text, bytes(8)), "not utf-8": tensor_file(b'{"\xff": 1}'),
        "utf-16": tensor_file(text.decode().encode("utf-16"), bytes(8)), "nul in it": tensor_file(text + b"\0", bytes(8)),
        "two values": tensor_file(text + b"{}", bytes(8)),
        "deep": tensor_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        "a key twice": tensor_file(b'{"w":' + json.dumps(one()["w"]).encode() + b"," + text[1:], bytes(8)),
        "a field twice": tensor_file(text.replace(b'"shape": [2]', b'"shape": [2], "shape": [2]'), bytes(8)),
        "metadata of numbers": tensor_file({"__metadata__": {"a": 1}}),
        "metadata as list": tensor_file({"__metadata__": ["a"]}),
        "metadata nested": tensor_file({"__metadata__": {"a": {"b": "c"}}}),
        "half a letter": tensor_file(b'{"__metadata__": {"a": "\\ud800"}}'),
        "pickle": pickle.dumps(Call(os.system, COMMAND)),
        "zip": raw_zip([(b"a", b"x")]),
    }  # fmt: skip
    for name, content in headers.items():
        yield name, put(folder / f"{name}.safetensors", content)


@family("state_dict")
def safetensors_tensors(folder: Path) -> Cases:
    """Tensors that are not where, or what, or as long as they say."""
    two = {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}
    changes: dict[str, tuple[Any, bytes]] = {
        "overlap": ({**two, "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}}, bytes(6)),
        "same bytes": ({**two, "b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
        "hole": ({**two, "b": {"dtype": "U8", "shape": [2], "data_offsets": [6, 8]}}, bytes(8)),
        "hole before": (one(data_offsets=[8, 16]), bytes(16)),
        "hole behind": (one(), bytes(9)), "cut off": (one(), bytes(7)), "no data": (one(), b""),
        "longer shape": (one(shape=[3]), bytes(8)), "shorter shape": (one(shape=[1]), bytes(8)),
        "overflow 64": (one(shape=[1 << 32, 1 << 32]), bytes(8)),
        "overflow to 8": (one(shape=[(1 << 62) + 2]), bytes(8)),
        "overflow to zero": (one(shape=[1 << 63, 2], data_offsets=[0, 0]), b""),
        "terabyte": (one(shape=[1 << 40], data_offsets=[0, 1 << 42]), bytes(8)),
        "negative size": (one(shape=[-2]), bytes(8)), "two negatives": (one(shape=[-1, -2]), bytes(8)),
        "fraction": (one(shape=[2.0]), bytes(8)), "truth": (one(shape=[True, 2]), bytes(8)),
        "text": (one(shape="2"), bytes(8)), "null shape": (one(shape=None), bytes(8)),
        "nested shape": (one(shape=[[2]]), bytes(8)), "many dimensions": (one(shape=[1] * 5000 + [2]), bytes(8)),
        "offsets turned": (one(data_offsets=[8, 0]), bytes(8)), "one offset": (one(data_offsets=[0]), bytes(8)),
        "three offsets": (one(data_offsets=[0, 4, 8]), bytes(8)), "negative offset": (one(data_offsets=[-8, 0]), bytes(8)),
        "huge offset": (one(data_offsets=[0, 1 << 70]), bytes(8)), "offset text": (one(data_offsets="08"), bytes(8)),
        "unknown dtype": (one(dtype="F31"), bytes(8)), "dtype in small": (one(dtype="f32"), bytes(8)),
        "dtype number": (one(dtype=32), bytes(8)), "dtype list": (one(dtype=["F32"]), bytes(8)),
        "wrong dtype": (one(dtype="F64"), bytes(8)), "missing field": ({"w": {"dtype": "F32", "shape": [2]}}, bytes(8)),
        "more fields": (one(code="x"), bytes(8)), "tensor is a list": ({"w": [1]}, b""),
        "tensor is a text": ({"w": "F32"}, b""), "long name": ({"w" * 5000: one()["w"]}, bytes(8)),
        "half a byte": (one(dtype="F4", shape=[3], data_offsets=[0, 2]), bytes(2)),
        "not a number": (b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', bytes(8)),
    }  # fmt: skip
    for name, (header, data) in changes.items():
        yield name, put(folder / f"{name}.safetensors", tensor_file(header, data))
