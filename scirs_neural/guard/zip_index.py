"""What is in a zip file, read strictly: one honest meaning, the same for every reader, or none.

Zip files say most things twice (in a directory at the end, and before each member), and readers differ in what they
believe. Here both must agree, and members and directory must tile the file from its first byte to its last: nothing
stands before, between, behind or on top of them. So a file cannot be a zip and something else, no member hides, and no
byte is counted twice, which is how small files become huge ones.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from isal.isal_zlib import crc32

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard.budgets import BUDGETS, KIB, MIB
from scirs_neural.guard.names import check_names, shown

STORED, DEFLATED = 0, 8
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_64, _LOCATOR, _DESCRIPTOR = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
_MAX_32, _MAX_16 = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED, _SIZES_FOLLOW, _PATCHED, _STRONG, _MASKED = 1, 1 << 3, 1 << 5, 1 << 6, 1 << 13
_ZIP64_EXTRA, _OTHER_NAME_EXTRA = 0x0001, 0x7075
_CHUNK = 1 * MIB


@dataclass(frozen=True)
class Member:
    """One file in a zip: its name, unpacked size, checksum, and where its bytes lie."""

    name: str
    size: int
    packed: int
    crc: int
    method: int
    start: int


@dataclass(frozen=True)
class _Entry:
    """What the directory says of a member."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_index(
    file: BinaryIO,
    where: str,
    *,
    max_members: int = BUDGETS.members,
    max_inflated: int = BUDGETS.inflated_bytes,
    any_names: bool = False,
    comment: int = 0,
) -> dict[str, Member]:
    """The members of a zip file by name, folders left out.

    Args:
        file: opened for reading, at any position.
        where: what to call it in errors.
        max_members: how many it may have.
        max_inflated: how many bytes its compressed members may have in all, unpacked.
        any_names: take names that could not be files everywhere; none may stand twice. For what is never unpacked.
        comment: how many bytes stand behind its end, in the zip's own comment.

    Raises:
        RefusedError: it is damaged, or means different things to different readers, or would unpack to too much.
    """
    try:
        return _Index(file, where, max_inflated, comment).members(max_members, any_names)
    except (struct.error, UnicodeDecodeError, EOFError) as error:
        raise RefusedError("refused: the zip file is damaged", where=where) from error


def read_member(file: BinaryIO, member: Member, where: str) -> Iterator[bytes]:
    """The content of a member, piece by piece; its size and checksum are held to what was said.

    Raises:
        RefusedError: it is not what the directory says.
    """
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
    crc, size, left = 0, 0, member.packed
    file.seek(member.start)
    while left:
        packed = file.read(min(_CHUNK, left))
        if not packed:
            _refuse(f"{shown(member.name)} is cut off", where)
        left -= len(packed)
        while packed:
            if inflate is None:
                piece, packed = packed, b""
            else:
                try:
                    piece = inflate.decompress(packed, _CHUNK)
                except zlib.error as error:
                    raise RefusedError(f"refused: {shown(member.name)} is damaged", where=where) from error
                packed = inflate.unconsumed_tail
                if inflate.unused_data:
                    _refuse(f"{shown(member.name)} holds more than it says", where)
            size += len(piece)
            if size > member.size:
                _refuse(f"{shown(member.name)} unpacks to more than the {member.size:,} bytes it says", where)
            crc = crc32(piece, crc)
            if piece:
                yield piece
    if size != member.size or crc != member.crc or (inflate is not None and not inflate.eof):
        _refuse(f"{shown(member.name)} is damaged: its size or checksum is not what the file says", where)


