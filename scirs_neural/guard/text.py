"""JSON and YAML from files, as plain data: nothing is called, expanded without limit, or given twice.

Both readers take a path or bytes and give None, bool, int, float, str, list and dict (with str keys in JSON). Values
are read as Hydra reads them (``1e-3`` is a number, a date is a text).
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from scirs_neural.core.errors import CheckpointError, RefusedError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown

_MAX_INT = 2**64
_LONGEST_NUMBER = 64  # letters
_LONGEST_JSON_INT = 40  # tokenizers without a longest text say 10**30 for its length
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C: ten times as fast


def read_bytes(source: str | Path | bytes, limit: int, *, where: str | None = None) -> tuple[bytes, str]:
    """A file's content, or the content itself, and what to call it in an error.

    Raises:
        CheckpointError: there is no such file.
        RefusedError: it is larger than the limit, or no regular file.
        StorageError: it cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        content, where = bytes(source[: limit + 1]), where or "the text"
    else:
        path = Path(source).expanduser()
        where = where or str(path)
        with storage_errors(path, "read"):
            try:
                kind = path.stat().st_mode  # before it is opened: a pipe would never answer
            except FileNotFoundError:
                raise CheckpointError(f"no such file: {path}", where=where) from None
            if not stat.S_ISREG(kind):
                raise RefusedError("refused: not a regular file", where=where)
            with open(path, "rb") as file:
                content = file.read(limit + 1)
    if len(content) > limit:
        raise RefusedError(f"refused: it is larger than {limit:,} bytes", where=where)
    return content, where


def read_json(source: str | Path | bytes, *, where: str | None = None, allow_nan: bool = False) -> Any:
    """Read JSON strictly.

    Args:
        source: a path, or the bytes themselves.
        where: what to call it in errors.
        allow_nan: take NaN and Infinity, which Python's writer makes and the standard does not know.

    Raises:
        RefusedError: it is no JSON, has a key twice, or costs more than `BUDGETS` allows.
        CheckpointError: there is no such file.

    Example:
        >>> read_json(b'{"a": [1, 2.5, null]}')
        {'a': [1, 2.5, None]}
        >>> read_json(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        scirs_neural.core.errors.RefusedError: refused: the key 'a' stands twice
          from   the text
    """
    content, where = read_bytes(source, BUDGETS.json_bytes, where=where)
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > BUDGETS.json_nodes:
        _refuse(f"it has more than {BUDGETS.json_nodes:,} values", where)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) < len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            _refuse(f"the key {shown(twice)} stands twice", where)
        return made

    def constant(name: str) -> float:
        if not allow_nan:
            _refuse(f"{name} is no JSON", where)
        return float(name)

    def decimal(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            _refuse(f"the number {shown(text)} is too large", where)
        return value

    def whole(text: str) -> int:
        if len(text) > _LONGEST_JSON_INT:
            _refuse(f"the number {shown(text)} is too large", where)
        return int(text)

    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=decimal, parse_int=whole)
    except RecursionError:
        _refuse(f"it is nested deeper than {BUDGETS.depth}", where)
    except UnicodeDecodeError:
        _refuse("it is no UTF-8 text", where)
    except json.JSONDecodeError as error:
        _refuse(f"it is no JSON: {error.msg}, line {error.lineno} column {error.colno}", where)
    check_plain(found, where)
    return found


def check_plain(tree: Any, where: str) -> None:
    """Hold plain data to the depth allowed, and its texts to those that can be written again.

    Raises:
        RefusedError: it is nested too deep, or a text holds half a letter.
    """
    level, depth = [tree], 0
    while level:
        if depth > BUDGETS.depth:
            _refuse(f"it is nested deeper than {BUDGETS.depth}", where)
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(node)
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
            elif isinstance(node, str) and not node.isascii():
                try:
                    node.encode("utf-8")
                except UnicodeEncodeError:
                    _refuse("a text has half of a letter (a lone surrogate)", where)
        level, depth = below, depth + 1


def read_yaml(source: str | Path | bytes, *, where: str | None = None) -> Any:
    r"""Read YAML as plain data: no tags, no endless aliases, no key twice.

    An alias gives a copy of what it names, and costs as much as that; ``<<`` merges, as PyYAML does it.

    Args:
        source: a path, or the bytes themselves.
        where: what to call it in errors.

    Raises:
        RefusedError: it is no YAML, asks for a type by tag, has a key twice, or costs more than `BUDGETS` allows.
        CheckpointError: there is no such file.

    Example:
        >>> read_yaml(b"lr: 1e-3\ndate: 2026-01-01\nlayers: [relu, {linear: 3}]")
        {'lr': 0.001, 'date': '2026-01-01', 'layers': ['relu', {'linear': 3}]}
        >>> read_yaml(b"!net [3]")
        Traceback (most recent call last):
        scirs_neural.core.errors.RefusedError: refused: the tag '!net' asks for a type, line 1
          from   the text
    """
    content, where = read_bytes(source, BUDGETS.yaml_bytes, where=where)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("it is no UTF-8 text", where)
    try:
        return _Composer(yaml.parse(text, _LOADER), where).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        _refuse(f"it is no YAML: {problem}{line}", where)


