"""Import strings: modules, files, and what is said when there is no such thing."""

from __future__ import annotations

import math

import pytest

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.importing import load_file, resolve


def test_a_module_s_attribute_dotted_or_not():
    assert resolve("math:sqrt") is math.sqrt
    assert resolve("pathlib:Path.cwd")().is_dir()


def test_a_file_is_imported_once_and_two_files_of_one_name_are_two(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(f"class Net:\n    home = '{folder}'\n")
    first, second = (resolve(f"{tmp_path}/{folder}/net.py:Net") for folder in ("a", "b"))
    assert (first.home, second.home) == ("a", "b")
    assert resolve(f"{tmp_path}/a/net.py:Net") is first


def test_a_file_that_fails_is_not_kept(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("import no_such_thing_anywhere\n")
    with pytest.raises(ModuleNotFoundError):
        load_file(str(file))
    file.write_text("x = 1\n")
    assert load_file(str(file)).x == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sqrt", "is not an import string"),
        ("math:", "is not an import string"),
        (":sqrt", "is not an import string"),
        ("no_such_module:x", "no module named 'no_such_module'"),
        ("math.nothing:x", "no module named 'math.nothing'"),
        ("./nowhere.py:Net", "no such file: ./nowhere.py"),
    ],
)
def test_what_cannot_be_imported_is_the_user_s_error(target, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(target, where="here")
    assert caught.value.where == "here"


def test_a_missing_attribute_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        resolve("math:sqrrt")
    assert caught.value.suggestions == ("sqrt",)


def test_a_fault_inside_the_user_s_module_is_shown_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "broken_inside_module.py").write_text("import not_there_either\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        resolve("broken_inside_module:x")
