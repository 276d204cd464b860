"""How the numbers in a table of texts are written: a property of the whole table, not of a column.

``1.018`` is 1.018 or 1018. Which of the two is told by other cells, of any column: ``0,5`` proves a decimal comma.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import DataError
from scirs_neural.data.table.columns import cast_to_floats, distinct, is_text
from scirs_neural.data.table.values import is_missing, listed, parse_number

if TYPE_CHECKING:
    import pyarrow as pa

    from scirs_neural.guard.table import RawTable

_HEAD = 200  # different values of a column that are looked at first
_NAMED = 5  # of many columns, so many are named in a line
_EITHER_WAY = r"^[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)$"  # with dots between thousands a number too
_DECIMAL = {".": "point", ",": "comma"}
_USUAL = {";": ",", "\t": ".", "|": "."}
"""The decimal mark that goes with what divides the columns; ``1,5`` cannot stand unquoted in a file of commas."""


@dataclass
class Written:
    """How the numbers of a table are written.

    Args:
        columns: each column of texts that are all numbers: "decimal" and "thousands" as in its description.
        usual: the same for other columns.
        doubtful: columns of which nothing in the table tells the decimal mark; with a value that can be read twice.
        notes: what was inferred, a line each.
    """

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    usual: dict[str, Any] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, name: str, where: str) -> dict[str, Any] | None:
        """How the numbers of a column are written; None if its texts are not all numbers.

        Raises:
            DataError: it can be read in two ways.
        """
        if name in self.doubtful:
            text = self.doubtful[name]
            comma, point = (f"{parse_number(text, mark):.15g}" for mark in ",.")
            raise DataError(
                f"'{name}': {text} can be read as {comma} or as {point}, and nothing in the table tells", where=where,
                fix=f"data.columns={{{name}:'number:,'}} for a decimal comma, {{{name}:'number:.'}} for a decimal "
                "point: it then holds for the whole table",
            )  # fmt: skip
        return self.columns.get(name)


@dataclass
class _Evidence:
    """Of one column: the decimal marks with which all its texts are numbers, and examples of what stands in it."""

    marks: str
    dotted: str = ""
    with_comma: str = ""
    twofold: str = ""  # a text that is another number with the other mark


def numbers_of(table: RawTable, declared: Mapping[str, str] | None = None) -> Written:
    """How the numbers of a table are written, looked at once.

    A text that is a number with one decimal mark only proves it, for the whole table; so does ``number:,`` as the
    declared type of a column. Columns that prove different marks are read each as it has it, and this is said. Without
    proof, the mark is the usual one: a comma in files whose columns are divided by semicolons, if there are commas, and
    a point elsewhere. Where this leaves two readings of a kind that are both common (dots between three digits in a
    file of semicolons, commas in a file of tabs), the column is doubtful.

    Args:
        table: its columns of numbers are not looked at.
        declared: see `Roles.columns`.
    """
    if table.written is not None:
        return table.written
    table.written = written = Written()
    given = {name: kind[-1] for name, kind in (declared or {}).items() if kind in ("number:,", "number:.")}
    seen = {
        name: found
        for name, values in table.columns.items()
        if is_text(values.type)
        if (found := _evidence(values)) is not None
    }
    proof = {
        mark: [*(n for n, e in seen.items() if e.marks == mark and n not in given), *_keys(given, mark)]
        for mark in ",."
    }
    twofold = {name: e for name, e in seen.items() if e.twofold and name not in given}
    mark = _decide(proof, twofold, table.delimiter, written)
    marks = {**{name: e.marks if len(e.marks) == 1 else mark for name, e in seen.items()}, **given}
    grouped = {m: [n for n, e in seen.items() if marks[n] == m and (e.with_comma if m == "." else e.dotted)]
               for m in ",."}  # fmt: skip
    parts = {m: ({"decimal": ","} if m == "," else {}) | ({"thousands": True} if grouped[m] else {}) for m in ",."}
    written.columns = {name: parts[m] for name, m in marks.items()}
    written.usual = parts[mark]
    _say(written, proof, grouped, twofold, mark)
    return written


def _decide(proof: Mapping[str, list[str]], twofold: Mapping[str, _Evidence], delimiter: str, written: Written) -> str:
    """The decimal mark of a table; columns of which it cannot be told become doubtful."""
    if proof[","] and proof["."]:
        written.notes.append(
            f"numbers are not all written alike: decimal comma in {listed(proof[','], _NAMED)}, decimal point in "
            f"{listed(proof['.'], _NAMED)}"
        )
        written.doubtful = {name: e.twofold for name, e in twofold.items()}
        return "."
    if proof[","] or proof["."]:
        return "," if proof[","] else "."
    commas, usual = any(e.with_comma for e in twofold.values()), _USUAL.get(delimiter)
    if usual == "," and commas:
        return ","
    if (usual == "," and twofold) or (usual == "." and commas):
        written.doubtful = {name: e.twofold for name, e in twofold.items()}
    return "."


def _say(
    written: Written,
    proof: Mapping[str, list[str]],
    grouped: Mapping[str, list[str]],
    twofold: Mapping[str, _Evidence],
    mark: str,
) -> None:
    """What was inferred about numbers that can be read in two ways, and of decimal commas."""
    notes = written.notes
    if mark == "," and not proof["."]:
        why = f"proved by {listed(proof[','], _NAMED)}" if proof[","] else "the usual one in a file of semicolons"
        notes.append(f"all numbers of the file have a decimal comma: {why}")
    for m, names in grouped.items():
        if names:
            notes.append(f"{'dots' if m == ',' else 'commas'} stand between thousands in {listed(names, _NAMED)}")
    settled = [n for n in twofold if n not in written.doubtful and (n in grouped[mark] or not proof[mark])]
    if settled:
        text, other = twofold[settled[0]].twofold, "." if mark == "," else ","
        why = (
            "" if proof[mark] else f", and nothing tells: data.columns={{{settled[0]}:'number:{other}'}} for the other"
        )
        notes.append(f"{listed(settled, _NAMED)}: {text} is read as {parse_number(text, mark):.15g}{why}")


def _keys(given: Mapping[str, str], mark: str) -> Iterator[str]:
    return (name for name, each in given.items() if each == mark)


def _evidence(values: pa.ChunkedArray) -> _Evidence | None:
    """What a column of texts tells; None if it is not all numbers, or empty."""
    import pyarrow.compute as pc

    if _judged([text for text in values.slice(0, _HEAD).to_pylist() if not is_missing(text)]).marks == "":
        return None
    if cast_to_floats(values) is not None:  # plain numbers, with a decimal point if with any
        has_dot = pc.match_substring(values, ".")
        if not pc.any(has_dot).as_py():
            return _Evidence(".,")
        if not pc.all(pc.match_substring_regex(values, _EITHER_WAY)).as_py():
            return _Evidence(".", dotted=".")
        text = values[pc.index(has_dot, True).as_py()].as_py()
        return _Evidence(".,", dotted=text, twofold=text)
    texts = [text for text in distinct(values)[0] if not is_missing(text)]
    found = _judged(texts)
    return found if texts and found.marks else None


def _judged(texts: list[str]) -> _Evidence:
    marks = "".join(mark for mark in ".," if all(parse_number(text, mark) is not None for text in texts))
    first = {mark: next((text.strip() for text in texts if mark in text), "") for mark in ".,"}
    twofold = (first["."] or first[","]) if len(marks) == 2 else ""
    return _Evidence(marks, first["."], first[","], twofold)
