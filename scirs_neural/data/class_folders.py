"""Files sorted into class folders, with or without folders for the splits: pictures, texts, anything of a suffix."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.split_names import SPLIT_NAMES

_NAMED = 5  # suffixes of files that are passed over
Listed = tuple[list[Path], np.ndarray]
"""Files, and the class number of each (N,) int64."""


def class_folders(root: Path, suffixes: Collection[str], what: str) -> tuple[tuple[str, ...], dict[str, Listed]]:
    """The classes, and the files of each split in order.

    ``root/train/<class>/…``, and as far as they exist ``root/val`` (or ``valid``, ``validation``) and ``root/test``; or
    ``root/<class>/…``, all of it "train". Folders in class folders are searched too.

    Args:
        root: the folder.
        suffixes: files count by them, in lower case; others are passed over.
        what: the files are, in the plural: "images".

    Raises:
        DataError: there is no such folder, a class has no files, or a split has a class that training lacks.
    """
    layout = f"put the {what} of each class in a folder of its own: root/cat/1{min(suffixes)}, or root/train/cat/…"
    if not root.is_dir():
        raise DataError("no such folder" if not root.exists() else "a file, not a folder", where=str(root), fix=layout)
    folders = _split_folders(root)
    classes = _class_names(folders["train"], suffixes, what, layout)
    found: dict[str, Listed] = {}
    for split, folder in folders.items():
        paths: list[Path] = []
        numbers: list[int] = []
        for name in classes if split == "train" else _class_names(folder, suffixes, what, layout):
            if name not in classes:
                raise DataError(
                    f"class folder '{name}' is not among the training classes",
                    where=str(folder / name),
                    suggestions=did_you_mean(name, classes),
                )
            files = files_below(folder / name, suffixes)
            if not files and split == "train":
                kinds = f"files count by their suffix: {' '.join(sorted(suffixes))}"
                raise DataError(f"class folder '{name}' has no {what}", where=str(folder / name), fix=kinds)
            paths += files
            numbers += [classes.index(name)] * len(files)
        found[split] = paths, np.array(numbers, dtype=np.int64)
    return classes, found


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; the root alone as "train" if there are none."""
    folders: dict[str, Path] = {}
    for entry in sorted(root.iterdir()):
        split = SPLIT_NAMES.get(entry.name.lower())
        if split is None or not entry.is_dir():
            continue
        if split in folders:
            raise DataError(f"two folders for one split: {folders[split].name} and {entry.name}", where=str(root))
        folders[split] = entry
    return folders if "train" in folders else {"train": root}


def _class_names(folder: Path, suffixes: Collection[str], what: str, layout: str) -> tuple[str, ...]:
    classes = tuple(sorted(e.name for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")))
    if not classes:
        loose = any(e.suffix.lower() in suffixes for e in folder.iterdir())
        raise DataError(
            f"{what}, but no class folders" if loose else "an empty folder: no class folders in it",
            where=str(folder), fix=layout,
        )  # fmt: skip
    return classes


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files of some suffixes in a folder and those in it, in order; hidden ones are passed over."""
    found = []
    for parent, inner, files in os.walk(folder):
        inner.sort()
        found += [
            Path(parent, name)
            for name in sorted(files)
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith(".")
        ]
    return found


def passed_over(root: Path, used: Collection[Path]) -> list[str]:
    """A note on the files below a folder that are none of those used, by suffix; nothing if there are none."""
    counts: Counter[str] = Counter()
    for parent, _, files in os.walk(root):
        for name in files:
            if not name.startswith(".") and (path := Path(parent, name)) not in used:
                counts[path.suffix.lower() or "without suffix"] += 1
    if not counts:
        return []
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    shown = ", ".join(f"{suffix} ({count:,})" for suffix, count in most)
    return [f"{counts.total():,} files are passed over: {shown}"]
