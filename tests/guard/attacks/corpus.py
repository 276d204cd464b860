"""What the families have in common: where they are entered, what an attack leaves behind, and the plainest of files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CANARY = "canary"
COMMAND = f"touch {CANARY}"
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


def tensor_file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(**changed: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
