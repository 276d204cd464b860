"""Zips and folders that lead elsewhere or lie."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import os
import socket
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from tests.guard.attacks.corpus import Cases, family, put


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
