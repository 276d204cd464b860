"""Predictions as a folder: ``header.json``, and one ``.npy`` a column that is mapped into memory when it is read.

Nothing is compressed: probabilities do not get smaller, and a compressed column cannot be mapped. Texts are bytes with
offsets, ragged columns values with offsets. The ``.npz`` that older runs left are read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy

from scirs_neural.core.errors import DataError, RefusedError, StorageError
from scirs_neural.core.paths import replacing_folder, storage_errors
from scirs_neural.evaluation.columns import Column, Ragged, Texts, as_column, blocks
from scirs_neural.guard.arrays import map_array, read_arrays
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_json

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions

FORMAT = 1
HEADER = "header.json"


class ColumnWriter:
    """Writes a column part by part, so that a set of any size needs the memory of one part.

    Args:
        folder: where to.
        name: of the column.
        file: name of its files without suffix.
    """

    def __init__(self, folder: Path, name: str, file: str) -> None:
        self.name, self.file, self.type = name, file, ""
        self._values, self._offsets = _ArrayWriter(folder / f"{file}.npy"), _ArrayWriter(folder / f"{file}.offsets.npy")

    def append(self, column: Column) -> None:
        """Write the next entries.

        Raises:
            DataError: they are of another type, or of another shape, than those before.
        """
        kind = {Texts: "text", Ragged: "ragged"}.get(type(column), "array")
        if self.type not in ("", kind):
            raise DataError(f"the column '{self.name}' is {self.type} at first and {kind} later")
        self.type = kind
        if isinstance(column, np.ndarray):
            for block in blocks(column):
                self._values.append(block)
            return
        ragged = column.content if isinstance(column, Texts) else column
        begin = self._values.count
        if not self._offsets.count:
            self._offsets.append(np.zeros(1, dtype=np.int64))
        self._offsets.append(ragged.offsets[1:] + begin)
        for block in blocks(ragged.values):
            self._values.append(block)

    def close(self) -> dict[str, Any]:
        """Finish the files; the column's record in the header."""
        self._values.close()
        self._offsets.close()
        return {"name": self.name, "type": self.type or "array", "file": self.file}


class _ArrayWriter:
    """An ``.npy`` that grows along its first axis."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._file: BinaryIO | None = None
        self._dtype, self._shape = np.dtype(np.float64), ()

    def append(self, part: np.ndarray) -> None:
        if self._file is None:
            self._file = open(self.path, "wb")  # noqa: SIM115 - it stays open from part to part
            self._dtype, self._shape = part.dtype.newbyteorder("<"), part.shape[1:]
            self._write_header(self._file)
        if part.shape[1:] != self._shape:
            raise DataError(f"{self.path.name}: entries of shape {part.shape[1:]} after such of {self._shape}")
        if not np.can_cast(part.dtype, self._dtype, "same_kind"):
            raise DataError(f"{self.path.name}: entries of {part.dtype} after such of {self._dtype}")
        self._file.write(np.ascontiguousarray(part, dtype=self._dtype).data if part.size else b"")
        self.count += len(part)

    def close(self) -> None:
        if self._file is None or self._file.closed:
            return
        with self._file as file:
            file.seek(0)
            self._write_header(file)

    def _write_header(self, file: BinaryIO) -> None:
        """Write numpy's header, whose length leaves the number of entries open."""
        facts = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.count, *self._shape)}
        npy.write_array_header_1_0(file, facts)


