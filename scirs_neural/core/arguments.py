"""The arguments of a command: in any order, and what is wrong with them said as every other mistake is."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean

_UNKNOWN = re.compile(r"unrecognized arguments: (\S+)")


class Arguments(argparse.ArgumentParser):
    """argparse's parser, whose complaints are errors of ours; options may stand among the other arguments.

    Example:
        >>> parser = Arguments("train", add_help=False)
        >>> _ = parser.add_argument("settings", nargs="*"), parser.add_argument("--check", action="store_true")
        >>> parser.parse_args(["model=cnn", "--check", "seed=1"]).settings
        ['model=cnn', 'seed=1']
        >>> parser.parse_args(["--chek"])
        Traceback (most recent call last):
        scirs_neural.core.errors.ConfigError: unrecognized arguments: --chek
          from   command line
          maybe  --check
          list   train --help
    """

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"allow_abbrev": False, **options})

    def add_allow(self) -> None:
        """The option with which a user types again what a saved file would have imported."""
        what = "code that the saved file names and that may be imported, such as ./net.py:Net; once for each"
        self.add_argument("--allow", action="append", default=[], metavar="NAME", help=what)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """What was typed.

        Raises:
            ConfigError: an argument is unknown, missing, of the wrong type, or given twice where one counts.
        """
        texts = list(sys.argv[1:] if args is None else args)
        given = Counter(action for text in texts if (action := self._one_of(text.partition("=")[0])))
        if twice := [name for name, count in given.items() if count > 1]:
            self.error(f"argument {twice[0]}: given {given[twice[0]]} times")
        return self.parse_intermixed_args(texts, namespace)

    def _one_of(self, name: str) -> str | None:
        """The first spelling of an option that keeps one value."""
        action = self._option_string_actions.get(name)
        return action.option_strings[0] if type(action).__name__ == "_StoreAction" and action is not None else None

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        unknown = _UNKNOWN.search(message)
        options = [name for action in self._actions for name in action.option_strings]
        suggestions = did_you_mean(unknown[1], options) if unknown and unknown[1].startswith("-") else []
        raise ConfigError(message, where="command line", suggestions=suggestions, see=f"{self.prog} --help")