class _Index:
    """Reads the directory of one file, then holds every member to it."""

    def __init__(self, file: BinaryIO, where: str, max_inflated: int, comment: int) -> None:
        self.file, self.where, self.max_inflated, self.comment = file, where, max_inflated, comment
        self.length = file.seek(0, os.SEEK_END) - comment
        if self.length > BUDGETS.archive_bytes:
            self.refuse(f"it is larger than {BUDGETS.archive_bytes:,} bytes")

    def members(self, limit: int, any_names: bool) -> dict[str, Member]:
        count, start, length, end = self.directory()
        if count > limit:
            self.refuse(f"it has {count:,} members, more than {limit:,}")
        entries = self.entries(count, start, length)
        names = [self.name(entry) for entry in entries]
        if not any_names:
            check_names(names, self.where)
        elif len(set(names)) < len(names):
            self.refuse("it holds a name twice")
        self.pay(entries)
        found: dict[str, Member] = {}
        rows = sorted(zip(entries, names, strict=True), key=lambda row: row[0].offset)
        if start + length != end or (rows[0][0].offset if rows else start) != 0:
            self.refuse("bytes stand before its members or behind its directory")
        ends = [*(row[0].offset for row in rows[1:]), start]
        for (entry, name), until in zip(rows, ends[: len(rows)], strict=True):
            data = self.local(entry, name, until)
            self.check_descriptor(entry, name, data + entry.packed, until)
            if not name.endswith("/"):
                found[name] = Member(name, entry.size, entry.packed, entry.crc, entry.method, data)
        return {name: found[name] for name in names if name in found}

    def at(self, place: int, size: int) -> bytes:
        self.file.seek(place)
        content = self.file.read(size)
        if len(content) != size:
            raise EOFError
        return content

    def directory(self) -> tuple[int, int, int, int]:
        """Number of entries, first byte and length of the directory, and where what follows it begins."""
        if self.length < 22 or self.at(0, 4) not in (_LOCAL, _END):
            self.refuse("it is no zip file, or something stands before it")
        place = self.length - 22
        end = self.at(place, 22)
        if end[:4] != _END or int.from_bytes(end[20:], "little") != self.comment:
            self.refuse("it is cut off, or something stands behind its end")
        disk, first_disk, here, count, length, start = struct.unpack("<HHHHII", end[4:20])
        if self.length >= 98 and self.at(place - 20, 4) == _LOCATOR:
            disk_64, offset, disks = struct.unpack("<IQI", self.at(place - 16, 16))
            place -= 76
            if disk_64 or disks != 1 or offset != place:
                self.refuse("the end of its directory is not where it says")
            record = self.at(place, 56)
            size, _, _, at_disk, from_disk, here_64, count_64, length_64, start_64 = struct.unpack(
                "<QHHIIQQQQ", record[4:]
            )
            if record[:4] != _END_64 or size != 44 or at_disk or from_disk or here_64 != count_64:
                self.refuse("the end of its directory is damaged")
            for short, full, most in (
                (count, count_64, _MAX_16),
                (length, length_64, _MAX_32),
                (start, start_64, _MAX_32),
                (here, here_64, _MAX_16),
            ):
                if short not in (full, most):
                    self.refuse("the two ends of its directory differ")
            count, length, start = count_64, length_64, start_64
        elif here != count or count == _MAX_16 or _MAX_32 in (length, start):
            self.refuse("the end of its directory is damaged")
        if disk not in (0, _MAX_16) or first_disk not in (0, _MAX_16):
            self.refuse("it is a part of several")
        return count, start, length, place

    def entries(self, count: int, start: int, length: int) -> list[_Entry]:
        """What the directory says, entry by entry."""
        if length > count * (46 + BUDGETS.name_bytes + 4 * KIB) or start + length > self.length:
            self.refuse("its directory is larger than its entries, or lies outside of the file")
        content = self.at(start, length)
        found: list[_Entry] = []
        place = 0
        for _ in range(count):
            head = struct.unpack("<4sHHHHHHIIIHHHHHII", content[place : place + 46])
            sign, _, _, flags, method, _, _, crc, packed, size, named, extra_size, comment, disk, _, attrs, offset = (
                head
            )
            name = content[place + 46 : place + 46 + named]
            extra = content[place + 46 + named : place + 46 + named + extra_size]
            place += 46 + named + extra_size + comment
            if sign != _CENTRAL or place > length or comment:
                self.refuse("its directory is damaged, or has comments")
            where = shown(name)
            size, packed, offset = self.wide(extra, (size, packed, offset), where)
            if disk:
                self.refuse(f"{where} is on another disk")
            self.check_kind(name, attrs >> 16, flags, method)
            found.append(_Entry(name, flags, method, crc, packed, size, offset))
        if place != length:
            self.refuse("its directory is longer than its entries")
        return found

    def wide(self, extra: bytes, sizes: tuple[int, ...], where: str) -> tuple[int, ...]:
        """Sizes and offsets, with those that need 64 bits taken from the extra field."""
        zip64, place = b"", 0
        while place + 4 <= len(extra):
            tag, size = struct.unpack("<HH", extra[place : place + 4])
            body = extra[place + 4 : place + 4 + size]
            if tag == _OTHER_NAME_EXTRA or (tag == _ZIP64_EXTRA and zip64):
                self.refuse(f"{where} has two names or two sizes")
            zip64 = body if tag == _ZIP64_EXTRA else zip64
            place += 4 + size
        made: list[int] = []
        for value in sizes:
            if value == _MAX_32:
                (value,) = struct.unpack("<Q", zip64[:8])
                zip64 = zip64[8:]
            made.append(value)
        return tuple(made)

    def check_kind(self, name: bytes, mode: int, flags: int, method: int) -> None:
        """Refuse what is no plain file or folder, or cannot be read by everybody."""
        if flags & (_ENCRYPTED | _STRONG | _MASKED | _PATCHED):
            self.refuse(f"{shown(name)} is encrypted or a patch")
        if method not in (STORED, DEFLATED):
            self.refuse(f"{shown(name)} is compressed in an unusual way ({method})")
        kind = stat.S_IFMT(mode)
        if kind not in (0, stat.S_IFDIR if name.endswith(b"/") else stat.S_IFREG):
            self.refuse(f"{shown(name)} is a link or a device, not a plain file")

    def name(self, entry: _Entry) -> str:
        """A member's name as text."""
        name = entry.name.decode("utf-8" if entry.flags & 1 << 11 else "ascii")
        if name.endswith("/") and (entry.size or entry.packed):
            self.refuse(f"the folder {shown(name)} has a content")
        return name

    def pay(self, entries: list[_Entry]) -> None:
        """Hold what would be unpacked to the budgets."""
        inflated = 0
        for entry in entries:
            if entry.method == STORED and entry.packed != entry.size:
                self.refuse(f"{shown(entry.name)} is not compressed, and yet has two sizes")
            if entry.method == DEFLATED:
                inflated += entry.size
                if entry.size > max(BUDGETS.ratio * entry.packed, 64 * KIB):
                    self.refuse(f"{shown(entry.name)} would unpack from {entry.packed:,} bytes to {entry.size:,}")
        if inflated > self.max_inflated:
            self.refuse(f"its compressed members would unpack to {inflated:,} bytes; weights belong in uncompressed")

    def local(self, entry: _Entry, name: str, until: int) -> int:
        """Hold what stands before a member to the directory; gives where its bytes begin."""
        place = entry.offset
        if place + 30 + len(entry.name) + entry.packed > until:
            self.refuse(f"{shown(name)} is cut off, or lies on top of another")
        head = struct.unpack("<4sHHHHHIIIHH", self.at(place, 30))
        sign, _, flags, method, _, _, crc, packed, size, named, extra_size = head
        if sign != _LOCAL or flags != entry.flags or method != entry.method:
            self.refuse(f"what stands before {shown(name)} is not what the directory says")
        rest = self.at(place + 30, named + extra_size)
        if rest[:named] != entry.name:
            self.refuse(f"{shown(name)} has the other name {shown(rest[:named])}")
        if _MAX_32 in (size, packed):
            size, packed = self.wide(rest[named:], (size, packed), shown(name))
        said = (crc, packed, size)
        if said != (entry.crc, entry.packed, entry.size) and not (flags & _SIZES_FOLLOW and said == (0, 0, 0)):
            self.refuse(f"{shown(name)} has two sizes or checksums")
        return place + 30 + named + extra_size

    def check_descriptor(self, entry: _Entry, name: str, place: int, until: int) -> None:
        """Hold the sizes that may stand behind a member to the directory, and let nothing else stand there."""
        size = until - place
        if not size and not entry.flags & _SIZES_FOLLOW:
            return
        rest = self.at(place, size) if 0 < size <= 24 else b""
        rest = rest.removeprefix(_DESCRIPTOR) if size in (16, 24) else rest
        layout = {12: "<III", 20: "<IQQ"}.get(len(rest))
        if not entry.flags & _SIZES_FOLLOW or layout is None:
            self.refuse(f"bytes stand behind {shown(name)}, or it lies on top of another")
        if struct.unpack(layout, rest) != (entry.crc, entry.packed, entry.size):
            self.refuse(f"the sizes behind {shown(name)} are not what the directory says")

    def refuse(self, what: str) -> NoReturn:
        _refuse(what, self.where)


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
