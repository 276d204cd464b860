"""Files that attack whoever opens them, made by code: the corpus of test_attacks.py and of benchmarks/attack_rivals.py.

Each family is a generator of (name, path) under a folder that it is given, all for one reader. Nothing here is
dangerous to make; what a file would do if it got its way is to leave ``CANARY`` in the current folder.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import io
import json
import os
import pickle
import socket
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CANARY = "canary"
_COMMAND = f"touch {CANARY}"
Cases = Iterator[tuple[str, Path]]
FAMILIES: dict[str, tuple[str, Callable[[Path], Cases]]] = {}


def family(reader: str) -> Callable[[Callable[[Path], Cases]], Callable[[Path], Cases]]:
    """Enter a family under its function's name."""

    def enter(make: Callable[[Path], Cases]) -> Callable[[Path], Cases]:
        FAMILIES[make.__name__] = (reader, make)
        return make

    return enter


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------------------- pickles


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
    inner = pickle.dumps(Call(os.system, _COMMAND))
    return {
        "os.system": Call(os.system, _COMMAND),
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
    command = b"S'" + _COMMAND.encode() + b"'\n"
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
        "behind": content + b"#!/bin/sh\n", "before": b"#!/bin/sh\n" + content, "flipped": _flipped(content, 2000),
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
    return pickle.dumps(Call(os.system, _COMMAND), protocol=2)


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


# ---------------------------------------------------------------------------------------------------- archives


def raw_zip(
    members: list[tuple[bytes, bytes]],
    *,
    local: dict[str, Any] | None = None,
    central: dict[str, Any] | None = None,
    end: dict[str, int] | None = None,
    between: bytes = b"",
) -> bytes:
    """A zip of stored members, in which single fields of the first one can be made to lie."""
    body, directory = b"", b""
    for number, (name, data) in enumerate(members):
        honest = {
            "flags": 0x800, "method": 0, "crc": zlib.crc32(data), "packed": len(data), "size": len(data), "name": name,
            "extra": b"", "mode": 0o100644, "offset": len(body), "disk": 0,
        }  # fmt: skip
        at = {**honest, **(local or {})} if number == 0 else honest
        said = {**honest, **(central or {})} if number == 0 else honest
        directory += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 0x314, 20, said["flags"], said["method"], 0, 0x21, said["crc"],
            said["packed"], said["size"], len(said["name"]), len(said["extra"]), 0, said["disk"], 0, said["mode"] << 16,
            said["offset"],
        ) + said["name"] + said["extra"]  # fmt: skip
        body += struct.pack(
            "<4sHHHHHIIIHH", b"PK\x03\x04", 20, at["flags"], at["method"], 0, 0x21, at["crc"], at["packed"], at["size"],
            len(at["name"]), len(at["extra"]),
        ) + at["name"] + at["extra"] + data  # fmt: skip
        body += between
    last = {"count": len(members), "here": len(members), "length": len(directory), "start": len(body), "disk": 0}
    last.update(end or {})
    return body + directory + struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", last["disk"], 0, last["here"], last["count"], last["length"], last["start"], 0
    )  # fmt: skip


@family("archive")
def zip_slip(folder: Path) -> Cases:
    names = [
        "../canary", "a/../../canary", "/tmp/canary", "//host/canary", "..\\canary", "a\\b", "C:canary", "C:\\canary",
        "a/./b", "./a", "a//b", "..", ".", "a/..", "~/..", "a\x00b", "a\nb", "\u2024\u2024/canary", "\uff0e\uff0e/canary",
        "a\u2044..", "a\uff0fb", "con", "aux.txt", "a/NUL", "a.", "a ", " a", "a:b", "a*b", "a\u202eb", "a\u200bb", "x" * 2000,
        "a/" * 40 + "b", "",
    ]  # fmt: skip
    for number, name in enumerate(names):
        path = put(folder / f"{number}.zip", raw_zip([(name.encode("utf-8", "surrogatepass"), b"x")]))
        yield ascii(name)[:30], path


@family("archive")
def zip_kinds(folder: Path) -> Cases:
    """Members that are links, devices, pipes, folders with a content."""
    kinds = {
        "symlink": stat.S_IFLNK | 0o777, "block device": stat.S_IFBLK, "character device": stat.S_IFCHR,
        "pipe": stat.S_IFIFO, "socket": stat.S_IFSOCK, "folder": stat.S_IFDIR,
    }  # fmt: skip
    for name, mode in kinds.items():
        yield name, put(folder / f"{name}.zip", raw_zip([(b"a", b"/etc/passwd")], central={"mode": mode}))
    yield "folder with content", put(folder / "content.zip", raw_zip([(b"a/", b"x")]))


@family("archive")
def zip_names_twice(folder: Path) -> Cases:
    pairs = {
        "same": ("a", "a"), "case": ("a.json", "A.json"), "sharp s": ("stra\u00dfe", "strasse"),
        "composed": ("\u00e9", "e\u0301"), "width": ("a", "\uff41"), "ligature": ("fi", "\ufb01"),
        "file and folder": ("a", "a/b"), "file and Folder": ("A", "a/b"),
    }  # fmt: skip
    for name, (one, other) in pairs.items():
        yield name, put(folder / f"{name}.zip", raw_zip([(one.encode(), b"1"), (other.encode(), b"2")]))
    yield "two names", put(folder / "two.zip", raw_zip([(b"a", b"x")], local={"name": b"b"}))
    extra = struct.pack("<HHBI", 0x7075, 9, 1, zlib.crc32(b"a")) + b"../b"
    yield "name in extra", put(folder / "extra.zip", raw_zip([(b"a", b"x")], central={"extra": extra}))


