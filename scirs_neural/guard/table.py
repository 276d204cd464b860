"""Table files: CSV, TSV, Parquet, JSONL, JSON. pyarrow reads; what is not clear is said or refused.

A CSV file is read as text, cell by cell: who looks at a whole column later is not misled by its first rows, and no
identifier loses its leading zeros.
"""

from __future__ import annotations

import csv
import itertools
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import DataError
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_json

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SNIFFED_LINES, _SNIFFED_BYTES = 50, 2**18


@dataclass
class RawTable:
    """Columns by name, as they were read.

    Args:
        columns: name to values.
        where: the file, or what else it is, for errors.
        first: what the first row is called: its line in a file, 0 elsewhere.
        lines: the line in which each row begins, where that is not ``first`` and so on: in files with empty lines, or
            with cells of several lines.
        delimiter: what divides the columns of a file of texts; "" elsewhere.
        named: whether the columns have names of their own.
        notes: what was inferred, a line each.
    """

    columns: dict[str, pa.ChunkedArray]
    where: str
    first: int = 0
    lines: Sequence[int] | None = None
    delimiter: str = ""
    named: bool = True
    notes: list[str] = field(default_factory=list)
    written: Any = None  # how its numbers are, once `scirs_neural.data.table.numbers.numbers_of` has looked

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def at(self, row: int) -> str:
        """What a row is called in an error."""
        return f"{self.where}, {'line' if self.first else 'row'} {self.places[row]}"

    @property
    def places(self) -> Sequence[int]:
        """What each row is called: the line in which it begins, or its number from 0."""
        return range(self.first, self.first + len(self)) if self.lines is None else self.lines

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict a row."""
        import pyarrow as pa

        for batch in pa.table(self.columns).to_batches(1024):
            lists = batch.to_pydict()
            yield from (dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True))


def read_table_file(path: Path) -> RawTable | Any:
    """A table from a file; of a JSON file, what it holds: rows or columns as plain data.

    Raises:
        DataError: there is no such file, or it is no table: ragged rows, NUL bytes, no UTF-8, a cell or a table above
            the limits. Names file and line.
        RefusedError: JSON that costs more than `BUDGETS` allows.
    """
    if not path.exists():
        raise DataError("no such file", where=str(path), fix="data.path=… names a table: CSV, Parquet or JSONL")
    if not path.is_file():
        raise DataError("not a regular file", where=str(path))
    if path.stat().st_size > BUDGETS.table_bytes:
        raise DataError(f"larger than {BUDGETS.table_bytes:,} bytes", where=str(path))
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"'{suffix}' is no table that can be read", where=str(path), fix=f"one of {' '.join(SUFFIXES)}")
    if suffix == ".json":
        return read_json(path)
    if suffix in (".parquet", ".pq"):
        table = _guarded(path, lambda: _parquet(path))
    elif suffix in (".jsonl", ".ndjson"):
        table = _guarded(path, lambda: _json_lines(path))
    else:
        table = _from_csv(path, "\t" if suffix in (".tsv", ".tab") else None)
    table.where = str(path)
    if not len(table):
        raise DataError("no rows below the first line" if suffix[1] in "ct" else "no rows", where=str(path))
    return limited(table)


def _guarded(path: Path, read: Callable[[], RawTable]) -> RawTable:
    import pyarrow as pa

    try:
        table = read()
        for values in table.columns.values():
            values.validate(full=True)  # offsets, and texts in UTF-8
        return table
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"not a table: {first_line(error)}", where=str(path)) from error


def _parquet(path: Path) -> RawTable:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, thrift_string_size_limit=2**26, thrift_container_size_limit=2**22) as file:
        cells = file.metadata.num_rows * file.metadata.num_columns
        if cells > max(BUDGETS.table_cells_free, BUDGETS.ratio * path.stat().st_size):
            raise DataError(f"{path.stat().st_size:,} bytes claim to hold {cells:,} values", where=str(path))
        table = file.read()
    notes: list[str] = []
    return RawTable(dict(zip(unique_names(table.column_names, notes), table.columns, strict=True)), "", notes=notes)


_NOT_AN_OBJECT = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t\r]*[^{\s]", re.MULTILINE)


def _json_lines(path: Path) -> RawTable:
    import pyarrow as pa
    import pyarrow.json

    if not path.stat().st_size:
        raise DataError("an empty file", where=str(path))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if found := _NOT_AN_OBJECT.search(content):  # pyarrow's reader crashes on the line "null"
            line = content[: found.start()].count(b"\n") + 1
            raise DataError("each line of a JSON Lines file is an object {…}", where=f"{path}, line {line}")
    with pa.OSFile(str(path)) as file:
        table = pyarrow.json.read_json(file)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return RawTable(columns, "", first=1, lines=_lines(path, len(table), 1))


def _from_csv(path: Path, delimiter: str | None) -> RawTable:
    import pyarrow as pa
    import pyarrow.csv

    lines = _text_head(path)
    notes: list[str] = []
    skipped = len(list(itertools.takewhile(lambda line: not line.strip() or line.startswith("# "), lines)))
    if skipped == len(lines):
        raise DataError("an empty file", where=str(path))
    chosen = delimiter or _delimiter([line for line in lines[skipped:] if line.strip()])
    if delimiter is None and chosen != ",":
        notes.append(f"columns are divided by {_DELIMITERS[chosen]}s")
    if skipped:
        notes.append(f"the first {skipped} lines are comments or empty")
    header = csv.reader(lines[skipped:], delimiter=chosen)
    try:
        names = [name.strip() for name in next(header)]
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=f"{path}, line {skipped + 1}") from error
    skipped += header.line_num
    if len(names) > BUDGETS.table_columns:
        raise DataError(f"more than {BUDGETS.table_columns:,} columns", where=str(path))
    _check_names(names, path)
    names = unique_names(names, notes)
    try:
        with pa.OSFile(str(path)) as file:
            table = pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(
                    column_names=names, skip_rows=skipped, block_size=2**22, encoding="utf8"
                ),
                parse_options=pyarrow.csv.ParseOptions(delimiter=chosen, newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={name: pa.string() for name in names}, strings_can_be_null=False
                ),
            )
    except (pa.ArrowException, OSError) as error:
        if "Empty CSV" in str(error):
            raise DataError("no rows below the first line", where=str(path)) from error
        raise _fault_of(path, chosen, len(names), error) from error
    columns = dict(zip(names, table.columns, strict=True))
    starts = _lines(path, len(table), skipped + 1, chosen)
    return RawTable(columns, str(path), first=skipped + 1, lines=starts, delimiter=chosen, notes=notes)


def _lines(path: Path, rows: int, first: int, delimiter: str | None = None) -> list[int] | None:
    """The line in which each row begins; None if they follow each other from ``first`` on.

    Args:
        path: the file.
        rows: how many it has.
        first: the line of the first.
        delimiter: of a file of CSV; None: a row is a line that is not empty.
    """
    with open(path, "rb") as file:
        count, end = 0, b"\n"
        while block := file.read(2**20):
            count, end = count + block.count(b"\n"), block[-1:]
    if count + (end != b"\n") == first + rows - 1:
        return None
    found: list[int] = []
    limit = csv.field_size_limit(BUDGETS.table_cell)
    try:
        with open(path, newline="", encoding="utf-8-sig") as text:
            if delimiter is None:
                found = [number for number, line in enumerate(text, start=1) if line.strip()]
            else:
                reader = csv.reader(text, delimiter=delimiter)
                before = 0
                for row in reader:
                    if row and before + 1 >= first:
                        found.append(before + 1)
                    before = reader.line_num
    except csv.Error:
        return None
    finally:
        csv.field_size_limit(limit)
    return found if len(found) == rows else None


def _text_head(path: Path) -> list[str]:
    """The first lines. NUL bytes and other encodings are found here, in the whole file."""
    import mmap

    with open(path, "rb") as file:
        start = file.read(_SNIFFED_BYTES)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError("not in UTF-8 but in UTF-16", where=str(path), fix="save it as CSV in UTF-8")
        if not start.strip():
            raise DataError("an empty file", where=str(path))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            nul = whole.find(b"\0")
            if nul >= 0:
                line = 1 + whole[:nul].count(b"\n")
                raise DataError("a NUL byte: not a text file", where=f"{path}, line {line}")
    text = start.decode("utf-8-sig", errors="replace")
    lines = re.split(r"\r\n|\r|\n", text)
    return (lines if len(start) < _SNIFFED_BYTES or len(lines) == 1 else lines[:-1])[:_SNIFFED_LINES]


def _delimiter(lines: Sequence[str]) -> str:
    """The mark that divides the lines into the same number of columns; of several, the one that gives most."""
    widths: dict[str, int] = {}
    for mark in _DELIMITERS:
        try:
            counts = {len(row) for row in csv.reader(lines, delimiter=mark)}
        except csv.Error:  # a cell above the limit
            counts = set()
        widths[mark] = counts.pop() if len(counts) == 1 else 1
    if max(widths.values()) == 1:  # ragged: as the header has it
        widths = {mark: lines[0].count(mark) for mark in _DELIMITERS}
    return max(widths, key=widths.__getitem__)


def _check_names(names: Sequence[str], path: Path) -> None:
    found = [float(name) for name in names if name.removeprefix("-").replace(".", "", 1).isdecimal()]
    counting = [list(map(float, range(start, start + len(found)))) for start in (0, 1)]
    if 2 * len(found) >= len(names) and found not in counting:
        raise DataError(
            f"the first line holds numbers ({', '.join(names[:3])}, …), not the names of columns",
            where=f"{path}, line 1", fix="add a first line of names",
        )  # fmt: skip


def unique_names(names: Sequence[str], notes: list[str]) -> list[str]:
    """Names of which none is empty, and none stands twice."""
    made: dict[str, None] = {}
    for index, given in enumerate(names):
        name = str(given) or f"Unnamed: {index}"  # as pandas calls it
        copies = itertools.count(2)
        unique = name
        while unique in made:
            unique = f"{name} ({next(copies)})"
        if unique != name:
            notes.append(f"two columns are called '{name}': the second is '{unique}' here")
        made[unique] = None
    return list(made)


def _fault_of(path: Path, delimiter: str, width: int, error: Exception) -> DataError:
    """What is wrong with a CSV file that pyarrow refuses, and in which line."""
    with open(path, "rb") as raw:
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as fault:
                return DataError(
                    f"not in UTF-8: byte {fault.object[fault.start]:#04x}", where=f"{path}, line {number}",
                    fix="save it as CSV in UTF-8",
                )  # fmt: skip
    limit = csv.field_size_limit(BUDGETS.table_cell)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader, before = csv.reader(file, delimiter=delimiter, strict=True), 0
            for row in reader:
                if row and len(row) != width and not row[0].startswith("# "):
                    return DataError(
                        f"{len(row)} values for {width} columns", where=f"{path}, line {before + 1}",
                        fix="each row has a value, maybe an empty one, for each name of the first line",
                    )  # fmt: skip
                before = reader.line_num
    except csv.Error as fault:
        return DataError(f"not a table: {fault}", where=f"{path}, line {reader.line_num}")
    finally:
        csv.field_size_limit(limit)
    return DataError(f"not a table: {first_line(error)}", where=str(path))


def limited(table: RawTable) -> RawTable:
    """Hold a table to the limits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(table.columns) > BUDGETS.table_columns:
        raise DataError(f"more than {BUDGETS.table_columns:,} columns", where=table.where)
    for name, values in table.columns.items():
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            lengths = pc.binary_length(values)
            longest = pc.max(lengths).as_py() or 0
            if longest > BUDGETS.table_cell:
                row = pc.index(lengths, longest).as_py()
                raise DataError(
                    f"a cell of {longest:,} bytes in the column '{name}', where {BUDGETS.table_cell:,} are allowed",
                    where=table.at(row),
                )  # fmt: skip
    return table


def first_line(error: BaseException) -> str:
    """What a library says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
