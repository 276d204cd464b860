"""Arguments of commands: in any order, mistakes in the form of all others."""

from __future__ import annotations

import pytest

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.errors import ConfigError
from scirs_neural.train import _parser as train_parser


def test_options_may_stand_anywhere():
    typed = train_parser().parse_args(["model=cnn", "-m", "seed=0,1", "--from", "runs/x", "data=digits"])
    assert typed.overrides == ["model=cnn", "seed=0,1", "data=digits"]
    assert typed.multirun
    assert typed.from_run == "runs/x"


@pytest.mark.parametrize(
    ("arguments", "what", "suggestions"),
    [(["--chek"], "unrecognized arguments: --chek", ("--check",)), (["--from"], "expected one argument", ())],
)
def test_mistakes_are_errors_of_ours(arguments, what, suggestions):
    with pytest.raises(ConfigError, match=what) as caught:
        train_parser().parse_args(arguments)
    assert caught.value.suggestions == suggestions
    assert caught.value.see == "python -m scirs_neural.train --help"


def test_a_missing_argument_is_named():
    parser = Arguments("verb")
    parser.add_argument("run")
    with pytest.raises(ConfigError, match="required: run"):
        parser.parse_args([])


@pytest.mark.parametrize("given", [["--from", "a", "--from", "b"], ["--from=a", "model=cnn", "--from=b"]])
def test_what_counts_once_is_not_given_twice(given):
    """Case S11: of two values one would be lost."""
    with pytest.raises(ConfigError, match="argument --from: given 2 times"):
        train_parser().parse_args(given)
    with pytest.raises(ConfigError, match="unrecognized arguments: --multi"):
        train_parser().parse_args(["--multi"])
    assert train_parser().parse_args(["--allow", "a", "--allow", "b"]).allow == ["a", "b"]


def test_a_setting_of_an_answer_or_a_network_is_not_set_twice():
    from scirs_neural.convert import _options
    from scirs_neural.runs.answer_files import answer_settings

    with pytest.raises(ConfigError, match="'a' is set twice"):
        _options(["a=1", "a=2"])
    with pytest.raises(ConfigError, match="'a' is set twice"):
        answer_settings(["a=1", "a=2"])
