"""Pickles that run, lie or cost."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guard.attacks.corpus import CANARY, COMMAND, FAMILIES, Cases, family, flipped, put, tensor_file


class Call:
    """Pickled, a call of any function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def calls() -> dict[str, Any]:
    """Nine kinds of calls that leave the canary."""
    import builtins
    import subprocess
    import timeit

    write = f"open({CANARY!r}, 'w').close()"
    inner = pickle.dumps(Call(os.system, COMMAND))
    return {
        "os.system": Call(os.system, COMMAND),
        "eval": Call(builtins.eval, write),
        "exec": Call(builtins.exec, write),
        "popen": Call(subprocess.Popen, ["touch", CANARY]),
        "open": Call(builtins.open, CANARY, "w"),
        "timeit": Call(timeit.timeit, write, "pass", timeit.default_timer, 1),
        "nested pickle": Call(pickle.loads, inner),
        "getattr": Call(Call(getattr, os, "system") and getattr, Call(__import__, "os"), "system"),
        "write_text": Call(Path.write_text, Path(CANARY), "x"),
    }


def pickles_of(kind: str) -> Callable[[Path], Cases]:
    """A family: one call in every place and container."""

    def make(folder: Path) -> Cases:
        import torch

        call = calls()[kind]
        for place, held in {"alone": call, "value": {"weight": call}, "deep": {"a": [({"b": call},)]}}.items():
            for zipped in (True, False):
                path = folder / f"{place} {'zip' if zipped else 'stream'}.pth"
                torch.save(held, path, _use_new_zipfile_serialization=zipped)
                yield path.stem, path
        for protocol in (0, 2, 4):
            path = folder / f"bare {protocol}.pt"
            yield path.stem, put(path, pickle.dumps(call, protocol=protocol))
        held = {"state_dict": {"w": torch.ones(2)}, "hyper_parameters": call, "loops": {}, "epoch": 1}
        torch.save(held, folder / "training.ckpt")
        yield "training checkpoint", folder / "training.ckpt"

    return make


for _kind in calls():
    FAMILIES[f"pickle_of_{_kind.replace(' ', '_')}"] = ("state_dict", pickles_of(_kind))


@family("checkpoint")
def pickle_in_lightning(folder: Path) -> Cases:
    """CVE-2026-58659: Lightning imported and called what the text ``_instantiator`` names; here it is a text."""
    import torch

    for kind in ("os.system", "eval"):
        held = {"state_dict": {}, "hyper_parameters": {"_instantiator": "os.system", "x": calls()[kind]}, "loops": {}}
        torch.save(held, folder / f"{kind}.ckpt")
        yield kind, folder / f"{kind}.ckpt"


@family("state_dict")
def pickle_in_tar(folder: Path) -> Cases:
    for kind, call in list(calls().items())[:3]:
        path = folder / f"{kind}.pt"
        with tarfile.open(path, "w") as tar:
            for name in ("storages", "tensors", "pickle"):
                content = pickle.dumps(0 if name != "pickle" else call, protocol=2)
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        yield kind, path


def torch_zip(path: Path, pickled: bytes, extra: dict[str, bytes] | None = None, method: int = 0) -> Path:
    """A zip as torch.save lays it out, around a pickle of one's own."""
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little", **(extra or {})}.items():
            made.writestr(f"archive/{name}", content)
    return path


@family("state_dict")
def pickle_steps(folder: Path) -> Cases:
    """Steps that torch never writes, and names given in other ways."""
    command = b"S'" + COMMAND.encode() + b"'\n"
    steps = {
        "inst": b"(" + command + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + command + b"o.",
        "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + command + b"\x85R.",
        "newobj": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"P0\n.",
        "name with dots": b"\x80\x02cos\npath.os.system\n" + command + b"\x85R.",
        "unicode name": "\x80".encode("latin1") + b"\x02c" + "o\u017f".encode() + b"\nsystem\n)R.",
        "long name": b"\x80\x02c" + b"a" * 5000 + b"\nb\n.",
        "second pickle": b"\x80\x02}.\x80\x02cos\nsystem\n" + command + b"\x85R.",
        "no stop": b"\x80\x02}",
        "frame": b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
    }
    for name, content in steps.items():
        yield name, torch_zip(folder / f"{name}.pt", content)


