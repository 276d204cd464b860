"""Images in the user's own folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.data.class_folders import class_folders, passed_over
from scirs_neural.data.image.image_file import IMAGE_SUFFIXES
from scirs_neural.data.image.source import image_source
from scirs_neural.data.image.spec import IMAGENET_MEAN, IMAGENET_STD
from scirs_neural.data.samples import Samples, file_samples
from scirs_neural.data.source import DataSource
from scirs_neural.data.split_names import splits_of
from scirs_neural.data.table.read import need_columns, plain_columns, read_table
from scirs_neural.data.targets import class_names, class_targets, label_targets


def image_folder(root: str | Path) -> DataSource:
    """Images sorted into class folders, with or without folders for the splits.

    ``root/train/<class>/…``, and as far as they exist ``root/val`` (or ``valid``, ``validation``) and ``root/test``; or
    ``root/<class>/…``, of which fractions are held out. Files count as images by their suffix; others are passed
    over. Folders in class folders are searched too.

    Raises:
        DataError: there is no such folder, a class has no images, or a split has a class that training lacks.
    """
    root = Path(root).expanduser()
    classes, found = class_folders(root, IMAGE_SUFFIXES, "images")
    samples = {split: file_samples("image", paths, label=numbers) for split, (paths, numbers) in found.items()}
    source = _photos("image_folder", classes, samples, description=f"images in {root}")
    source.notes += passed_over(root, {path for paths, _ in found.values() for path in paths})
    return source


def csv_file(path: str | Path, root: str | Path | None = None) -> DataSource:
    """Images listed in a table with the columns ``path,label`` and, if wanted, ``split``.

    Several labels of one image are joined by ``|``; then, no label is allowed too. A split is train, val or test;
    empty means train. Further columns say more of each image: ``data.group_by=patient`` keeps the images of one patient
    in one split, and ``evaluate --by camera`` scores each camera's.

    Args:
        path: the table, as `read_table` takes it.
        root: the folder that relative paths start from; None: the file's own.

    Raises:
        DataError: a column, a file or a label is missing, or one image is in two splits. Names file and line.
        UnknownNameError: a split has an unknown name.
    """
    path = Path(path).expanduser()
    base = path.parent if root is None else Path(root).expanduser()
    table = read_table(path)
    need_columns(table, ("path", "label"))
    columns = {name: [text.strip() for text in texts] for name, texts in plain_columns(table).items()}
    files, labels = columns.pop("path"), columns.pop("label")
    split_of = splits_of(columns.pop("split", [""] * len(table)), table.at)
    if "train" not in split_of:
        raise DataError("no training samples", where=str(path))
    missing = [row for row, file in enumerate(files) if not (base / file).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} others)" if len(missing) > 1 else ""
        what = f"no such file: {base / files[missing[0]]}{more}"
        raise DataError(what, where=table.at(missing[0]), fix="correct it, or data.root=…")
    many = any("|" in label for label in labels)
    seen: dict[str, str] = {}
    for row, (file, label, split) in enumerate(zip(files, labels, split_of.tolist(), strict=True)):
        if not label and not many:
            raise DataError("a label is missing", where=table.at(row))
        if seen.setdefault(file, split) != split:
            what = f"{file} is in the splits {seen[file]} and {split}"
            raise DataError(what, where=table.at(row), fix="leave it in one of them")
    names = [[part.strip() for part in label.split("|") if part.strip()] for label in labels]
    classes = class_names(name for row in np.flatnonzero(split_of == "train").tolist() for name in names[row])
    samples = {}
    for split in np.unique(split_of).tolist():
        rows = np.flatnonzero(split_of == split).tolist()
        wheres = [table.at(row) for row in rows]
        if many:
            targets = label_targets([names[row] for row in rows], classes, wheres)
        else:
            targets = class_targets([names[row][0] for row in rows], classes, wheres)
        others = {name: [texts[row] for row in rows] for name, texts in columns.items()}
        samples[split] = file_samples("image", [base / files[row] for row in rows], others, label=targets)
    source = _photos("csv", classes, samples, multi_label=many, description=f"images listed in {path}")
    source.notes += table.notes
    return source


def _photos(name: str, classes: Sequence[str], samples: Mapping[str, Samples], **more: Any) -> DataSource:
    return image_source(
        name, classes, samples, picture="photo", crop=True, mean=IMAGENET_MEAN, std=IMAGENET_STD, augment="standard",
        **more,
    )  # fmt: skip
