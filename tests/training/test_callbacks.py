"""Callbacks: in which order they are called, which exclude each other, and the user's own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from rich.console import Console

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.ordering import Ordered, topological_sort
from scirs_neural.runs.check import check_run
from scirs_neural.runs.parts import make_callbacks
from scirs_neural.training import CALLBACKS
from tests.training.tiny import tiny_config

RULES: dict[str, dict[str, Any]] = {
    "a": {"after": ("b", "nobody")},
    "b": {"before": "e"},
    "c": {},
    "d": {"before": ("a", "b")},
    "e": {"after": "c"},
}


@pytest.mark.parametrize("given", list(itertools.permutations("abcde"))[::7], ids="".join)
def test_every_declared_order_holds_whatever_the_order_of_the_names(given: tuple[str, ...]) -> None:
    found = topological_sort([Ordered(name, name, RULES[name]) for name in given])
    assert sorted(found) == sorted(given)
    for first, second in (("b", "a"), ("b", "e"), ("d", "a"), ("d", "b"), ("c", "e")):
        assert found.index(first) < found.index(second)


def test_without_declarations_the_order_is_the_user_s() -> None:
    assert topological_sort([Ordered(name, name) for name in "qbzam"]) == list("qbzam")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"a": {"conflicts": ("x", "b")}, "b": {}}, "'a' and 'b' exclude each other"),
        ({"a": {}, "b": {"conflicts": "a"}}, "'b' and 'a' exclude each other"),
        ({"a": {"before": "b"}, "b": {"before": "c"}, "c": {"before": "a"}}, "no order of the callbacks 'a', 'b', 'c'"),
        ({"a": {"before": "a"}}, "no order of the callbacks 'a'"),
    ],
)
def test_what_cannot_be_is_said(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        topological_sort([Ordered(name, name, traits) for name, traits in rules.items()])


OWN = """
import lightning.pytorch as L

class Early(L.Callback):
    traits = {"before": ("early_stopping", "Late")}
    def __init__(self, path):
        self.path = path
    def on_train_start(self, trainer, module):
        with open(self.path, "a") as file:
            file.write(type(self).__name__ + " ")

class Late(Early):
    traits = {"after": "early_stopping"}

class Alone(L.Callback):
    traits = {"conflicts": ("timer",)}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_callbacks_of_the_user_s_stand_where_they_say(own: Path, train: Any, tmp_path: Path) -> None:
    written = tmp_path / "order.txt"
    chosen = [
        f"callbacks=[early_stopping,{own}:Late,{own}:Early]",
        f"callbacks.Late.path={written}", f"callbacks.Early.path={written}", "callbacks.early_stopping.patience=7",
    ]  # fmt: skip
    task = sn.create_task(sn.create_data("digits").spec)
    made = [type(one).__name__ for one in make_callbacks(tiny_config(tmp_path, *chosen), task)]
    assert made == ["Early", "EarlyStopping", "Late", "TensorBoardExtras"]
    train("trainer.max_epochs=1", "trainer.limit_train_batches=1", *chosen)
    assert written.read_text() == "Early Late "


def test_a_conflict_and_a_wrong_option_are_found_before_the_run(own: Path, tmp_path: Path) -> None:
    def check(*texts: str) -> None:
        check_run(tiny_config(tmp_path, *texts), Console(quiet=True))

    with pytest.raises(ConfigError, match="'Alone' and 'timer' exclude each other"):
        check(f"callbacks=[timer,{own}:Alone]", "callbacks.timer.duration=00:01:00:00")
    with pytest.raises(ConfigError, match=r"own.py:Early' has no option 'paht'\n.*\n  maybe  path"):
        check(f"callbacks=[{own}:Early]", "callbacks.Early.paht=x")
    with pytest.raises(ConfigError, match=r"the callback 'early_stopping' refuses its options: .*mode"):
        check("callbacks=[early_stopping]", "callbacks.early_stopping.mode=up")


def test_shipped_names_are_callbacks_with_their_real_options() -> None:
    from scirs_neural.core.signatures import signature_options

    for name in CALLBACKS:
        kind = CALLBACKS.get(name)
        assert issubclass(kind, L.Callback)
        real = signature_options(kind)
        assert set(CALLBACKS.options(name)) <= set(real) | {"update_every_n_steps"}, name
