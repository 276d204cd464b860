"""Names that a file gives to its parts, and whether they could mean another place than they say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard.budgets import BUDGETS

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_DEVICE = re.compile(r"^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)", re.IGNORECASE)


def unsafe_name(name: str) -> str | None:
    r"""Why a member's name is not taken; None if it is a plain relative path on every system.

    Example:
        >>> unsafe_name("exports/model.onnx")
        >>> unsafe_name("../model.onnx")
        "it has the part '..'"
        >>> unsafe_name("C:model")
        "it has the character ':'"
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > BUDGETS.name_bytes:
        return "it is empty" if not name else f"it is longer than {BUDGETS.name_bytes} bytes"
    if match := _FORBIDDEN.search(name):
        return f"it has the character {match.group()!r}"
    hidden = next((c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")), None)
    if hidden is not None:
        return f"it has the invisible character {hidden!a}"
    if name.startswith("/"):
        return "it is an absolute path"
    parts = name.split("/")
    if len(parts) > BUDGETS.name_parts:
        return f"it has more than {BUDGETS.name_parts} parts"
    for part in parts:
        if part in ("", ".", "..") or unicodedata.normalize("NFKC", part) in (".", ".."):
            return f"it has the part '{part}'"
        if part[-1] in ". " or part[0] == " ":
            return f"its part '{part}' begins or ends with a space or dot"
        if _DEVICE.match(part):
            return f"'{part}' is a device on some systems"
        if "/" in unicodedata.normalize("NFKC", part) or "\\" in unicodedata.normalize("NFKC", part):
            return f"its part '{part}' has a letter that can turn into a slash"
    return None


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse unsafe names, and names that are one file on some systems. Those of folders end with a slash.

    Raises:
        RefusedError: with the name and the reason.
    """
    seen: dict[str, str] = {}
    for name in names:
        if reason := unsafe_name(name.removesuffix("/")):
            raise RefusedError(f"refused: a member's name is not safe: {reason}", where=f"{where}, {shown(name)}")
        folded = unicodedata.normalize("NFKC", name.removesuffix("/")).casefold()
        if folded in seen:
            raise RefusedError(f"refused: it holds {shown(seen[folded])} twice, as {shown(name)}", where=where)
        seen[folded] = name
    for folded in seen:
        for cut in (place for place, letter in enumerate(folded) if letter == "/"):
            if not seen.get(folded[:cut], "/").endswith("/"):
                raise RefusedError(f"refused: {shown(folded[:cut])} is both a file and a folder", where=where)


def shown(name: object, limit: int = 60) -> str:
    r"""A name from a file as it may be printed: one line, no control characters, not long.

    Example:
        >>> shown("a" + chr(27) + "[2J")
        "'a\\x1b[2J'"
    """
    text = ascii(name.decode("utf-8", "replace") if isinstance(name, bytes) else name)
    return text if len(text) <= limit else f"{text[: limit - 4]}...{text[-1]}"
