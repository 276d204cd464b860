"""``scirs-neural COMMAND`` and ``python -m scirs_neural COMMAND``: the same as ``python -m scirs_neural.COMMAND``."""

from __future__ import annotations

import sys
from importlib import import_module

from scirs_neural.core.command import run_command
from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.suggestions import did_you_mean

COMMANDS = {
    "train": "train a model and report how it ended",
    "tune": "search for the best settings",
    "evaluate": "judge a trained run on a split",
    "predict": "classify images with a trained run or a package",
    "package": "pack a run as one portable file; look at, verify, migrate packages",
    "inspect": "what a model file is and what is in it, without running it",
    "convert": "from one model format to another, checked",
    "compare": "compare runs on the same test set",
    "list": "the names of models, data, layers, losses, …",
    "info": "everything about one name",
    "doctor": "look at this machine and installation",
}


def main() -> int:
    """Call the command that was typed."""
    return run_command(dispatch)


def dispatch(argv: list[str]) -> int | None:
    """Hand the arguments to a command, or show the commands.

    Raises:
        UnknownNameError: no such command.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: scirs-neural COMMAND …        (the same as: python -m scirs_neural.COMMAND …)\n")
        print("\n".join(f"  {command:<10}{meaning}" for command, meaning in COMMANDS.items()))
        return None
    if argv[0] == "--version":
        from scirs_neural import __version__

        print(f"scirs_neural {__version__}")
        return None
    command = argv[0]
    if command not in COMMANDS:
        raise UnknownNameError(
            f"unknown command '{command}'", suggestions=did_you_mean(command, COMMANDS), see="scirs-neural --help"
        )
    status: int | None = import_module(f"scirs_neural.{command}").main(argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