@family("archive")
def zip_bombs(folder: Path) -> Cases:
    def deflated(name: str, sizes: list[int]) -> Path:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as made:
            for number, size in enumerate(sizes):
                made.writestr(str(number), bytes(size))
        return folder / name

    yield "one", deflated("one.zip", [30 << 20])
    yield "many", deflated("many.zip", [60_000] * 1200)
    nested = (folder / "one.zip").read_bytes()
    with zipfile.ZipFile(folder / "nested.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(2400):  # 70 MB, whatever the ratio
            made.writestr(f"{number}.zip", nested)
    yield "nested", folder / "nested.zip"
    with zipfile.ZipFile(folder / "members.zip", "w") as made:
        for number in range(10_500):
            made.writestr(str(number), b"")
    yield "members", folder / "members.zip"
    shared = raw_zip([(b"a", b"x" * 5000), (b"b", b"y")])
    yield "all on one", put(folder / "overlap.zip", shared.replace(b"y", b"z"))
    rows = [(f"{number}".encode(), b"") for number in range(50)]
    yield "quine offsets", put(folder / "same.zip", _same_offset(rows))


def _same_offset(rows: list[tuple[bytes, bytes]]) -> bytes:
    content = bytearray(raw_zip(rows))
    place = content.index(b"PK\x01\x02")
    while content[place : place + 4] == b"PK\x01\x02":
        content[place + 42 : place + 46] = bytes(4)
        place += 46 + int.from_bytes(content[place + 28 : place + 30], "little")
    return bytes(content)


@family("archive")
def zip_lies(folder: Path) -> Cases:
    """Two sizes, two checksums, two methods, wrong places."""
    data = [(b"a", b"x" * 100), (b"b", b"y" * 100)]
    squeezed = zlib.compress(b"x" * 1000, wbits=-15)
    lies: dict[str, bytes] = {
        "crc": raw_zip(data, local={"crc": 1}, central={"crc": 1}),
        "local crc": raw_zip(data, local={"crc": 1}),
        "local size": raw_zip(data, local={"size": 5}),
        "local packed": raw_zip(data, local={"packed": 5}),
        "central size": raw_zip(data, central={"size": 5}),
        "central packed": raw_zip(data, central={"packed": 5, "size": 5}, local={"packed": 5, "size": 5}),
        "larger": raw_zip(data, central={"packed": 150, "size": 150}, local={"packed": 150, "size": 150}),
        "huge": raw_zip(data, central={"packed": 1 << 31, "size": 1 << 31}, local={"packed": 1 << 31, "size": 1 << 31}),
        "stored with two sizes": raw_zip(data, central={"size": 5000}, local={"size": 5000}),
        "inflates to more": raw_zip(
            [(b"a", squeezed)], central={"method": 8, "size": 10}, local={"method": 8, "size": 10}
        ),
        "inflates to less": raw_zip(
            [(b"a", squeezed)], central={"method": 8, "size": 1001}, local={"method": 8, "size": 1001}
        ),
        "no deflate": raw_zip([(b"a", b"\xff" * 40)], central={"method": 8}, local={"method": 8}),
        "bzip2": raw_zip(data, central={"method": 12}, local={"method": 12}),
        "two methods": raw_zip(data, local={"method": 8}),
        "encrypted": raw_zip(data, central={"flags": 0x801}, local={"flags": 0x801}),
        "strong": raw_zip(data, central={"flags": 0x840}, local={"flags": 0x840}),
        "masked": raw_zip(data, central={"flags": 0x2800}, local={"flags": 0x2800}),
        "two flags": raw_zip(data, local={"flags": 0x801}),
        "other disk": raw_zip(data, central={"disk": 1}),
        "last disk": raw_zip(data, end={"disk": 3}),
        "offset": raw_zip(data, central={"offset": 10}),
        "offset outside": raw_zip(data, central={"offset": 1 << 30}),
        "wide without extra": raw_zip(data, central={"size": 0xFFFFFFFF}),
        "two wide extras": raw_zip(data, central={"extra": struct.pack("<HHQHHQ", 1, 8, 9, 1, 8, 10)}),
        "count": raw_zip(data, end={"count": 1, "here": 1}),
        "more": raw_zip(data, end={"count": 3, "here": 3}),
        "two counts": raw_zip(data, end={"here": 1}),
        "start": raw_zip(data, end={"start": 0}),
        "length": raw_zip(data, end={"length": 20}),
        "not utf-8": raw_zip([(b"\xff\xfe", b"x")]),
        "not ascii": raw_zip([(b"\xe9", b"x")], central={"flags": 0}, local={"flags": 0}),
    }  # fmt: skip
    for name, content in lies.items():
        yield name, put(folder / f"{name}.zip", content)


@family("archive")
def zip_polyglots(folder: Path) -> Cases:
    honest = raw_zip([(b"a", b"x"), (b"b", b"y")])
    script = b"#!/bin/sh\ntouch canary\n"
    with tarfile.open(folder / "t.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    forms = {
        "script before": script + honest,
        "picture before": b"GIF89a" + honest,
        "behind": honest + script,
        "zip behind zip": honest + raw_zip([(b"c", b"z")]),
        "comment": honest[:-2] + struct.pack("<H", len(script)) + script,
        "gap": raw_zip([(b"a", b"x"), (b"b", b"y")], between=script),
        "half": honest[: len(honest) // 2],
        "no directory": honest[: honest.index(b"PK\x01\x02")],
        "empty": b"",
        "tar": (folder / "t.tar").read_bytes(),
        "gzip": b"\x1f\x8b\x08\x00" + bytes(40),
        "seven zip": b"7z\xbc\xaf\x27\x1c" + bytes(40),
        "text": b"PK is how it begins",
    }
    for name, content in forms.items():
        yield name, put(folder / f"{name}.zip", content)


@family("archive")
def folders(folder: Path) -> Cases:
    """Folders with what is no plain file."""
    secret = put(folder / "secret", "x")

    def made(name: str) -> Path:
        put(folder / name / "manifest.json", "{}")
        return folder / name

    (made("link") / "weights").symlink_to(secret)
    yield "link", folder / "link"
    (made("link to folder") / "exports").symlink_to(folder, target_is_directory=True)
    yield "link to folder", folder / "link to folder"
    (made("broken link") / "weights").symlink_to("nowhere")
    yield "broken link", folder / "broken link"
    os.mkfifo(made("pipe") / "weights")
    yield "pipe", folder / "pipe"
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as ear:
        os.chdir(made("socket"))  # the path of a socket must be short
        ear.bind("weights")
        os.chdir(here)
    yield "socket", folder / "socket"
    put(made("case") / "A", "1")
    put(folder / "case" / "a", "2")
    yield "case", folder / "case"
    put(made("names") / "a\\b", "1")
    yield "backslash", folder / "names"
    put(made("deep") / ("d/" * 30) / "x", "1")
    yield "deep", folder / "deep"


# ---------------------------------------------------------------------------------------------------- tensors


def tensor_file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(**changed: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}}


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
        "pickle": pickle.dumps(Call(os.system, _COMMAND)),
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


# ---------------------------------------------------------------------------------------------------- texts


@family("json")
def json_texts(folder: Path) -> Cases:
    texts: dict[str, bytes] = {
        "deep lists": b"[" * 200_000, "deep and closed": b"[" * 50_000 + b"]" * 50_000, "deep objects": b'{"a":' * 100_000,
        "just too deep": b"[" * 66 + b"]" * 66, "a key twice": b'{"a": 1, "a": 2}', "nan": b"[NaN]",
        "infinity": b"[-Infinity]", "1e999": b"[1e999]", "long number": b"9" * 100_000, "10 to the 40": b"1" + b"0" * 40,
        "half a letter": b'["\\udc00"]', "bom": b"\xef\xbb\xbf{}", "utf-16": "{}".encode("utf-16"), "not utf-8": b'["\xff"]',
        "two values": b"{}{}", "comma": b"[1,]", "comment": b"{} // x", "quotes": b"{'a': 1}", "empty": b"",
        "control": b'["\n"]', "million values": b"[" + b"0," * 2_000_000 + b"0]", "17 MiB": b'"' + b"x" * (17 << 20) + b'"',
    }  # fmt: skip
    for name, content in texts.items():
        yield name, put(folder / f"{name}.json", content)


@family("tokenizer")
def tokenizers(folder: Path) -> Cases:
    """Files that are no tokenizer, in the place of one."""
    words = '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'
    contents: dict[str, tuple[str, bytes | str]] = {
        "a pickle": ("tokenizer.json", calls_pickled()),
        "a pickle as text": ("vocab.txt", calls_pickled()),
        "a pickle as model": ("tokenizer.model", calls_pickled()),
        "a zip": ("tokenizer.json", b"PK\x05\x06" + bytes(18)),
        "a list": ("tokenizer.json", "[]"),
        "no model": ("tokenizer.json", "{}"),
        "a model of code": ("tokenizer.json", words.replace("BPE", "os.system")),
        "a text for words": ("tokenizer.json", words.replace('{"a": 0}', '"abc"')),
        "a word twice": ("vocab.json", '{"a": 0, "a": 1}'),
        "no number": ("vocab.json", '{"a": NaN}'),
        "a list of words": ("vocab.json", "[1]"),
        "deep": ("tokenizer.json", words.replace("[]", "[" * 100_000 + "]" * 100_000)),
        "many": ("tokenizer.json", words.replace("[]", "[" + "[]," * 3_000_000 + "1]")),
        "large": ("tokenizer_config.json", b'{"a": "' + b"x" * (20 << 20) + b'"}'),
        "large text": ("merges.txt", b"a b\n" * (5 << 20)),
        "no text": ("merges.txt", b"a b\n\xff\xfe"),
        "zeros": ("vocab.txt", bytes(1000)),
        "cut off": ("special_tokens_map.json", '{"a": "b'),
        "a template of bytes": ("chat_template.jinja", b"\x80\x81"),
    }  # fmt: skip
    for name, (file, content) in contents.items():
        yield name, put(folder / name / file, content).parent
    for name, target in {"a device": "/dev/zero", "another device": "/dev/stdin"}.items():
        (folder / name).mkdir()
        (folder / name / "vocab.txt").symlink_to(target)
        yield name, folder / name
    (folder / "a folder" / "vocab.txt").mkdir(parents=True)
    yield "a folder", folder / "a folder"
    (folder / "a pipe").mkdir()
    os.mkfifo(folder / "a pipe" / "merges.txt")
    yield "a pipe", folder / "a pipe"


@family("source")
def model_folders(folder: Path) -> Cases:
    """Folders in the form of Hugging Face."""
    good = tensor_file({"w": one()["w"]}, bytes(8))
    index = "model.safetensors.index.json"
    cases: dict[str, dict[str, bytes | str]] = {
        "no weights": {"config.json": "{}"},
        "config of a list": {"config.json": "[]", "model.safetensors": good},
        "config twice": {"config.json": '{"a": 1, "a": 2}', "model.safetensors": good},
        "a pickle for weights": {"config.json": "{}", "pytorch_model.bin": calls_pickled()},
        "a bad tokenizer": {"config.json": "{}", "model.safetensors": good, "tokenizer.json": "[]"},
        "index of a list": {"config.json": "{}", index: "[]"},
        "index of numbers": {"config.json": "{}", index: '{"weight_map": {"w": 1}}'},
        "index of more": {"config.json": "{}", index: '{"weight_map": {"w": "a.safetensors", "v": "a.safetensors"}}'},
        "index of less": {"config.json": "{}", index: '{"weight_map": {}}'},
    }  # fmt: skip
    for number, place in enumerate(
        ("../a.safetensors", "/etc/passwd", "b/../a.safetensors", "a.bin", "a.safetensors\\")
    ):
        cases[f"index elsewhere {number}"] = {"config.json": "{}", index: json.dumps({"weight_map": {"w": place}})}
    for name, files in cases.items():
        for file, content in {**files, "a.safetensors": good}.items():
            put(folder / name / file, content)
        yield name, folder / name


@family("source")
def exported_programs(folder: Path) -> Cases:
    """Programs of torch.export, of which the weights are read."""
    fact = {
        "path_name": "weight_0", "is_param": True, "use_pickle": False,
        "tensor_meta": {"dtype": 7, "sizes": [{"as_int": 64}, {"as_int": 64}],
                        "strides": [{"as_int": 64}, {"as_int": 1}], "storage_offset": {"as_int": 0}},
    }  # fmt: skip

    def changed(**meta: Any) -> dict[str, Any]:
        return {**fact, "tensor_meta": {**fact["tensor_meta"], **meta}}  # type: ignore[dict-item]

    huge = [{"as_int": 1 << 40}, {"as_int": 64}]
    cases: dict[str, dict[str, Any]] = {
        "pickled": {"w": {**fact, "use_pickle": True}},
        "elsewhere": {"w": {**fact, "path_name": "../../../secret"}},
        "larger": {"w": changed(sizes=huge)},
        "expanded": {"w": changed(sizes=huge, strides=[{"as_int": 0}, {"as_int": 0}])},
        "outside": {"w": changed(storage_offset={"as_int": 1})},
        "negative": {"w": changed(strides=[{"as_int": -64}, {"as_int": 1}])},
        "symbolic": {"w": changed(sizes=[{"as_expr": "os.system"}, {"as_int": 64}])},
        "of no kind": {"w": changed(dtype=99)},
        "a list": {"w": []},
        "turned a thousand times": {
            f"w{i}": changed(strides=[{"as_int": 1}, {"as_int": 64}]) for i in range(25)
        },
    }  # fmt: skip
    cases["a name for each grain of sand"] = {f"w{i}": fact for i in range(20_000)}
    for name, config in cases.items():
        yield name, _program(folder / f"{name}.pt2", {"config": config})
    yield "no table", _program(folder / "no table.pt2", [])
    large = changed(sizes=[{"as_int": 5000}, {"as_int": 10_000}])
    grown = bytes(range(256)) * 64
    yield "compressed", _program(folder / "packed.pt2", {"config": {"w": fact}}, grown, zipfile.ZIP_DEFLATED)
    yield "bomb", _program(folder / "bomb.pt2", {"config": {"w": large}}, bytes(200_000_000), zipfile.ZIP_DEFLATED)


def _program(path: Path, table: Any, weights: bytes = bytes(4 * 64 * 64), method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("net/archive_format", "pt2")
        made.writestr("net/data/weights/model_weights_config.json", json.dumps(table))
        made.writestr("net/data/weights/weight_0", weights)
    return path


@family("yaml")
def yaml_bombs(folder: Path) -> Cases:
    """Aliases of aliases, merges of merges, and nests."""
    for width, depth in ((2, 30), (3, 15), (9, 9), (10, 6), (100, 4)):
        rows = ["a0: &a0 [lol]"]
        for level in range(1, depth):
            rows.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
        yield f"{width} to the {depth}", put(folder / f"{width}.yaml", "\n".join(rows))
    merged = ["a0: &a0 {k: v}"]
    for level in range(1, 25):
        merged.append(f"a{level}: &a{level} {{x: *a{level - 1}, y: *a{level - 1}, <<: *a{level - 1}}}")
    texts = {
        "merges": "\n".join(merged), "itself": "a: &a [*a]", "itself in a mapping": "a: &a {b: *a}",
        "two in a ring": "&a [&b [*a, *b]]", "unknown": "a: *b", "anchor twice": "[&a 1, &a 2]",
        "deep flow": "[" * 50_000, "deep closed": "[" * 3000 + "]" * 3000, "deep block": "- " * 50_000,
        "deep mapping": "{a: " * 20_000, "question marks": "? " * 20_000,
        "values": "- 1\n" * 150_000, "two MiB": "# " + "x" * (2 << 20),
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", text)


@family("yaml")
def yaml_types(folder: Path) -> Cases:
    """Tags, and texts that mean two things."""
    texts = {
        "python object": f"!!python/object/apply:os.system ['{_COMMAND}']",
        "python new": f"!!python/object/new:subprocess.Popen [[touch, {CANARY}]]",
        "python name": "!!python/name:os.system", "python module": "!!python/module:antigravity",
        "path": f"!!python/object/apply:pathlib.PosixPath [{CANARY}]", "tuple": "!!python/tuple [1]",
        "deep tag": "a: [{b: !!python/object/apply:os.system [id]}]", "tag on a key": "{!!str a: 1}",
        "tag directive": f"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\n!os.system ['{_COMMAND}']",
        "own tag": "!net {a: 1}", "binary": "!!binary aGk=", "set": "!!set {a}", "timestamp": "!!timestamp 2001-01-01",
        "env": "!ENV ${HOME}", "include": "!include /etc/passwd", "a key twice": "a: 1\na: 2", "deep twice": "b: {a: 1, a: 2}",
        "merge twice": "{<<: {a: 1}, <<: {a: 2}}", "merge of a text": "{<<: a}", "list as key": "[1]: 2",
        "two documents": "a: 1\n---\nb: 2", "infinite": "a: .inf", "1e999": "a: 1e999",
        "long number": "a: " + "9" * 5000, "sixties": "a: " + "1:" * 2000 + "1", "broken": "a: [1", "tab": "\ta: 1",
        "control": "a: \x01",
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", text)
    yield "not utf-8", put(folder / "latin.yaml", b"a: \xe9")


@family("config")
def targets(folder: Path) -> Cases:
    """``_target_`` in every place, and through aliases: a saved configuration is data."""
    system = f"{{_target_: os.system, command: {_COMMAND}}}"
    write = f"{{_target_: pathlib.Path.write_text, _args_: [{{_target_: pathlib.Path, _args_: [{CANARY}]}}, x]}}"
    places = {
        "top": f"_target_: os.system\ncommand: {_COMMAND}", "model": f"model: {system}", "data": f"data: {write}",
        "option": f"model: {{name: cnn, width: {system}}}", "optimizer": f"optimizer: {system}",
        "scheduler": f"scheduler: {write}", "trainer": "trainer: {max_epochs: 1, _target_: os.system}",
        "callbacks": f"callbacks: {{x: {system}}}", "callback option": f"callbacks: {{early_stopping: {system}}}",
        "logger": f"logger: {{csv: {write}}}", "transforms": f"data: {{name: digits, augment: {system}}}",
        "alias": f"x: &t {system}\nmodel: *t", "merge": f"x: &t {system}\nmodel: {{name: cnn, <<: *t}}",
        "key by alias": "x: &t _target_\nmodel: {name: cnn, *t : os.system}",
        "hydra": f"hydra: {{launcher: {system}}}", "partial": "model: {_target_: os.system, _partial_: true}",
        "convert": "model: {name: cnn, _convert_: all}", "plugins": "plugins_modules: [os]",
    }  # fmt: skip
    for name, text in places.items():
        yield name, put(folder / f"{name}.yaml", text)


@family("config")
def resolvers(folder: Path) -> Cases:
    texts = {
        "environment": "${oc.env:HOME}", "decode": "${oc.decode:'[1]'}", "create": "${oc.create:{a: 1}}",
        "hydra": "${hydra:runtime.cwd}", "now": "${now:%Y}", "select": "${oc.select:seed}", "other": "${seed}",
        "relative": "${.name}", "nested": "${oc.env:${oc.env:X,HOME}}", "in a text": "a${seed}b", "eval": "${eval:1+1}",
    }  # fmt: skip
    for name, text in texts.items():
        yield name, put(folder / f"{name}.yaml", f'model: {{name: "{text}"}}\n')
        yield f"{name} in a list", put(folder / f"{name}-list.yaml", f'data: {{name: digits, paths: ["{text}"]}}\n')


@family("network")
def network_specs(folder: Path) -> Cases:
    """Networks as data that want to be more: code in names and options, files, sizes without end."""
    code = f"__import__('os').system('{_COMMAND}')"
    specs: dict[str, Any] = {
        "file": ["./evil.py:Net"], "module": ["os:system"], "target": [{"_target_": "os.system", "command": _COMMAND}],
        "dim": {"input_shape": [3, 4], "layers": [{"concat": {"dim": code}}]},
        "input name": {"inputs": {f"x=({code})": [3]}, "layers": [], "outputs": f"x=({code})"},
        "input newline": {"inputs": {f"x):\n {code}\ndef f(y": [3]}, "layers": [], "outputs": "x"},
        "keyword": {"inputs": {"lambda": [3]}, "layers": [], "outputs": "lambda"},
        "dunder": {"inputs": {"__class__": [3]}, "layers": [{"name": "__init__", "linear": 3}], "outputs": "__init__"},
        "layer name": {"input_shape": [3], "layers": [{"name": f"a'].x or {code}#", "linear": 3, "from": "nowhere"}]},
        "initial": {"input_shape": [3], "layers": [{"linear": 3, "init": {"_target_": "os.system"}}]},
        "unknown": ["system"], "dunder layer": ["__import__"], "a number": 5, "a text": code, "null": None,
        "many": {"input_shape": [3], "layers": [{"repeat": 10**9, "layers": [{"linear": 3}]}]},
        "negative": {"input_shape": [3], "layers": [{"linear": -5}]},
        "newer": {"format": 99, "layers": ["relu"]}, "text for a number": {"input_shape": [3], "layers": [{"linear": code}]},
        "shape of code": {"input_shape": [code], "layers": ["relu"]},
        "more keys": {"input_shape": [3], "layers": ["relu"], "code": code},
    }  # fmt: skip
    put(folder / "evil.py", f"import os\nos.system('{_COMMAND}')\n")
    for name, spec in specs.items():
        yield name, put(folder / f"{name}.json", json.dumps(spec))
    yield "bomb", put(folder / "bomb.yaml", "a: &a [relu, relu]\nb: &b [*a, *a]\nlayers: [" + "*b, " * 90_000 + "relu]")


# ---------------------------------------------------------------------------------------------------- ONNX


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
        "pickle": pickle.dumps(Call(os.system, _COMMAND)), "no opsets": b"\x08\x08",
    }  # fmt: skip
    for name, content in cases.items():
        yield name, put(folder / f"{name}.onnx", content)


# ---------------------------------------------------------------------------------------------------- pictures, arrays


def png(width: int, height: int, rows: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(min(rows * (3 * width + 1), 1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@family("image")
def images(folder: Path) -> Cases:
    """Giant, cut off, and of kinds that start other programs."""
    from PIL import Image

    def saved(form: str) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(file, form)
        return file.getvalue()

    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    jpeg, gif, tiff = (io.BytesIO() for _ in range(3))
    noise.save(jpeg, "JPEG")
    noise.save(gif, "GIF")
    noise.save(tiff, "TIFF")
    giant_gif = b"GIF89a" + struct.pack("<HHBBB", 65000, 65000, 0x80, 0, 0) + bytes(6)
    cases = {
        "giant png": png(40_000, 40_000), "wide png": png(2**31 - 1, 1), "tall png": png(1, 2**31 - 1),
        "cut png": png(4000, 4000), "huge and cut png": png(9400, 9400), "giant bmp": b"BM" + bytes(12)
        + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0), "giant gif": giant_gif + b";",
        "giant ppm": b"P6 60000 60000 255\n", "half jpeg": jpeg.getvalue()[:900], "half gif": gif.getvalue()[:900],
        "half tiff": tiff.getvalue()[:900], "half png": saved("PNG")[:60], "half webp": saved("WEBP")[:30],
        "empty": b"", "text": b"a picture, honestly", "html": b"<html></html>", "svg": b"<svg onload='alert(1)'/>",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(%pipe%touch canary) (w) file\n",
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40), "fli": struct.pack("<IHHHH", 128, 0xAF11, 1, 9, 9) + bytes(116),
        "pickle": pickle.dumps(Call(os.system, _COMMAND)), "wrong checksum": _flipped(saved("PNG"), 45),
    }  # fmt: skip
    for name, content in cases.items():
        yield name, put(folder / f"{name}.png", content)


@family("arrays")
def arrays(folder: Path) -> Cases:
    """Numpy's files: objects are pickles, headers are Python."""
    import numpy as np

    def npz(name: str, content: bytes, method: int = 0) -> Path:
        with zipfile.ZipFile(folder / f"{name}.npz", "w", method) as made:
            made.writestr("ids.npy", content)
        return folder / f"{name}.npz"

    def npy(header: str, data: bytes = b"") -> bytes:
        text = header.encode() + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data

    np.savez(folder / "objects.npz", ids=np.array([Call(os.system, _COMMAND)], dtype=object))
    yield "objects", folder / "objects.npz"
    headers = {
        "code": f"__import__('os').system('{_COMMAND}')", "huge": "{'descr': '<f8', 'fortran_order': False, 'shape': (1<<40,)}",
        "terabyte": "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}",
        "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "deep": "(" * 5000, "object": "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "void": "{'descr': '|V8', 'fortran_order': False, 'shape': (1,)}",
        "record": "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
    }  # fmt: skip
    for name, header in headers.items():
        yield name, npz(name, npy(header, bytes(8)))
    zeros = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4000000,)}", bytes(32_000_000))
    yield "bomb", npz("bomb", zeros, zipfile.ZIP_DEFLATED)
    yield "no array", npz("none", b"not numpy")
    np.savez(folder / "other.npz", other=[1])
    yield "other names", folder / "other.npz"
    yield "no zip", put(folder / "npy.npz", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(8)))


# ---------------------------------------------------------------------------------------------------- packages


def package(folder: Path, name: str = "net", **options: Any) -> Path:
    """An honest package, as a folder."""
    import torch

    from scirs_neural import create_model
    from scirs_neural.serialization import save_package

    torch.manual_seed(0)
    return save_package(folder / name, create_model("cnn", num_classes=2, depth=1, width=4), labels=["a", "b"])


def resealed(path: Path, change: Callable[[dict[str, Any]], Any] = lambda manifest: None) -> Path:
    """Give a changed package sizes, hashes and a digest that fit, as an attacker would."""
    import hashlib

    plain = json.loads((path / "manifest.json").read_text())
    plain["members"] = {
        file.relative_to(path).as_posix(): {
            "size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()
        }
        for file in sorted(path.rglob("*")) if file.is_file() and file.name != "manifest.json"
    }  # fmt: skip
    change(plain)
    plain["digest"] = "0" * 64
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    put(path / "manifest.json", text.replace("0" * 64, digest, 1) if "0" * 64 in text else text)
    return path


def variants(folder: Path, changes: dict[str, Callable[[Path], Any]]) -> Cases:
    """One package a change: the change gets the folder."""
    import shutil

    original = package(folder, "original")
    for name, change in changes.items():
        path = folder / name.replace("/", "_")
        shutil.copytree(original, path)
        change(path)
        yield name, path


def edit(member: str, change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    """Change a JSON member and seal the package again."""

    def apply(path: Path) -> None:
        plain = json.loads((path / member).read_text())
        changed = change(plain)
        put(path / member, json.dumps(plain if changed is None else changed))
        resealed(path)

    return apply


def manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return lambda path: resealed(path, change)


@family("package")
def package_manifests(folder: Path) -> Cases:
    def text(change: Callable[[str], str | bytes]) -> Callable[[Path], Any]:
        return lambda path: put(path / "manifest.json", change((path / "manifest.json").read_text()))

    yield from variants(folder, {
        "gone": lambda path: (path / "manifest.json").unlink(),
        "empty": text(lambda old: ""), "half": text(lambda old: old[:200]), "list": text(lambda old: "[]"),
        "number": text(lambda old: "7"), "spoiled": text(lambda old: old.replace("a", "b", 1)),
        "digest": text(lambda old: old.replace('"digest": "', '"digest": "0', 1)),
        "deep": text(lambda old: "[" * 100_000), "pickle": text(lambda old: calls_pickled()),
        "name changed": text(lambda old: old.replace('"name"', '"title"', 1)),
        "more keys": manifest(lambda plain: plain.update(code="x")),
        "no members": manifest(lambda plain: plain.pop("members")),
        "wrong type": manifest(lambda plain: plain.update(name=5)),
        "wrong format": manifest(lambda plain: plain.update(format="other")),
        "time": manifest(lambda plain: plain.update(created="yesterday")),
        "size text": manifest(lambda plain: plain["members"]["model.json"].update(size="3")),
        "long text": manifest(lambda plain: plain.update(name="x" * 100_000)),
    })  # fmt: skip


@family("package")
def package_versions(folder: Path) -> Cases:
    values = {
        "newer": 2,
        "much newer": 10**6,
        "negative": -1,
        "text": "1",
        "fraction": 1.5,
        "truth": True,
        "none": None,
    }
    yield from variants(folder, {
        name: manifest(lambda plain, value=value: plain.update(version=value)) for name, value in values.items()
    })  # fmt: skip


@family("package")
def package_members(folder: Path) -> Cases:
    def listed(name: str) -> Callable[[Path], Any]:
        honest = {"size": 1, "sha256": "0" * 64}
        return manifest(lambda plain: plain["members"].update({name: honest}))

    yield from variants(folder, {
        "extra file": lambda path: put(path / "extra.bin", "x"),
        "extra and listed": lambda path: resealed(put(path / "extra.bin", "x").parent),
        "script": lambda path: resealed(put(path / "setup.py", "import os").parent),
        "missing weights": lambda path: (path / "weights.safetensors").unlink(),
        "missing model": lambda path: (path / "model.json").unlink(),
        "missing and unlisted": lambda path: [(path / "model.json").unlink(), resealed(path)],
        "listed above": listed("../secret"), "listed absolute": listed("/etc/passwd"), "listed link": listed("exports/../x"),
        "wrong size": manifest(lambda plain: plain["members"]["model.json"].update(size=1)),
        "wrong hash": manifest(lambda plain: plain["members"]["model.json"].update(sha256="1" * 64)),
        "weights of another hash": manifest(
            lambda plain: plain["members"]["weights.safetensors"].update(sha256="1" * 64)
        ),
        "flipped weights": lambda path: put(
            path / "weights.safetensors", _flipped((path / "weights.safetensors").read_bytes(), -3 % 1000 + 400)
        ),
        "case": lambda path: put(path / "MODEL.JSON", "{}"),
        "link": lambda path: [(path / "labels.json").unlink(), (path / "labels.json").symlink_to("/etc/passwd")],
    })  # fmt: skip


@family("package")
def package_models(folder: Path) -> Cases:
    """Networks that a package must not have: code, files, other libraries' classes, sizes without end."""

    def builder(spec: Any) -> Callable[[Path], Any]:
        return edit("model.json", lambda plain: {"kind": "builder", "spec": spec, "plans": []})

    code = f"__import__('os').system('{_COMMAND}')"
    yield from variants(folder, {
        "target": edit("model.json", lambda plain: plain.update(_target_="os.system")),
        "target option": edit("model.json", lambda plain: plain["options"].update(_target_="os.system")),
        "target in option": edit("model.json", lambda plain: plain["options"].update(width={"_target_": "os.system"})),
        "target in plan": edit("model.json", lambda plain: plain["plans"].append({"_target_": "os.system"})),
        "name of a file": edit("model.json", lambda plain: plain.update(name="./evil.py:Net")),
        "name of a module": edit("model.json", lambda plain: plain.update(name="os:system")),
        "unknown name": edit("model.json", lambda plain: plain.update(name="resnet51")),
        "weights option": edit("model.json", lambda plain: plain["options"].update(weights="/etc/passwd")),
        "interpolation": edit("model.json", lambda plain: plain.update(num_classes="${oc.env:HOME}")),
        "class": edit("model.json", lambda plain: {
            "kind": "class", "name": "system", "module": "os", "options": {"command": _COMMAND}, "plans": []}),
        "kind": edit("model.json", lambda plain: plain.update(kind="pickle")),
        "huge": edit("model.json", lambda plain: plain["options"].update(width=2**20)),
        "deep": edit("model.json", lambda plain: plain["options"].update(depth=10**6)),
        "negative": edit("model.json", lambda plain: plain["options"].update(width=-4)),
        "other classes": edit("model.json", lambda plain: plain.update(num_classes=3)),
        "many classes": edit("model.json", lambda plain: plain.update(num_classes=2**31)),
        "builder file": builder(["./evil.py:Net"]), "builder code": builder([{"concat": {"dim": code}}]),
        "builder input": builder({"inputs": {f"x=({code})": [3]}, "layers": [], "outputs": f"x=({code})"}),
        "builder nothing": builder([]), "builder text": builder(code),
        "builder huge": builder({"input_shape": [3], "layers": [{"linear": 2**40}]}),
        "list": edit("model.json", lambda plain: []), "deep json": lambda path: resealed(
            put(path / "model.json", "[" * 1000 + "]" * 1000).parent),
    })  # fmt: skip


@family("package")
def package_plans(folder: Path) -> Cases:
    def plan(**held: Any) -> Callable[[Path], Any]:
        return edit("model.json", lambda plain: plain["plans"].append(held))

    yield from variants(folder, {
        "unknown": plan(kind="exec", code="x"), "no such module": plan(kind="channels", modules={"x.y": {}}, tensors={}),
        "dunder": plan(kind="channels", modules={"__class__": {"__init__": 1}}, tensors={}),
        "attribute": plan(kind="settings", modules={"": {"forward": 1}}),
        "class": plan(kind="settings", modules={"": {"__class__": "os"}}),
        "huge tensor": plan(kind="channels", modules={}, tensors={"head.weight": [2**45, 2**45]}),
        "negative": plan(kind="channels", modules={}, tensors={"head.weight": [-1, 2]}),
        "text": plan(kind="channels", modules="x", tensors=[]),
    })  # fmt: skip


@family("package")
def package_weights(folder: Path) -> Cases:
    """Weights of another dtype or shape, under other names, or of another format, honestly sealed."""

    def weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
        def apply(path: Path) -> None:
            from safetensors.torch import load_file, save_file

            tensors = load_file(path / "weights.safetensors")
            changed = change(tensors)
            save_file(tensors if changed is None else changed, path / "weights.safetensors")
            resealed(path)

        return apply

    def first(tensors: dict[str, Any]) -> str:
        return next(name for name in sorted(tensors) if name.endswith("weight") and tensors[name].dim() > 1)

    def raw(content: bytes) -> Callable[[Path], Any]:
        return lambda path: resealed(put(path / "weights.safetensors", content).parent)

    import torch

    yield from variants(folder, {
        "missing": weights(lambda held: {name: held[name] for name in held.keys() - {first(held)}}),
        "more": weights(lambda held: held.update(evil=torch.ones(1))),
        "renamed": weights(lambda held: held.update(x=held.pop(first(held)))),
        "longer": weights(lambda held: held.update({first(held): torch.zeros(9, 9, 9, 9)})),
        "turned": weights(lambda held: held.update({first(held): held[first(held)].transpose(0, 1).contiguous()})),
        "flat": weights(lambda held: held.update({first(held): held[first(held)].flatten()})),
        "whole numbers": weights(lambda held: held.update({first(held): held[first(held)].to(torch.int64)})),
        "complex": weights(lambda held: held.update({first(held): held[first(held)].to(torch.complex64)})),
        "truth": weights(lambda held: held.update({first(held): held[first(held)] > 0})),
        "none": weights(lambda held: {}), "pickle": raw(calls_pickled()), "cut": raw(tensor_file(one(), bytes(3))),
        "empty": raw(b""), "huge header": raw(tensor_file(b"{}", b"", 1 << 40)),
    })  # fmt: skip


@family("package")
def package_documents(folder: Path) -> Cases:
    yield from variants(folder, {
        "labels of numbers": edit("labels.json", lambda plain: plain.update(names=[1, 2])),
        "more labels": edit("labels.json", lambda plain: plain.update(code="x")),
        "labels as target": edit("labels.json", lambda plain: plain.update(names={"_target_": "os.system"})),
        "labels twice": lambda path: resealed(
            put(path / "labels.json", '{"names": ["a"], "names": ["b"], "multi_label": false}').parent),
        "preprocess target": lambda path: resealed(put(path / "preprocess.json", '{"_target_": "os.system"}').parent),
        "preprocess kind": lambda path: resealed(put(path / "preprocess.json", '{"kind": "pickle"}').parent),
        "metrics text": lambda path: resealed(put(path / "metrics.json", '{"test": {"accuracy": "x"}}').parent),
        "metrics nan": lambda path: resealed(put(path / "metrics.json", '{"test": {"accuracy": NaN}}').parent),
        "metrics list": lambda path: resealed(put(path / "metrics.json", "[]").parent),
    })  # fmt: skip


@family("package")
def package_zips(folder: Path) -> Cases:
    """Zips around honest members, made by others or spoiled."""
    from scirs_neural.serialization import save_package

    del save_package
    original = package(folder, "original")
    members = [(file.relative_to(original).as_posix().encode(), file.read_bytes())
               for file in sorted(original.rglob("*")) if file.is_file()]  # fmt: skip
    honest = raw_zip(members)
    lies = {
        "before": b"#!/bin/sh\n" + honest, "behind": honest + b"x", "half": honest[: len(honest) // 2],
        "twice": raw_zip([*members, members[0]]), "slip": raw_zip([*members, (b"../canary", b"x")]),
        "link": raw_zip(members, central={"mode": stat.S_IFLNK | 0o777}), "crc": raw_zip(members, local={"crc": 1}),
        "flipped": _flipped(honest, len(honest) // 2), "case": raw_zip([*members, (b"Manifest.json", b"{}")]),
        "encrypted": raw_zip(members, central={"flags": 0x801}, local={"flags": 0x801}),
        "extra": raw_zip([*members, (b"code.py", b"x")]), "empty": raw_zip([]), "nothing": b"",
    }  # fmt: skip
    for name, content in lies.items():
        yield name, put(folder / f"{name}.zip", content)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name.decode(), content)
        made.writestr("exports/zeros.bin", bytes(30 << 20))
    yield "bomb", folder / "bomb.zip"
