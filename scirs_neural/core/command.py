"""How every command ends: status 0, or an error that says what to do."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator

from scirs_neural.core.clean import CleanStream
from scirs_neural.core.errors import PreemptedError, ScirsError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: the same again may well succeed


@contextlib.contextmanager
def starting_up() -> Iterator[None]:
    """Look for no garbage while modules are loaded and settings composed: there is none, and looking costs a sixth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def run_command(main: Callable[[list[str]], int | None], argv: list[str] | None = None) -> int:
    """Call one command and turn what it raises into an exit status.

    Args:
        main: the command; takes the arguments after its name.
        argv: those arguments; None takes the process's own.

    Returns:
        0 when all went well, 2 for an error of the user's, 130 after Ctrl-C, 75 after SIGTERM with a checkpoint kept.
    """
    whole = warnings.formatwarning
    if not _is_debugged():
        warnings.formatwarning = lambda message, *args, **kwargs: f"warning: {message}\n"
    try:
        with contextlib.redirect_stdout(CleanStream(sys.stdout)), contextlib.redirect_stderr(CleanStream(sys.stderr)):
            return _run(main, sys.argv[1:] if argv is None else argv)
    finally:
        warnings.formatwarning = whole


def _is_debugged() -> bool:
    return os.environ.get("SCIRS_DEBUG", "") not in ("", "0")


def _run(main: Callable[[list[str]], int | None], argv: list[str]) -> int:
    try:
        status = main(argv) or 0
        sys.stdout.flush()  # a reader that went away is noticed here, and not while the interpreter ends
        return status
    except ScirsError as error:
        if _is_debugged():
            traceback.print_exc()
        sys.stdout.flush()
        print(error.render(), file=sys.stderr)
        return EXIT_PREEMPTED if isinstance(error, PreemptedError) else EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away (`… | head`): nothing to say to anybody
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
