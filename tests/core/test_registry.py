"""Names to things: the decorator, import strings, entry points, options, and what is said of unknown names."""

from __future__ import annotations

import math
from inspect import Parameter

import pytest

from scirs_neural.core import registry as registry_module
from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.registry import Registry
from scirs_neural.core.signatures import signature_options


@pytest.fixture
def shapes():
    return Registry("shape")


def test_a_decorated_class_or_function_is_left_as_it_is_and_found_by_name(shapes):
    @shapes.register("square")
    def square(side: float = 1.0) -> float:
        """Four equal sides.

        More.
        """
        return side * side

    assert shapes.get("square") is square
    assert shapes.entry("square").summary == "Four equal sides."
    assert dict(shapes.options("square")) == {"side": 1.0}
    assert ("square" in shapes, len(shapes), list(shapes)) == (True, 1, ["square"])


def test_an_import_string_is_resolved_at_the_first_look_up(shapes):
    shapes.add("root", "math:sqrt")
    shapes.add("later", "no_such_module_at_all:thing", options={"a": 1})
    assert shapes.get("root") is math.sqrt
    assert dict(shapes.options("later")) == {"a": 1}  # a table needs no import
    with pytest.raises(ConfigError, match="no module named 'no_such_module_at_all'"):
        shapes.get("later")


def test_a_name_stands_for_one_thing(shapes):
    shapes.add("root", "math:sqrt")
    shapes.add("root", "math:sqrt")
    with pytest.raises(ConfigError, match=r"two things .* shape 'root': math:sqrt and math:cos"):
        shapes.add("root", "math:cos")
    assert shapes.get("root") is math.sqrt


def test_options_come_from_the_signature_or_the_table_and_cannot_be_changed(shapes):
    class Box:
        def __init__(self, width, *args, depth=2, **kwargs):
            pass

    assert signature_options(Box) == {"width": Parameter.empty, "depth": 2}
    shapes.add("box", Box, options={"depth": 3})
    with pytest.raises(TypeError):
        shapes.options("box")["depth"] = 4
    assert shapes.options("box")["depth"] == 3


def test_names_match_a_pattern_and_are_sorted(shapes):
    for name in ("b2", "a1", "b1"):
        shapes.add(name, "math:sqrt")
    assert shapes.names() == ["a1", "b1", "b2"]
    assert shapes.names("b*") == ["b1", "b2"]


def test_an_unknown_name_is_answered_with_the_nearest_and_where_it_came_from(shapes):
    shapes.add("square", "math:sqrt")
    with pytest.raises(UnknownNameError) as caught:
        shapes.get("sqare", where="line 3")
    assert caught.value.suggestions == ("square",)
    assert caught.value.where == "line 3"
    assert isinstance(caught.value, LookupError)


def test_installed_packages_add_names_through_entry_points(tmp_path, monkeypatch):
    (tmp_path / "third_party_shapes.py").write_text("def circle(radius=1.0):\n    return 3.14 * radius**2\n")
    info = tmp_path / "third_party_shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-shapes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[scirs_neural.shape]\ncircle = third_party_shapes:circle\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry_module._installed_entry_points.cache_clear()
    try:
        shapes = Registry("shape")
        assert "circle" in shapes
        assert shapes.entry("circle").summary == "from third-party-shapes"
        assert dict(shapes.options("circle")) == {"radius": 1.0}
        assert shapes.get("circle")(2.0) == pytest.approx(12.56)
        assert len(Registry("colour")) == 0
    finally:
        registry_module._installed_entry_points.cache_clear()
