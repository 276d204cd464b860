"""Images in the user's own folders."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scirs_neural.core.errors import DataError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.class_folders import SPLIT_NAMES, class_folders
from scirs_neural.data.image.image_file import IMAGE_SUFFIXES
from scirs_neural.data.image.source import image_source
from scirs_neural.data.image.spec import IMAGENET_MEAN, IMAGENET_STD
from scirs_neural.data.samples import ReadSamples, file_samples
from scirs_neural.data.source import DataSource
from scirs_neural.data.targets import class_names, class_targets, label_targets

_OWN_COLUMNS = ("path", "label", "split")


def image_folder(root: str | Path) -> DataSource:
    """Images sorted into class folders, with or without folders for the splits.

    ``root/train/<class>/…``, and as far as they exist ``root/val`` (or ``valid``, ``validation``) and ``root/test``; or
    ``root/<class>/…``, of which shares are held out. Files count as images by their suffix; others are passed
    over. Folders in class folders are searched too.

    Raises:
        DataError: there is no such folder, a class has no images, or a split has a class that training lacks.
    """
    root = Path(root).expanduser()
    classes, found = class_folders(root, IMAGE_SUFFIXES, "images")
    samples = {split: _file_samples(rows, classes) for split, rows in found.items()}
    return _photos("image_folder", classes, samples, description=f"images in {root}")


def csv_file(path: str | Path, root: str | Path | None = None) -> DataSource:
    """Images listed in a file with the columns ``path,label`` and, if wanted, ``split``.

    Several labels of one image are joined by ``|``; then, no label is allowed too. A split is train, val or test;
    empty means train. Further columns say more of each image: ``data.group_by=patient`` keeps the images of one patient
    in one split, and ``evaluate --by camera`` scores each camera's.

    Args:
        path: the file, in UTF-8.
        root: the folder that relative paths start from; None: the file's own.

    Raises:
        DataError: a column, a file or a label is missing, or one image is in two splits. Names file and line.
        UnknownNameError: a split has an unknown name.
    """
    path = Path(path).expanduser()
    base = path.parent if root is None else Path(root).expanduser()
    rows = _csv_rows(path)
    if not any(row.split == "train" for row in rows):
        raise DataError("no training samples", where=str(path))
    many = any("|" in row.label for row in rows)
    missing = [row for row in rows if not (base / row.path).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise DataError(
            f"no such file: {base / missing[0].path}{more}", where=missing[0].where, fix="correct it, or data.root=…"
        )
    seen: dict[str, str] = {}
    for row in rows:
        if not row.label and not many:
            raise DataError("a label is missing", where=row.where)
        if seen.setdefault(row.path, row.split) != row.split:
            raise DataError(
                f"{row.path} is in the splits {seen[row.path]} and {row.split}",
                where=row.where,
                fix="leave it in one of them",
            )
    classes = class_names(name for row in rows if row.split == "train" for name in row.names())
    samples = {}
    for split in ("train", "val", "test"):
        chosen = [row for row in rows if row.split == split]
        if not chosen:
            continue
        wheres = [row.where for row in chosen]
        if many:
            targets = label_targets([row.names() for row in chosen], classes, wheres)
        else:
            targets = class_targets([row.names()[0] for row in chosen], classes, wheres)
        columns = {name: [row.columns[name] for row in chosen] for name in chosen[0].columns}
        samples[split] = file_samples("image", [base / row.path for row in chosen], columns, label=targets)
    return _photos("csv", classes, samples, multi_label=many, description=f"images listed in {path}")


def _photos(
    name: str,
    classes: tuple[str, ...],
    samples: dict[str, ReadSamples],
    *,
    multi_label: bool = False,
    description: str,
) -> DataSource:
    return image_source(
        name,
        classes,
        samples["train"],
        samples.get("val"),
        samples.get("test"),
        picture="photo",
        crop=True,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        multi_label=multi_label,
        augment="standard",
        description=description,
    )


def _file_samples(rows: Sequence[tuple[Path, str]], classes: tuple[str, ...]) -> ReadSamples:
    paths = [path for path, _ in rows]
    return file_samples(
        "image", paths, label=class_targets([label for _, label in rows], classes, [str(path) for path in paths])
    )


class _Row(NamedTuple):
    path: str
    label: str
    split: str
    where: str  # file and line
    columns: dict[str, str]  # whatever else the file says

    def names(self) -> list[str]:
        return [part.strip() for part in self.label.split("|") if part.strip()]


def _csv_rows(path: Path) -> list[_Row]:
    if not path.is_file():
        raise DataError(
            "no such file", where=str(path), fix="data.path=… names a file with the columns path,label[,split]"
        )
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            lacking = {"path", "label"} - set(reader.fieldnames or ())
            if lacking:
                have = ", ".join(reader.fieldnames or ()) or "nothing"
                raise DataError(
                    f"no column {' and '.join(sorted(lacking))}: the first line says {have}",
                    where=str(path),
                    fix="start with the line path,label or path,label,split",
                )
            rows = []
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or any(text is None for name, text in row.items() if name != "split"):
                    raise DataError(
                        "more or fewer values than columns", where=where, fix="put values with commas in quotes"
                    )
                said = (row.get("split") or "train").strip().lower()
                if said not in SPLIT_NAMES:
                    raise UnknownNameError(
                        f"unknown split '{said}'", where=where, suggestions=did_you_mean(said, SPLIT_NAMES)
                    )
                others = {name: text.strip() for name, text in row.items() if name not in _OWN_COLUMNS}
                rows.append(_Row(row["path"].strip(), row["label"].strip(), SPLIT_NAMES[said], where, others))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"not a table in UTF-8: {error}", where=str(path)) from error
    if not rows:
        raise DataError("no samples below the first line", where=str(path))
    return rows