def yaml_text(value: Any) -> str:
    r"""Plain data as YAML that `read_yaml` reads as it was, also a text such as ``1e3``, which PyYAML would not quote.

    Example:
        >>> yaml_text({"names": ["1e3", "null", "a"]})
        "names:\n- '1e3'\n- 'null'\n- a\n"
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def represent_str(self, text: str) -> yaml.ScalarNode:
        style = "'" if any(pattern.match(text) for _, pattern in _MEANINGS) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


class _Composer:
    """Builds plain data from YAML's events, counting as it goes: nothing is expanded before it is paid for."""

    def __init__(self, events: Any, where: str) -> None:
        self.events, self.where = events, where
        self.nodes = 0
        self.anchors: dict[str, tuple[Any, int, int] | None] = {}  # value, nodes, height; None while it is open

    def document(self) -> Any:
        """The one document of a text; None of an empty one."""
        found: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.refuse("it holds several documents", event)
                found, _ = self.node(next(self.events), 0)
        return found

    def node(self, event: Any, depth: int) -> tuple[Any, int]:
        """What one event begins, and how many levels it has."""
        if depth > BUDGETS.depth:
            self.refuse(f"it is nested deeper than {BUDGETS.depth}", event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        before = self.nodes
        self.pay(1, event)
        if event.tag is not None:
            self.refuse(f"the tag {shown(event.tag, 90)} asks for a type", event)
        if event.anchor is not None:
            if len(event.anchor) > 64 or event.anchor in self.anchors:
                self.refuse(f"the anchor {shown(event.anchor)} stands twice or is too long", event)
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value, height = self.scalar(event), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            value, height = self.sequence(depth)
        else:
            value, height = self.mapping(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before, height)
        return value, height

    def alias(self, event: Any, depth: int) -> tuple[Any, int]:
        """A copy of what an alias names."""
        if event.anchor not in self.anchors:
            self.refuse(f"nothing is called {shown(event.anchor)}", event)
        held = self.anchors[event.anchor]
        if held is None:
            self.refuse(f"{shown(event.anchor)} holds itself", event)
        value, nodes, height = held
        self.pay(nodes, event)
        if depth + height > BUDGETS.depth:
            self.refuse(f"it is nested deeper than {BUDGETS.depth}", event)
        return _copy(value), height

    def sequence(self, depth: int) -> tuple[list[Any], int]:
        """A list, to its end."""
        made: list[Any] = []
        height = 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, below = self.node(event, depth + 1)
            made.append(value)
            height = max(height, below + 1)
        return made, height

    def mapping(self, depth: int) -> tuple[dict[Any, Any], int]:
        """A mapping, to its end; what is merged in gives way to what is written."""
        made: dict[Any, Any] = {}
        merged: list[Any] = []
        height = 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key, _ = self.node(event, depth + 1)
            if isinstance(key, (list, dict)):
                self.refuse("a key is a list or a mapping", event)
            if key in made or (is_merge and merged):
                self.refuse(f"the key {shown(key)} stands twice", event)
            value, below = self.node(next(self.events), depth + 1)
            height = max(height, below + 1)
            if is_merge:
                merged = value if isinstance(value, list) else [value]
                if not merged or not all(isinstance(part, dict) for part in merged):
                    self.refuse("'<<' merges mappings only", event)
            else:
                made[key] = value
        for part in merged:
            for key, value in part.items():
                made.setdefault(key, value)
        return made, height

    def scalar(self, event: Any) -> Any:
        """A text, or what it means when it is not quoted."""
        text: str = event.value
        if not event.implicit[0]:
            return text
        for convert, pattern in _MEANINGS:
            if pattern.match(text):
                try:
                    value = convert(text) if len(text) <= _LONGEST_NUMBER else math.inf
                except (ValueError, OverflowError):
                    value = math.inf
                if isinstance(value, (int, float)) and not _is_number(value):
                    self.refuse(f"{shown(text)} is no finite number of 64 bits", event)
                return value
        return text

    def pay(self, nodes: int, event: Any) -> None:
        """Count what is about to be made."""
        self.nodes += nodes
        if self.nodes > BUDGETS.yaml_nodes:
            self.refuse(f"it has more than {BUDGETS.yaml_nodes:,} values, aliases counted", event)

    def refuse(self, what: str, event: Any) -> NoReturn:
        """Say what is wrong and on which line."""
        _refuse(f"{what}, line {event.start_mark.line + 1}", self.where)


def _is_number(value: int | float) -> bool:
    return abs(value) < _MAX_INT if isinstance(value, int) else math.isfinite(value)


def _whole(text: str) -> int:
    """A whole number as YAML 1.1 has it: with underscores, in base 2, 8, 16 or 60."""
    sign = -1 if text[0] == "-" else 1
    body = text.lstrip("+-").replace("_", "")
    if ":" in body:
        return sign * int(_sixties(body))
    if body[:2] in ("0b", "0x"):
        return sign * int(body, 0)
    return sign * int(body, 8 if body[0] == "0" and len(body) > 1 else 10)


def _decimal(text: str) -> float:
    """A number with a fraction or an exponent as YAML 1.1 has it."""
    sign = -1.0 if text[0] == "-" else 1.0
    body = text.lstrip("+-").replace("_", "").lower()
    if body in (".inf", ".nan"):
        return sign * float(body[1:])
    return sign * (_sixties(body) if ":" in body else float(body))


def _sixties(body: str) -> float:
    total = 0.0
    for digit in body.split(":"):
        total = total * 60 + float(digit)
    return total


_MEANINGS: tuple[tuple[Callable[[str], Any], re.Pattern[str]], ...] = (
    (lambda text: None, re.compile(r"^(?:~|null|Null|NULL|)$")),
    (lambda text: text.lower() in ("yes", "true", "on"), re.compile(
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$")),
    (_whole, re.compile(
        r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$")),
    (_decimal, re.compile(
        r"^(?:[-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+"
        r"|\.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?|[-+]?[0-9]+(?:_[0-9]+)*(?::[0-5]?[0-9])+\.[0-9_]*"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$")),
)  # fmt: skip


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
