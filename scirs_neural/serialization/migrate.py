"""From older versions of the format to the newest: a chain of small functions from plain data to plain data.

A new version adds one function to `MIGRATIONS` and a golden package to the tests; nothing here is ever taken away, and
none leans on what may change, such as the classes of tasks and fields (docs/format.md, "Versions").
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.archive import Archive
from scirs_neural.guard.text import read_json
from scirs_neural.serialization.manifest import dump, hash_of, seal
from scirs_neural.serialization.schema import (
    MANIFEST,
    METRICS,
    MODEL,
    SPEC,
    TASK,
    VERSION,
    WEIGHTS,
    Manifest,
    Member,
    check,
)
from scirs_neural.serialization.schema_1 import LABELS, PREPROCESS

Documents = dict[str, Any]  # members that are read as plain data, by name; "manifest.json" among them


def migrate(
    documents: Documents, members: Mapping[str, Member], version: int, where: str
) -> tuple[Manifest, Documents]:
    """The manifest and the JSON members of a package, as the newest version has them.

    Args:
        documents: as its version has them, with the manifest.
        members: size and sums of all members.
        version: of the format.
        where: the package, for errors.

    Raises:
        CheckpointError: a member is not as its version has it.
    """
    if version == VERSION:
        return check(MANIFEST, documents[MANIFEST], where), {k: v for k, v in documents.items() if k != MANIFEST}
    files = {name: member for name, member in members.items() if name not in documents}
    try:
        for step in range(version, VERSION):
            documents = MIGRATIONS[step](documents)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"the package is not as version {version} has it: {error!r}", where=where) from error
    facts = documents.pop(MANIFEST)
    manifest, _ = seal(facts, files | {name: hash_of([dump(plain)]) for name, plain in documents.items()})
    return manifest, documents


def read_0(archive: Archive, plain: Any, where: str) -> tuple[Documents, dict[str, Member]]:
    """What a package of version 0 holds: documents, and size and hash of the other members.

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
        measured = hash_of(archive.pieces(name))
        if measured.sha256 != sha256:
            raise CheckpointError(f"{name} is damaged: its SHA-256 is not that of the manifest", where=where)
        if name.endswith(".json"):
            documents[name] = read_json(archive.read(name), where=f"{where}, {name}")
        elif name == "labels.txt":
            documents[name] = archive.read(name).decode("utf-8", "replace").splitlines()
        else:
            members[name] = measured
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
        options = dict(config["kwargs"])
        size = options.pop("input_size", None)
        fitted: dict[str, Any] = {key: options.pop(key, None) for key in ("num_classes", "in_channels")}
        fitted["stem"] = options.pop("stem", "auto")
        fitted["input_size"] = [size, size] if isinstance(size, int) else size
        new[MODEL] = {"kind": "zoo", "name": config["model"], **fitted, "options": options, "plans": []}
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


def from_1_to_2(old: Documents) -> Documents:
    """Version 1 to 2: preprocessing and labels become a data spec, the task gets a record, plans are modifications."""
    manifest = {key: value for key, value in old[MANIFEST].items() if key not in _ONLY_IN_1}
    facts, task = old[MANIFEST]["data"] or {}, old[MANIFEST]["task"]
    if manifest["migrated_from"] is None:
        manifest["migrated_from"] = 1
    new: Documents = {MANIFEST: {**manifest, "parts": []}, MODEL: model_from_1_to_2(old[MODEL])}
    if METRICS in old:
        new[METRICS] = old[METRICS]
    inputs, targets = {}, {}
    if PREPROCESS in old:
        image = old[PREPROCESS]
        if task in ("table_classification", "regression"):  # a row of numbers was an image of one pixel
            scales = enumerate(zip(image["mean"], image["std"], strict=True))
            columns = [{"name": f"column_{i}", "type": "number", "mean": m, "std": s} for i, (m, s) in scales]
            inputs["row"] = {"kind": "table", "version": 1, "columns": columns}
        else:
            inputs["image"] = {**image, "version": 1}
    if LABELS in old and task != "regression":  # its package lacked what its outputs are scaled by
        is_multi_label = old[LABELS]["multi_label"]
        kind = "labels" if is_multi_label else "class"
        targets["target" if "row" in inputs else "label"] = {
            "kind": kind,
            "version": 1,
            "classes": old[LABELS]["names"],
        }
        name = "multi_label" if is_multi_label else "classification"
        if task is not None:
            new[TASK] = {"name": name if task in _TASKS_1 else task, "version": 1, "options": {}}
    if inputs or targets:
        new[SPEC] = {
            "format": 2, "name": facts.get("name", manifest["name"]), "inputs": inputs, "targets": targets,
            "sizes": facts.get("sizes", {}), "description": facts.get("description", ""),
            "licence": manifest["licences"].get("data", ""), "pipeline": "fields",
        }  # fmt: skip
    return new


def model_from_1_to_2(old: Mapping[str, Any]) -> dict[str, Any]:
    """``model.json`` of version 1: its "plans" are called modifications.

    Raises:
        ValueError: it has modifications already.
    """
    if "modifications" in old:
        raise ValueError("modifications")
    new = {key: value for key, value in old.items() if key != "plans"}
    return new | ({"modifications": old["plans"]} if "plans" in old else {})


_FILES_0 = ("config.json", WEIGHTS, "labels.txt", PREPROCESS, METRICS)
_ONLY_IN_1 = ("task", "data", "format", "version", "members", "digest")
_TASKS_1 = ("image_classification", "table_classification")
MIGRATIONS: dict[int, Callable[[Documents], Documents]] = {0: from_0_to_1, 1: from_1_to_2}