@family("checkpoint")
def pickle_of_bytes(folder: Path) -> Cases:
    """What weights_only lets through: memory by the gigabyte from a line of pickle."""
    encode = b"c_codecs\nencode\n"
    text = b"X\x04\x00\x00\x00aaaa"
    grown = text
    for codec in (b"latin1", *[b"hex"] * 28):
        grown = encode + grown + b"X" + struct.pack("<I", len(codec)) + codec + b"\x86R"
    cases = {
        "bytearray": b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x80\x00\x85R.",
        "builtins bytearray": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R.",
        "remembered": b"\x80\x02c__builtin__\nbytearray\nq\x010h\x01J\x00\x00\x00\x7f\x85R.",
        "hex of hex": b"\x80\x02" + grown + b".",
        "codec": b"\x80\x02" + encode + text + b"X\x0b\x00\x00\x00unicode_esc\x86R.",
        "set of a range": b"\x80\x02c__builtin__\nset\nc__builtin__\nrange\nJ\x00\x00\x00\x7f\x85R\x85R.",
    }
    for name, content in cases.items():
        yield name, torch_zip(folder / f"{name}.ckpt", content)


@family("state_dict")
def pickle_that_costs(folder: Path) -> Cases:
    """A few bytes that copy or hash what is remembered again and again, and as many steps as are allowed."""
    ordered, kind_of_set, size = (
        b"ccollections\nOrderedDict\nq\x00",
        b"c__builtin__\nset\nq\x00",
        b"ctorch\nSize\nq\x00",
    )
    counter, encode = b"ccollections\nCounter\nq\x00", b"c_codecs\nencode\nq\x00"
    keys = b"".join(b"J" + struct.pack("<i", i) for i in range(90_000))
    large = b"}q\x01(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(60_000)) + b"u"
    text, latin = b"X\x00\x00\x20\x00" + b"x" * (1 << 21) + b"q\x01", b"X\x06\x00\x00\x00latin1q\x02"
    words = b"".join(b"X\x04\x00\x00\x00%04x" % i for i in range(60_000))
    wide = b"".join(b"\x8a\x10" + (i * (2**61 - 1)).to_bytes(16, "little") + b"N" for i in range(1, 30_000))
    pairs = b"".join(b"J" + struct.pack("<i", i) + b"J" + struct.pack("<i", i * i) + b"\x86N" for i in range(40_000))
    onion = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00)q\x01" + b"h\x00Nh\x01N(h\x00Nh\x01Ntq\x01" * 9_000
    cases = {
        "dictionaries": ordered + large + b"h\x00h\x01\x85R" * 300,
        "dictionaries by mark": ordered + large + b"h\x00(h\x01tR" * 300,
        "states": ordered + large + b"h\x00)Rh\x01b" * 300,
        "sets": kind_of_set + b"]q\x01(" + keys + b"e" + b"h\x00h\x01\x85R" * 300,
        "sizes": size + b"]q\x01(" + keys + b"e" + b"h\x00h\x01\x85R" * 300,
        "bytes": encode + text + latin + b"\x86R" + b"h\x00h\x01h\x02\x86R" * 300,
        "counted letters": counter + text + b"h\x00h\x01\x85R" * 50,
        "set of letters": kind_of_set + text + b"h\x00h\x01\x85R" * 50,
        "key of keys": b"}q\x05)q\x01" + b"h\x01h\x01\x86q\x01" * 60 + b"h\x05h\x01Ns",
        "keys of one hash": b"}(" + wide + b"u",
        "keys of numbers": b"}(" + pairs + b"u",
        "onion": onion + b"h\x00h\x01R",
        "texts": b"](" + words * 4 + b"e",
        "as many texts as may be": b"](" + words * 2 + b"e",
        "as many lists as may be": b"](" + b"]" * 58_000 + b"e",
        "as many tuples as may be": b"](" + b"N\x85" * 90_000 + b"e",
        "as many mappings as may be": b"](" + b"}NNs" * 36_000 + b"e",
        "as many calls as may be": ordered + b"](" + b"h\x00)R" * 36_000 + b"e",
    }  # fmt: skip
    for name, content in cases.items():
        yield name, torch_zip(folder / f"{name}.pt", b"\x80\x02](" + content + b"e.", {"data/0": bytes(64)})
    for name, count in {"as many members as may be": 39_900, "more members": 40_100}.items():
        many = {f"data/{number}": b"" for number in range(count)}
        yield name, torch_zip(folder / f"{name}.pt", b"\x80\x02](NNe.", many)
        if count == 39_900:
            lists = b"\x80\x02](" + b"]" * 58_000 + b"e."
            yield f"{name}, and lists", torch_zip(folder / "both.pt", lists, many)
    space = b"cargparse\nNamespace\n"
    objects = {
        "a mapping called": space + b"}R", "a mapping of something": space + b"N\x85\x81",
        "an object of bytes": b"c__builtin__\nbytearray\n)\x81", "an object of tensors": b"ctorch\nTensor\nK\x05\x85\x81",
        "a storage called": b"ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R",
        "bytes by type": b"ctorch._tensor\n_rebuild_from_type_v2\n(c__builtin__\nbytearray\nNJ\xff\xff\xff\x7f\x85NtR",
    }  # fmt: skip
    for name, content in objects.items():
        yield (
            name,
            torch_zip(folder / f"{name}.pt", b"\x80\x02}X\x01\x00\x00\x00w" + content + b"s.", {"data/0": bytes(64)}),
        )


@family("checkpoint")
def pickle_of_laughs(folder: Path) -> Cases:
    import torch

    for width, depth in ((10, 9), (2, 40), (100, 5)):
        tree: Any = [0] * width
        for _ in range(depth):
            tree = [tree] * width
        torch.save(tree, folder / f"{width}.ckpt")
        yield f"{width} to the {depth}", folder / f"{width}.ckpt"
    loop: list[Any] = []
    loop.append(loop)
    torch.save({"epoch": loop}, folder / "loop.ckpt")
    yield "loop", folder / "loop.ckpt"
    deep: Any = 0
    for _ in range(200):
        deep = (deep,)
    torch.save(deep, folder / "deep.ckpt")
    yield "deep", folder / "deep.ckpt"
    beside = {"data/0": bytes(5 << 20)}  # which buys the pickle its steps
    for number, levels in ((1, b"\x85" * 150_000), (2, b"K\x00\x86" * 150_000)):
        key = torch_zip(folder / f"key{number}.ckpt", b"\x80\x02}()" + levels + b"Nu.", beside)
        yield f"deep key {number}", key
    yield "stack", torch_zip(folder / "stack.ckpt", b"\x80\x02" + b"(" * 500_000 + b"l" * 500_000 + b".")
    yield "marks", torch_zip(folder / "marks.ckpt", b"\x80\x02" + b"]" * 3_000_000 + b".")


@family("checkpoint")
def trees(folder: Path) -> Cases:
    """Checkpoints without a pickle, with a checksum that fits."""
    pairs = [{"tuple": [i, i * i]} for i in range(40_000)]
    cases: dict[str, Any] = {
        "an object": {"object": "os.system"}, "a target": {"_target_": "os.system"}, "a number of rows": {"dict": 5},
        "rows of one": {"dict": [[1]]}, "a list as key": {"dict": [[[1], 2]]}, "a tensor that is not there": {"tensor": 7},
        "a dtype of code": {"dtype": "load"}, "two kinds": {"a": 1, "b": 2}, "keys of numbers": {"dict": [[p, 0] for p in pairs]},
        "a set of pairs": {"set": pairs}, "a list": [1, 2], "laughs": {"float": "9" * 100_000 + "x"},
    }  # fmt: skip
    texts = {name: json.dumps(tree) for name, tree in cases.items()} | {"deep": "[" * 5000 + "]" * 5000, "NaN": "NaN"}
    for name, text in texts.items():
        facts = {"kind": "scirs-neural tree 1", "tree": text, "crc32": f"{zlib.crc32(text.encode()):08x}"}
        yield name, put(folder / f"{name}.ckpt", tensor_file({"__metadata__": facts}))
    facts = {"kind": "scirs-neural tree 1", "tree": '{"dict": []}', "crc32": "00000000"}
    yield "another checksum", put(folder / "checksum.ckpt", tensor_file({"__metadata__": facts}))
    yield "another kind", put(folder / "kind.ckpt", tensor_file({"__metadata__": {**facts, "kind": "tree"}}))


@family("state_dict")
def tensors_of_lies(folder: Path) -> Cases:
    """Tensors that are larger than their file, or look beyond their storage."""
    import torch

    yield "expanded", _saved(folder / "expanded.pt", {"w": torch.ones(1).expand(1 << 40)})
    yield "expanded stream", _saved(folder / "stream.pt", {"w": torch.ones(1).expand(1 << 38)}, zipped=False)
    yield "meta", _saved(folder / "meta.pt", {"w": torch.empty(1 << 40, device="meta")})
    yield "sparse", _saved(folder / "sparse.pt", {"w": torch.eye(2).to_sparse()})
    yield "text for a tensor", _saved(folder / "text.pt", {"w": "1"})
    yield "number for a name", _saved(folder / "name.pt", {1: torch.ones(1)})
    yield "nothing", _saved(folder / "nothing.pt", {})
    yield "list", _saved(folder / "list.pt", [torch.ones(1)])
    _saved(folder / "net.pt", {"w": torch.ones(4)})
    with zipfile.ZipFile(folder / "net.pt") as old:
        members = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
    pickled = members.pop("data.pkl")
    counts = {
        "wide view": pickled.replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85"),
        "long storage": pickled.replace(b"K\x04tq", b"J\xff\xff\xff\x7ftq"),
        "negative": pickled.replace(b"K\x04\x85", b"J\xff\xff\xff\xff\x85"),
    }
    for name, content in counts.items():
        assert content != pickled, name
        yield name, torch_zip(folder / f"{name}.pt", content, members)
    yield "missing storage", torch_zip(folder / "missing.pt", pickled)


def _saved(path: Path, held: Any, zipped: bool = True) -> Path:
    import torch

    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    return path


@family("state_dict")
def torch_files_changed(folder: Path) -> Cases:
    import torch

    net = _saved(folder / "net.pt", {"w": torch.zeros(4000)})
    content = net.read_bytes()
    with zipfile.ZipFile(net) as old:
        members = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
    pickled = members.pop("data.pkl")
    yield "bomb", torch_zip(folder / "bomb.pt", pickled, {**members, "data/0": bytes(30 << 20)}, zipfile.ZIP_DEFLATED)
    yield "compressed", torch_zip(folder / "packed.pt", pickled, members, zipfile.ZIP_DEFLATED)
    yield "program", torch_zip(folder / "program.pt", pickled, {**members, "code/__torch__.py": b"x"})
    for name, changed in {
        "half": content[: len(content) // 2], "no end": content[:-22], "empty": b"", "one byte": b"P",
        "behind": content + b"#!/bin/sh\n", "before": b"#!/bin/sh\n" + content, "flipped": flipped(content, 2000),
        "text": b"weights, honestly", "html": b"<html>404</html>", "zeros": bytes(5000),
    }.items():  # fmt: skip
        yield name, put(folder / f"{name}.pt", changed)
    with zipfile.ZipFile(folder / "two roots.pt", "w") as made:
        made.writestr("a/data.pkl", pickled)
        made.writestr("b/data.pkl", calls_pickled())
    yield "two roots", folder / "two roots.pt"
    with zipfile.ZipFile(folder / "twice.pt", "w") as made:
        made.writestr("a/data.pkl", pickled)
        made.filelist[-1].filename = "a/other"
        made.NameToInfo.clear()
        made.writestr("a/data.pkl", calls_pickled())
        made.filelist[0].filename = "a/data.pkl"
    yield "twice", folder / "twice.pt"
    stream = _saved(folder / "old.pt", {"w": torch.zeros(400)}, zipped=False).read_bytes()
    yield "half a stream", put(folder / "half stream.pt", stream[:700])


def calls_pickled() -> bytes:
    return pickle.dumps(Call(os.system, COMMAND), protocol=2)
