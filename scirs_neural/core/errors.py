"""What users see when something is wrong: what happened, where it came from, how to put it right.

Every error that a user can cause is a `ScirsError`. Its text is at most six lines, and the commands print it without
a traceback and end with exit status 2 (``SCIRS_DEBUG=1`` shows the traceback).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

MAX_LINES = 6
_LABEL_WIDTH = 7


class ScirsError(Exception):
    """The base of every error that this package raises for its user.

    Args:
        what: one sentence that names the wrong thing and its value.
        where: where the value came from: a file and line, or "command line, key=value".
        suggestions: valid choices that the user may have meant, best first.
        fix: what to do about it.
        see: a command that shows the valid choices.

    Example:
        >>> print(ScirsError("unknown model 'resnet51'", where="command line", suggestions=["resnet50"]).render())
        error: unknown model 'resnet51'
          from   command line
          maybe  resnet50
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        suggestions: Sequence[str] = (),
        fix: str | None = None,
        see: str | None = None,
    ) -> None:
        self.what, self.where, self.suggestions, self.fix, self.see = what, where, tuple(suggestions), fix, see
        super().__init__(what)

    def details(self) -> list[tuple[str, str]]:
        """The labelled lines below the first one, in the order in which they are shown."""
        rows = [("from", self.where), ("maybe", ", ".join(self.suggestions)), ("fix", self.fix), ("list", self.see)]
        return [(label, text) for label, text in rows if text]

    def render(self) -> str:
        """The whole message as it is printed: at most six lines."""
        lines = [f"error: {self.what}"]
        lines += [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in self.details()]
        return "\n".join("\n".join(lines).splitlines()[:MAX_LINES])

    def __str__(self) -> str:
        return self.render().removeprefix("error: ")

    def __reduce__(self) -> tuple[object, ...]:  # errors cross process borders (data workers, ranks)
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[ScirsError], args: tuple[object, ...], state: dict[str, object]) -> ScirsError:
    """The error again, whatever arguments its class takes."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(ScirsError, ValueError):
    """A setting that is unknown, of the wrong type, out of range, or at odds with another."""


class UnknownNameError(ConfigError, LookupError):
    """A name that no registry knows. ``suggestions`` holds what may have been meant."""


class ShapeError(ScirsError, ValueError):
    """A tensor, layer or file whose shape does not fit. Names the place, the expected and the received shape."""


class DataError(ScirsError, ValueError):
    """Data that is missing, empty, corrupt, or at odds with its own description."""


class CheckpointError(ScirsError, ValueError):
    """A checkpoint or weights file that cannot be used: missing, damaged, refused, or of another model."""


class RefusedError(CheckpointError):
    """A file that the guard refuses: damaged, dishonest, too large, or asking for code to be run."""


class OfflineError(ScirsError, OSError):
    """Something would have to be fetched, and cannot be. Names the file, its size, its place, and the offline way."""


class NonFiniteError(ScirsError, ArithmeticError):
    """A loss or metric became NaN or infinite."""


class NoRankedEpochError(ScirsError, RuntimeError):
    """A run of which no epoch may be the best one: a plugin had not come to its end."""


class OutOfMemoryError(ScirsError, RuntimeError):
    """A step that does not fit into memory, and cannot be split further."""


class WorkerError(ScirsError, RuntimeError):
    """A process that makes batches died."""


class PreemptedError(ScirsError):
    """A run was asked to end (SIGTERM and the like), and has kept a checkpoint. Commands end with status 75."""


class ParityError(ScirsError, AssertionError):
    """Two forms of one model that must agree do not. Names both, and the largest difference."""


class StorageError(ScirsError, OSError):
    """A file or folder that cannot be written or read: no permission, no space, no such place."""


class MissingExtraError(ScirsError, ImportError):
    """An optional dependency is not installed. Names the extra that brings it."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package '{package}', which is not installed",
            fix=f"pip install 'scirs-neural[{extra}]'",
        )


class ManyErrors(ConfigError):  # noqa: N818 - it is several
    """Several faults found in one pass, shown together.

    Example:
        >>> both = ManyErrors([ConfigError("a is wrong"), ConfigError("b is wrong", fix="say c")])
        >>> print(both.render())
        error: a is wrong
        error: b is wrong
          fix    say c
    """

    def __init__(self, errors: Iterable[ScirsError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} faults in the configuration")

    def render(self) -> str:
        """Every fault, one below the other."""
        return "\n".join(error.render() for error in self.errors)


def raise_all(faults: Iterable[ScirsError]) -> None:
    """Raise faults in one piece, each once; nothing if there are none.

    Raises:
        ScirsError: the only fault, or `ManyErrors` with all of them.
    """
    once: dict[str, ScirsError] = {}
    for fault in faults:
        for one in fault.errors if isinstance(fault, ManyErrors) else (fault,):
            once.setdefault(one.what, one)
    if once:
        raise next(iter(once.values())) if len(once) == 1 else ManyErrors(once.values())


def expect(value: object, kinds: type | tuple[type, ...], what: str, fix: str) -> None:
    """Make sure that an argument is of its type; two that were swapped are seen so.

    Args:
        value: the argument.
        kinds: what it may be.
        what: it is, in words.
        fix: how the call is written.

    Raises:
        ConfigError: it is something else.

    Example:
        >>> expect({}, str, "the name", "create_model(name, …)")
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ConfigError: the name is a dict
          fix    create_model(name, …)
    """
    if not isinstance(value, kinds):
        raise ConfigError(f"{what} is a {type(value).__name__}", fix=fix)


@contextlib.contextmanager
def refusals(part: str, where: str | None = None) -> Iterator[None]:
    """What a part of other people's says of the options that it is made with, as an error of the user's.

    Raises:
        ConfigError: it refuses them; one of ours goes through as it is.
    """
    try:
        yield
    except ScirsError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{part} refuses its options: {error}", where=where) from error
