"""Packages with other members than they were written with, by the words of the specification alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def members(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rewrite(source: Path, target: Path, change: Callable[[dict[str, bytes]], None], *, hashes: bool = True) -> Path:
    """A copy of a package folder with other members, and a manifest that is true of them."""
    held = members(source)
    change(held)
    manifest = json.loads(held["manifest.json"])
    if hashes:
        manifest["members"] = {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in held.items()
            if name != "manifest.json"
        }
    held["manifest.json"] = sealed(manifest)
    for name, content in held.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return target


def sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest's bytes with a true digest, by the specification's words alone."""
    raw = json.dumps({**manifest, "digest": "0" * 64}, indent=2).encode()
    return raw.replace(b"0" * 64, hashlib.sha256(raw).hexdigest().encode())
