"""What ``predict`` reads and writes: samples from files and folders, answers as CSV, JSON or JSON lines."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scirs_neural.core.clean import clean
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.paths import place_beside, put_in_place, storage_errors
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.runs.predictor import Prediction, flat

SUFFIXES = (".csv", ".json", ".jsonl")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class AnswerFile:
    """A file of answers, written row by row beside its place and put there when all is done; without a path, nothing.

    What stood there stays until then, and where nothing could be answered. If the work is broken off, the answers so
    far are kept as ``….partial.csv``, and that is said.

    Args:
        path: ``….csv`` (one row a sample, nested answers flattened), ``….json`` (a list) or ``….jsonl`` (a line each).
        tell: is told what became of them, if they are not there.

    Raises:
        ConfigError: another suffix.
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path | None, tell: Callable[[str], object]) -> None:
        if path is not None and path.suffix not in SUFFIXES:
            raise ConfigError(
                f"cannot write '{path}'", where="command line, --output",
                suggestions=did_you_mean(path.suffix, SUFFIXES), fix=f"name a file ending with {', '.join(SUFFIXES)}",
            )  # fmt: skip
        self.path, self.tell, self.count, self.answered = path, tell, 0, 0
        self.is_written = False
        self.heads: list[str] = []
        self.waiting: list[Prediction] = []

    def __enter__(self) -> AnswerFile:
        if self.path is not None:
            with storage_errors(self.path, "write the answers"):
                self.temporary = place_beside(self.path)
                self.file = open(self.temporary, "x", newline="", encoding="utf-8")
            self._put("[" if self.path.suffix == ".json" else "")
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if self.path is None:
            return
        try:
            self._flush_waiting()
            self._put("\n]\n" if self.path.suffix == ".json" else "")
            self.file.close()
            with storage_errors(self.path, "write the answers"):
                if kind is None and not self.answered and self.path.exists():
                    self.tell(f"nothing could be answered: {self.path} is left as it was")
                elif kind is None:
                    put_in_place(self.temporary, self.path)
                    self.is_written = True
                elif self.count:
                    kept = self.path.with_suffix(f".partial{self.path.suffix}")
                    os.replace(self.temporary, kept)
                    self.tell(f"broken off: the {self.count:,} answers until then are in {kept}")
        finally:
            self.file.close()
            self.temporary.unlink(missing_ok=True)

    def write(self, found: Prediction) -> None:
        """Write one answer, or why there is none."""
        if self.path is None:
            return
        error = {} if found.error is None else {"error": found.error.what}
        if self.path.suffix == ".csv":
            self._row(found)
        else:
            text = json.dumps({"source": found.source, "answer": found.answer, **error}, ensure_ascii=False)
            if self.path.suffix == ".jsonl":
                self._put(f"{text}\n")
            else:
                self._put(f",\n{text}" if self.count else f"\n{text}")
        self.count += 1
        self.answered += found.error is None

    def _row(self, found: Prediction) -> None:
        if not self.heads:
            if found.error is not None:  # the first answer says what the columns are
                self.waiting.append(found)
                return
            self.heads = [*flat(found.answer)]
            self._flush_waiting()
        self._cells(found)

    def _flush_waiting(self) -> None:
        if self.path is None or self.path.suffix != ".csv" or (not self.heads and not self.waiting):
            return
        if self.file.tell() == 0:
            csv.writer(self.file, lineterminator="\n").writerow(["source", *self.heads, "error"])
        for found in self.waiting:
            self._cells(found)
        self.waiting.clear()

    def _cells(self, found: Prediction) -> None:
        row = {} if found.error is not None else flat(found.answer)
        error = "" if found.error is None else found.error.what
        cells = [found.source, *(row.get(head, "") for head in self.heads), error]
        with storage_errors(self.path or Path(), "write the answers"):
            csv.writer(self.file, lineterminator="\n").writerow([_harmless(cell) for cell in cells])

    def _put(self, text: str) -> None:
        if text:
            with storage_errors(self.path or Path(), "write the answers"):
                self.file.write(text)


def _harmless(cell: Any) -> Any:
    """A text that neither a spreadsheet runs as a formula nor a terminal obeys."""
    if not isinstance(cell, str):
        return cell
    return clean(f"'{cell}" if cell.startswith(_FORMULA) else cell)


def expand(inputs: Sequence[str], pipeline: Pipeline) -> list[Path]:
    """The files that paths, folders and patterns mean, in a stable order.

    Args:
        inputs: as typed.
        pipeline: its fields say which files of a folder count.

    Raises:
        ConfigError: one of them means no file.
    """
    suffixes = {suffix for held in pipeline.inputs.values() for suffix in held.suffixes}
    kinds = ", ".join(held.kind for held in pipeline.inputs.values())
    found: list[Path] = []
    for text in inputs:
        path = Path(text).expanduser()
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        elif path.is_file():
            files = [path]
        else:
            base = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else text
            files = sorted(p for p in base.glob(pattern) if p.is_file()) if any(c in text for c in "*?[") else []
        if not files:
            fix = f"name files, folders or patterns in quotes; files of {kinds} end with {' '.join(sorted(suffixes))}"
            raise ConfigError(f"no {kinds} there: {text}", fix=fix)
        found += files
    return list(dict.fromkeys(found))


def answer_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Settings of answering, as typed: ``["threshold=0.3"]`` is ``{"threshold": 0.3}``.

    Raises:
        ConfigError: one is not NAME=VALUE.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ConfigError(f"'{text}' is not NAME=VALUE", where="command line, --set", fix="--set threshold=0.3")
        if name in found:
            raise ConfigError(f"'{name}' is set twice", where="command line, --set")
        found[name] = yaml.safe_load(value)
    return found


def shown(found: Prediction, top_k: int) -> list[str]:
    """The cells of a row on the terminal: the source, and the answer in a few words."""
    if found.error is not None:
        return [found.source, f"not used: {found.error.what}"]
    answer = found.answer
    if isinstance(answer, Mapping) and answer and all(isinstance(part, Mapping) for part in answer.values()):
        return [found.source, *(f"{target}: {', '.join(_words(part, 1))}" for target, part in answer.items())]
    return [found.source, *_words(answer, top_k)]


def _words(answer: Any, top_k: int) -> list[str]:
    if isinstance(answer, Mapping) and isinstance(top := answer.get("top"), list):
        return [f"{name} ({100 * value:.2f} %)" for name, value in top[:top_k]]
    return [f"{k} {_short(v)}" for k, v in flat(answer).items()]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and value and isinstance(value[0], list):  # a mask
        return f"{len(value)}x{len(value[0])}"
    return str(value)
