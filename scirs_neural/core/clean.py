"""What is printed is a text, whatever was in the file that it came out of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import IO, Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Text without what a terminal would obey: control characters, and those that turn the direction of writing.

    Example:
        >>> clean("a\x1b[31mred\u202e.png\n")
        'a?[31mred?.png\n'
    """
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("?", text)


class CleanStream:
    """A text stream that writes nothing a terminal would obey: names in files are a stranger's words.

    Args:
        unclean: the stream that it writes to.
    """

    def __init__(self, unclean: IO[str]) -> None:
        self.unclean = unclean

    def write(self, text: str) -> int:
        """Write a text, cleaned."""
        return self.unclean.write(clean(text))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, cleaned."""
        self.unclean.writelines(map(clean, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unclean, name)