class PredictionsWriter:
    """Fills a folder with predictions part by part, in a ``with`` block within one of `replacing_folder`.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._columns: dict[str, ColumnWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for writer in self._columns.values():
            writer.close()

    def append(self, ids: Sequence[str], columns: Mapping[str, Any], units: Sequence[str] | None = None) -> None:
        """Write the next samples.

        Raises:
            DataError: a column is missing, or differs from what was written before.
        """
        parts: dict[str, Column] = {"#ids": _texts(ids), **{k: as_column(v) for k, v in columns.items()}}
        if units is not None:
            parts["#units"] = _texts(units)
        if self._columns and self._columns.keys() != parts.keys():
            raise DataError(f"a batch has the columns {', '.join(parts)}, earlier ones had {', '.join(self._columns)}")
        for name, column in parts.items():
            if name not in self._columns:
                slug = re.sub(r"[^A-Za-z0-9_-]", "_", name.removeprefix("#"))[:40]
                self._columns[name] = ColumnWriter(self.folder, name, f"{len(self._columns)}-{slug}")
            self._columns[name].append(column)

    def finish(self, kind: type[Predictions], header: Mapping[str, Any]) -> None:
        """Write the header; the folder is whole then.

        Raises:
            DataError: the header is no plain data, or too long to be read again.
        """
        record = {
            "format": FORMAT, "kind": kind.kind, "version": kind.version, "header": dict(header),
            "columns": [writer.close() for writer in self._columns.values()],
        }  # fmt: skip
        try:
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DataError(f"the header of predictions is no plain data: {error}") from error
        if len(text.encode()) > BUDGETS.json_bytes // 2:
            raise DataError(f"the header of predictions has {len(text):,} characters", fix="shorter class names")
        (self.folder / HEADER).write_text(text + "\n", encoding="utf-8")


def write_predictions(pred: Predictions, folder: Path) -> None:
    """Write a folder of predictions, whole or not at all.

    Raises:
        StorageError: it could not be written.
    """
    with storage_errors(folder.parent, "make the folder"):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder, HEADER) as temporary, PredictionsWriter(temporary) as writer:
        writer.append(pred.ids, pred.columns, pred.units)
        writer.finish(type(pred), pred.header)


def read_predictions(path: Path, kind_of: Callable[[Any, str], type[Predictions]]) -> Predictions:
    """The predictions in a folder, or in the ``.npz`` of an older run.

    Args:
        path: the folder or file.
        kind_of: from a kind, and where it is named, to its class.

    Raises:
        StorageError: there is no such folder, or it may not be read.
        DataError: it holds something else, or a kind that is not installed.
    """
    try:
        return _from_npz(path, kind_of) if path.suffix == ".npz" else _from_folder(path, kind_of)
    except RefusedError as error:
        what = f"this is no {'file' if path.suffix == '.npz' else 'folder'} of predictions: {error.what}"
        raise DataError(what, where=str(path), fix="evaluate the run again") from error


def _from_folder(path: Path, kind_of: Callable[[Any, str], type[Predictions]]) -> Predictions:
    if not path.is_dir():
        raise StorageError("could not read: no such folder", where=str(path))
    where = str(path / HEADER)
    record = read_json(path / HEADER)
    if not isinstance(record, dict) or not isinstance(record.get("columns"), list):
        raise RefusedError("its header names no columns", where=where)
    if record.get("format") != FORMAT:
        what = f"predictions of format {record.get('format')!r}, this library knows {FORMAT}"
        raise DataError(what, where=where, fix="update scirs-neural")
    kind = kind_of(record.get("kind"), where)
    if record.get("version") != kind.version:
        what = f"predictions of the kind '{kind.kind}' in version {record.get('version')!r}, known is {kind.version}"
        raise DataError(what, where=where, fix="update what brings this kind")
    columns: dict[str, Any] = {}
    for held in record["columns"]:
        if not isinstance(held, dict) or not isinstance(held.get("name"), str):
            raise RefusedError("its header describes no column", where=where)
        columns[held["name"]] = _column(path, held, where)
    ids, units = columns.pop("#ids", None), columns.pop("#units", None)
    header = record.get("header")
    if not isinstance(ids, Texts) or not isinstance(units, Texts | None) or not isinstance(header, dict):
        raise RefusedError("it names no samples", where=where)
    return kind(ids, columns, header, units)


def _column(folder: Path, held: Mapping[str, Any], where: str) -> Column:
    file, kind = held.get("file"), held.get("type")
    if not isinstance(file, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", file):
        raise RefusedError("its header names a file elsewhere", where=where)
    values = map_array(folder / f"{file}.npy")
    if kind == "array":
        return values
    ragged = Ragged(values, map_array(folder / f"{file}.offsets.npy"))
    return Texts(ragged) if kind == "text" else ragged


def _from_npz(path: Path, kind_of: Callable[[Any, str], type[Predictions]]) -> Predictions:
    """What runs left before predictions were folders: of classes, of labels, or of numbers."""
    try:
        held = read_arrays(path, ("ids", "targets", "probabilities", "classes"))
    except RefusedError as error:
        try:
            held = read_arrays(path, ("ids", "targets", "values", "outputs"))
        except RefusedError:
            raise error from None
        columns = {"numbers": held["values"], "target": held["targets"]}
        return kind_of("numbers", str(path))(held["ids"].tolist(), columns, {"names": held["outputs"].tolist()})
    columns = {"probabilities": held["probabilities"], "target": held["targets"].astype(np.int64)}
    kind = kind_of("labels" if held["targets"].ndim == 2 else "class", str(path))
    return kind(held["ids"].tolist(), columns, {"classes": held["classes"].tolist()})


def _texts(names: Sequence[str]) -> Texts:
    return names if isinstance(names, Texts) else Texts.of(names)
