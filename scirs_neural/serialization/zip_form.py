"""The one byte form of a package's zip: for the same members there is exactly one file.

So a zip can be checked to its last bit, and two packages of equal members are equal files. Nothing is compressed, no
time or owner is kept, and every member begins at a multiple of 64 bytes, where it can be mapped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ALIGNMENT = 64
_PADDING = 0xD935  # the extra field that zipalign pads with
_WIDE = 0xFFFFFFFF  # a size or place from here on needs 64 bits
_VERSION, _VERSION_64, _UNIX = 20, 45, 3
_NO_TIME, _FIRST_DAY = 0, 0x21  # 1980-01-01
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Piece:
    """One member of the zip."""

    name: str
    size: int
    crc: int


def frame(members: Sequence[Piece]) -> Iterator[tuple[int, bytes]]:
    """What stands before each member, and after the last: (place in the file, bytes).

    Args:
        members: in the order of the file.
    """
    place, directory = 0, b""
    for member in members:
        name = member.name.encode("ascii")
        head = _local(member, name, place)
        yield place, head
        directory += _central(member, name, place)
        place += len(head) + member.size
    yield place, directory + _end(len(members), len(directory), place)


def first_difference(path: Path, members: Sequence[Piece]) -> int | None:
    """Where a zip of these members is not in the one form: a place in the file; None if it is."""
    with open(path, "rb") as file:
        for place, expected in frame(members):
            file.seek(place)
            content = file.read(len(expected))
            if content != expected:
                same = next(
                    (i for i, pair in enumerate(zip(content, expected, strict=False)) if pair[0] != pair[1]), None
                )
                return place + (min(len(content), len(expected)) if same is None else same)
        return None if not file.read(1) else file.tell() - 1


def _local(member: Piece, name: bytes, place: int) -> bytes:
    is_wide = member.size >= _WIDE
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.size) if is_wide else b""
    gap = -(place + 30 + len(name) + len(extra) + 6) % ALIGNMENT
    extra += struct.pack("<HHH", _PADDING, 2 + gap, ALIGNMENT) + b"\0" * gap
    size = _WIDE if is_wide else member.size
    version = _VERSION_64 if is_wide else _VERSION
    facts = (version, 0, 0, _NO_TIME, _FIRST_DAY, member.crc, size, size, len(name), len(extra))
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *facts) + name + extra


def _central(member: Piece, name: bytes, place: int) -> bytes:
    size, at = min(member.size, _WIDE), min(place, _WIDE)
    wide = [value for value in (member.size, member.size, place) if value >= _WIDE]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = _VERSION_64 if wide else _VERSION
    facts = (version | _UNIX << 8, version, 0, 0, _NO_TIME, _FIRST_DAY, member.crc, size, size)
    rest = (len(name), len(extra), 0, 0, 0, _PLAIN_FILE, at)
    return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", *facts, *rest) + name + extra


def _end(count: int, length: int, start: int) -> bytes:
    wide = b""
    if start >= _WIDE:
        record = (44, _VERSION_64, _VERSION_64, 0, 0, count, count, length, start)
        wide = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", *record)
        wide += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + length, 1)
    return wide + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, length, min(start, _WIDE), 0)
