"""The manifest: sealed when it is written, held to its seal when it is read."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from isal.isal_zlib import crc32

from scirs_neural.core.environment import git_commit, installed
from scirs_neural.core.errors import CheckpointError
from scirs_neural.serialization.schema import FORMAT, MANIFEST, VERSION, Manifest, Member, Part, check

LIBRARIES = ("safetensors", "scirs-neural", "torch", "torchvision")
_BLANK = "0" * 64


def dump(plain: Any) -> bytes:
    """Plain data as a JSON member of a package; the order of keys stays.

    Raises:
        CheckpointError: it holds something else, or a number that is not finite.
    """
    try:
        text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"this cannot be kept in a package: {error}", fix="give plain, finite data") from error
    return (text + "\n").encode("utf-8")


def seal(facts: Mapping[str, Any], members: Mapping[str, Member]) -> tuple[Manifest, bytes]:
    """A manifest, and the bytes of its file.

    Args:
        facts: every key but "format", "version", "members" and "digest".
        members: size and sums of every other file.

    Raises:
        CheckpointError: a fact is of another type than the format has.
    """
    table = {name: members[name].model_dump() for name in sorted(members)}
    plain = {"format": FORMAT, "version": VERSION, **facts, "members": table, "digest": _BLANK}
    plain["digest"] = hashlib.sha256(dump(plain)).hexdigest()
    return check(MANIFEST, plain, "the manifest"), dump(plain)


def new_facts(*, name: str, licences: Mapping[str, str], parts: Iterable[Part]) -> dict[str, Any]:
    """What a manifest says of when and with what a package was made; ``SOURCE_DATE_EPOCH`` sets the time."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    at = time.gmtime(int(seconds) if seconds and seconds.isdecimal() else None)
    versions = {package: version for package in LIBRARIES if (version := installed(package))}
    return {
        "name": name,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
        "libraries": {"python": platform.python_version(), **versions},
        "git_commit": git_commit(),
        "licences": dict(licences),
        "parts": [part.model_dump() for part in parts],
        "migrated_from": None,
    }


def version_of(plain: Any, where: str) -> int:
    """The version of the format that a manifest is of.

    Raises:
        CheckpointError: it is no manifest, or newer than this library.
    """
    is_ours = isinstance(plain, dict) and (plain.get("format") == FORMAT or plain.get("format_version") == 0)
    version = plain.get("version", plain.get("format_version")) if is_ours else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise CheckpointError("it has a manifest.json, but not that of a package", where=where)
    if version > VERSION:
        libraries = plain.get("libraries")
        maker = libraries.get("scirs-neural") if isinstance(libraries, dict) else None
        raise CheckpointError(
            f"the package is of version {version} of the format, and this library reads versions up to {VERSION}",
            where=where,
            fix=f"pip install -U scirs-neural (the package was written with {maker})" if _is_version(maker)
            else "pip install -U scirs-neural",
        )  # fmt: skip
    return version


def check_seal(raw: bytes, plain: Mapping[str, Any], where: str) -> None:
    """Hold the manifest's bytes to its own digest.

    Raises:
        CheckpointError: a bit of it is not as it was written.
    """
    digest = plain.get("digest")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise CheckpointError("manifest.json is damaged: it has no digest", where=where)
    if hashlib.sha256(raw.replace(digest.encode(), _BLANK.encode())).hexdigest() != digest:
        raise CheckpointError("manifest.json is damaged: its digest is of other content", where=where)


def hash_of(pieces: Iterable[bytes | memoryview]) -> Member:
    """Size, SHA-256 and CRC-32 of a content."""
    digest, checksum, size = hashlib.sha256(), 0, 0
    for piece in pieces:
        digest.update(piece)
        checksum = crc32(piece, checksum)
        size += len(piece)
    return Member(size=size, sha256=digest.hexdigest(), crc32=f"{checksum:08x}")


def is_same(listed: Member, measured: Member) -> bool:
    """Whether a content is the one that a manifest lists: by size, SHA-256, and CRC-32 where it has one."""
    return measured == listed.model_copy(update={"crc32": listed.crc32 or measured.crc32})


def _is_version(text: object) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(r"[\w.+-]{1,40}", text))
