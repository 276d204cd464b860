"""Pictures and arrays that lie about their size."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

from tests.guard.attacks.corpus import COMMAND, Cases, family, flipped, put
from tests.guard.attacks.pickles import Call


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
        "pickle": pickle.dumps(Call(os.system, COMMAND)), "wrong checksum": flipped(saved("PNG"), 45),
    }  # fmt: skip
    for mode, size in (
        ("1", (89_000_000 // 1000, 1000)),
        ("1", (9_400, 9_400)),
        ("RGBA", (8_000, 8_000)),
        ("P", (300_000, 1)),
    ):
        file = io.BytesIO()
        Image.new(mode, size).save(file, "PNG", compress_level=1)
        cases[f"small file of {mode} {size[0]}"] = file.getvalue()
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

    np.savez(folder / "objects.npz", ids=np.array([Call(os.system, COMMAND)], dtype=object))
    yield "objects", folder / "objects.npz"
    headers = {
        "code": f"__import__('os').system('{COMMAND}')", "huge": "{'descr': '<f8', 'fortran_order': False, 'shape': (1<<40,)}",
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


@family("predictions")
def predictions(folder: Path) -> Cases:
    """Folders of predictions: a header that names code or files elsewhere, columns that lie about their size."""
    import numpy as np

    from scirs_neural.tasks.classification.predictions import ClassPredictions

    honest = folder / "honest"
    columns = {"probabilities": np.full((3, 2), 0.5, dtype=np.float32), "target": [0, 1, 1]}
    ClassPredictions("abc", columns, {"classes": ["x", "y"]}).save(honest)
    (folder / "outside.npy").write_bytes((honest / "2-target.npy").read_bytes())

    def changed(name: str, file: str, old: bytes, new: bytes) -> Path:
        shutil.copytree(honest, folder / name)
        content = (folder / name / file).read_bytes()
        assert old in content
        (folder / name / file).write_bytes(content.replace(old, new))
        return folder / name

    header, target = "header.json", "2-target.npy"
    cases = {
        "code": (header, b'"kind": "class"', b'"kind": "os:system"'),
        "file": (header, b'"kind": "class"', b'"kind": "./evil.py:Kind"'),
        "no kind": (header, b'"kind": "class"', b'"kind": ["class"]'),
        "elsewhere": (header, b'"2-target"', b'"../outside"'),
        "absolute": (header, b'"2-target"', b'"/etc/hostname"'),
        "not there": (header, b'"2-target"', b'"3-target"'),
        "deep": (header, b'"classes": [', b'"classes": ' + b"[" * 5000),
        "newer": (header, b'"format": 1', b'"format": 2'),
        "no classes": (header, b'"classes"', b'"klasses"'),
        "huge": (target, b"(3,)", b"(1 << 40,)"), "terabyte": (target, b"(3,)", b"(1099511627776,)"),
        "negative": (target, b"(3,)", b"(-3,)"), "objects": (target, b"<i8", b"|O8"), "void": (target, b"<i8", b"|V8"),
        "many axes": (target, b"(3,)", b"(3," + b"1," * 70 + b")"), "nothing": (target, b"(3,)", b"(0, 1000000000000)"),
        "cut": (target, bytes(7), b""), "version": (target, b"NUMPY\x01", b"NUMPY\x02"),
        "offsets": ("0-ids.offsets.npy", bytes([3] + [0] * 7), bytes([255] * 7 + [127])),
        "backwards": ("0-ids.offsets.npy", bytes([1] + [0] * 7), bytes([3] + [0] * 7)),
    }  # fmt: skip
    for name, (file, old, new) in cases.items():
        yield name, changed(name, file, old, new)
    linked = changed("linked", target, b"", b"")
    (linked / target).unlink()
    os.mkfifo(linked / target)
    yield "pipe", linked
    yield "no folder", folder / "outside.npy"
