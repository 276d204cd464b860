"""What a configuration names that would be imported. Out of a file it is data, until the user types it again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from scirs_neural.config.overrides import Parsed, is_file_choice, read_names, read_override
from scirs_neural.core.errors import ConfigError

Found = list[tuple[str, str]]  # setting and text
_PLAIN_KEY = re.compile(r"[\w.-]+")
_MAX_SHOWN, _MAX_WORDS = 3, 30
TRAINING_ONLY = ("optimizer", "scheduler", "callbacks", "logger", "cv")
"""Sections that a run is not judged or used with: nothing that they name is imported for it."""


def import_strings(settings: Mapping[str, Any]) -> Found:
    """The texts of a configuration that name code, or a file that may name code. No other text of it is imported.

    Example:
        >>> import_strings({"model": {"name": "cnn", "weights": "a:b"}, "task": {"loss": [{"name": "./my.py:Loss"}]}})
        [('task', './my.py:Loss')]
        >>> import_strings({"plugins_modules": ["mine"], "cv": {"grid": {"model": ["cnn", "./net.py:Net"]}}})
        [('plugins_modules', 'mine'), ('cv.grid.model', './net.py:Net')]
    """
    found: Found = []
    for section, held in settings.items():
        if section == "plugins_modules":
            found += [(section, text) for text in every_text(held)]
        elif section == "cv" and isinstance(held, Mapping) and isinstance(held.get("grid"), Mapping):
            for key, values in held["grid"].items():
                inner = import_strings(_nested(str(key), values))
                inner += [] if _PLAIN_KEY.fullmatch(str(key).lstrip("+~")) else [("", str(key))]
                found += [(f"cv.grid.{key}", text) for _, text in inner]
        elif section in _TEXTS:
            found += [(section, text) for text in _TEXTS[section](held) if ":" in text or is_file_choice(text)]
    return found


def imported_by(overrides: Iterable[str]) -> Found:
    """The same of overrides that were kept in a file, which are to be simple: what is looked up elsewhere is found too.

    Example:
        >>> imported_by(["model=./net.py:Net", "seed=1", "model.width=${oc.env:X}"])
        [('model', './net.py:Net'), ('model.width', 'model.width=${oc.env:X}')]
    """
    found: Found = []
    for text in overrides:
        if read_names(*text.partition("=")[::2]) is not None:
            continue  # columns and classes: not looked up
        override = read_override(text)
        key = override.key_or_group
        if "${" in text or override.package is not None or not _PLAIN_KEY.fullmatch(key) or key.startswith("hydra"):
            found.append((key, text))
        elif not override.is_delete():
            found += [(key, name) for _, name in import_strings(_nested(key, override.value()))]
    return found


def typed_texts(parsed: Parsed) -> set[str]:
    """Every text in the values of overrides that were typed."""
    values = [override.value() for override in parsed.settings if not override.is_delete()]
    return {*every_text(list(parsed.values.values())), *every_text(values), *every_text(parsed.named)}


def refuse_untyped(found: Found, typed: Collection[str], where: str) -> None:
    """Hold what a file would have imported to what the user typed.

    Raises:
        ConfigError: something was not typed; it says what to type.
    """
    left = {text: key for key, text in found if text not in typed}
    if left:
        shown = ", ".join(f"{text[:80]!r} ({key[:80]})" for text, key in list(left.items())[:_MAX_SHOWN])
        more = f" and {len(left) - _MAX_SHOWN} others" if len(left) > _MAX_SHOWN else ""
        words = allow_words(list(left)[:_MAX_WORDS])
        raise ConfigError(
            f"a saved file names code, and what a file says is not imported: {shown}{more}",
            where=where,
            fix=f"if you trust it, type it again:{words} (in Python: load_run(…, allow=[…]))",
        )


def allow_words(texts: Sequence[str]) -> str:
    """What is added to a command so that these may be imported.

    Example:
        >>> allow_words(["./net.py:Net", "./net.py:Net", "a b.py:C"]), allow_words([])
        (" --allow ./net.py:Net --allow 'a b.py:C'", '')
    """
    return "".join(f" --allow {shlex.quote(text)}" for text in dict.fromkeys(texts))


def every_text(value: Any) -> Iterator[str]:
    """Every text in plain data, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield str(key)
            yield from every_text(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from every_text(held)


def _names(part: Any) -> Iterator[str]:
    """Of a part chosen by name, or of several."""
    if isinstance(part, list | tuple):
        for one in part:
            yield from _names(one)
    else:
        yield from every_text(part.get("name") if isinstance(part, Mapping) else part)


def _names_side_by_side(parts: Any) -> Iterator[str]:
    """Of parts that stand side by side: their keys are names where they have no other."""
    if isinstance(parts, list | tuple):
        for one in parts:
            yield from _names_side_by_side(one)
    elif isinstance(parts, Mapping):
        for key, part in parts.items():
            yield str(key)
            yield from _names(part)
    else:
        yield from every_text(parts)


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.lstrip("+~").split(".")):
        value = {part: value}
    return dict(value)


_TEXTS = {
    "model": _names, "data": _names, "optimizer": _names, "scheduler": _names, "task": every_text,
    "callbacks": _names_side_by_side, "plugins": _names_side_by_side, "logger": _names_side_by_side,
}  # fmt: skip
