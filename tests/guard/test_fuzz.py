"""The parsers of files of others on inputs that nobody thought of: found ones, seeds with a change, hypothesis's."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guard.fuzz import FOUND, TARGETS, run, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_honest_seeds_are_taken(target: str) -> None:
    taken = [run(target, seed) for seed in seeds(target)]
    assert any(taken) or target == "manifest"  # whose digest is blank


@pytest.mark.parametrize("path", sorted(FOUND.glob("*-*")), ids=lambda path: path.name)
def test_what_fuzzing_found_is_handled(path) -> None:
    run(path.name.partition("-")[0], path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_with_a_change_are_taken_or_refused(target: str) -> None:
    chance = random.Random(target)
    for _ in range(400):
        data = bytearray(chance.choice(seeds(target)))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            change = chance.randrange(4)
            if change == 0:
                data[place] ^= 1 << chance.randrange(8)
            elif change == 1:
                del data[place : place + chance.randint(1, 9)]
            elif change == 2:
                data[place:place] = data[: chance.randint(1, 40)]
            else:
                data[place] = chance.choice(b'\x00\xff{}[]",:*&-0')
            data = data or bytearray(b"x")
        run(target, bytes(data))


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused(target: str, data: bytes) -> None:
    run(target, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tree=JSON)
def test_any_json_is_read_as_it_was_written_or_refused(tree) -> None:
    import json

    from scirs_neural.core.errors import RefusedError
    from scirs_neural.guard import read_json

    text = json.dumps(tree)
    try:
        back = read_json(text.encode(), allow_nan=True)
    except RefusedError as error:
        back, refused = None, error.what
    else:
        refused = ""
        assert repr(back) == repr(json.loads(text))
    assert not refused or "too large" in refused or "surrogate" in refused


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tree=JSON)
def test_any_yaml_is_read_as_pyyaml_reads_it_or_refused(tree) -> None:
    import yaml

    from scirs_neural.core.errors import RefusedError
    from scirs_neural.guard import read_yaml

    text = yaml.safe_dump(tree, allow_unicode=True)
    try:
        back = read_yaml(text.encode("utf-8", "surrogatepass"))
    except RefusedError:
        return
    assert repr(back) == repr(yaml.safe_load(text))
