"""From older versions of the format to the newest: a chain of small functions from plain data to plain data.

A new version adds one function to `MIGRATIONS` and a golden package to the tests; nothing here is ever taken away
(docs/format.md, "Versions").
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.archive import Archive
from scirs_neural.guard.text import read_json
from scirs_neural.serialization.manifest import dump, hash_of, seal
from scirs_neural.serialization.schema import (
    LABELS,
    MANIFEST,
    METRICS,
    MODEL,
    PREPROCESS,
    VERSION,
    WEIGHTS,
    Manifest,
    Member,
)

Documents = dict[str, Any]  # members that are read as plain data, by name; "manifest.json" among them


def migrate(archive: Archive, plain: Any, version: int, where: str) -> tuple[Manifest, Documents]:
    """The manifest and JSON members of an older package, as the newest version has them.

    Args:
        archive: the package.
        plain: its manifest.
        version: what that is of.
        where: what to call it in errors.

    Raises:
        CheckpointError: a member is damaged, or not as its version has it.
    """
    documents, members = READERS[version](archive, plain, where)
    try:
        for step in range(version, VERSION):
            documents = MIGRATIONS[step](documents)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"the package is not as version {version} has it: {error!r}", where=where) from error
    facts = documents.pop(MANIFEST)
    members |= {name: hash_of([dump(held)]) for name, held in documents.items()}
    manifest, _ = seal(facts, members)
    return manifest, documents


def read_0(archive: Archive, plain: Any, where: str) -> tuple[Documents, dict[str, Member]]:
    """What a package of version 0 holds: documents, and size and hash of what stays as it is.

    Raises:
        CheckpointError: a member is damaged, missing, or more than version 0 has.
    """
    warnings.warn(
        f"{where} is of version 0 of the format, which was never released and is read until scirs-neural 1.0; "
        f"python -m scirs_neural.package migrate {where} --out NEW writes it anew",
        FutureWarning,
        stacklevel=2,
    )
    files = plain.get("files")
    if not isinstance(files, dict) or set(files) != set(archive.names) - {MANIFEST} or WEIGHTS not in files:
        raise CheckpointError("the members are not those of the manifest", where=where)
    documents: Documents = {MANIFEST: plain}
    members: dict[str, Member] = {}
    for name, sha256 in files.items():
        if name not in _FILES_0:
            raise CheckpointError(f"version 0 has no member '{name}'", where=where)
        found = hash_of(archive.pieces(name))
        if found.sha256 != sha256:
            raise CheckpointError(f"{name} is damaged: its SHA-256 is not that of the manifest", where=where)
        if name.endswith(".json"):
            documents[name] = read_json(archive.read(name), where=f"{where}, {name}")
        elif name == "labels.txt":
            documents[name] = archive.read(name).decode("utf-8", "replace").splitlines()
        else:
            members[name] = found
    return documents, members


def from_0_to_1(old: Documents) -> Documents:
    """Version 0 to 1: ``config.json`` splits by kind, labels become JSON, metrics get their splits."""
    manifest, config = old[MANIFEST], old["config.json"]
    new: Documents = {
        MANIFEST: {
            "name": manifest["name"], "task": manifest["task"], "created": manifest["created"], "libraries": {},
            "git_commit": None, "licences": {}, "data": None, "migrated_from": 0,
        }
    }  # fmt: skip
    if "network" in config:
        new[MODEL] = {"kind": "builder", "spec": config["network"], "plans": []}
    else:
        given = dict(config["kwargs"])
        size = given.pop("input_size", None)
        fitted: dict[str, Any] = {key: given.pop(key, None) for key in ("num_classes", "in_channels")}
        fitted["stem"] = given.pop("stem", "auto")
        fitted["input_size"] = [size, size] if isinstance(size, int) else size
        new[MODEL] = {"kind": "zoo", "name": config["model"], **fitted, "options": given, "plans": []}
    if PREPROCESS in old:
        new[PREPROCESS] = {"kind": "image", **old[PREPROCESS]}
    if "labels.txt" in old:
        new[LABELS] = {"names": old["labels.txt"], "multi_label": False}
    if METRICS in old:
        new[METRICS] = {}
        for key, value in old[METRICS].items():
            split, _, name = key.rpartition("/")
            new[METRICS].setdefault(split or "test", {})[name] = value
    return new


_FILES_0 = ("config.json", WEIGHTS, "labels.txt", PREPROCESS, METRICS)
READERS: dict[int, Callable[[Archive, Any, str], tuple[Documents, dict[str, Member]]]] = {0: read_0}
MIGRATIONS: dict[int, Callable[[Documents], Documents]] = {0: from_0_to_1}
