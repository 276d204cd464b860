"""The files in ``configs/``: each composes, and says what its registered name would say without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scirs_neural.config.composition import RegisteredNames
from scirs_neural.config.schema import RunConfig, TrainerConfig
from scirs_neural.config.tree import SIDE_BY_SIDE, Tree
from scirs_neural.runs.groups import config_groups

TREE = Tree(config_groups())
FILES = sorted(path.relative_to(TREE.shipped).with_suffix("").as_posix() for path in TREE.shipped.glob("*/*.yaml"))
NEEDED = {  # what a file leaves to the user
    "data/csv": ["data.path=a.csv"],
    "data/image_folder": ["data.root=a"],
    "data/mask_folder": ["data.root=a"],
    "data/text": ["data.path=a.csv"],
    "data/table": ["data.path=a.csv", "data.target=a"],
    "experiment/fine_tuning": ["data.root=a"],
    "experiment/segmentation": ["data.root=a"],
    "experiment/table_classification": ["data.path=a.csv", "data.target=a"],
    "experiment/text_classification": ["data.path=a.csv"],
}


def typed(file: str) -> list[str]:
    return [file.replace("/", "="), *NEEDED.get(file, [])]


def test_every_group_has_files() -> None:
    assert {file.partition("/")[0] for file in FILES} == {*config_groups(), "trainer", "experiment"}
    assert {"experiment/images", "experiment/table_classification", "experiment/regression"} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_it_composes(compose, file):
    compose(*typed(file))


@pytest.mark.parametrize("file", [file for file in FILES if file.partition("/")[0] in config_groups()])
def test_it_says_what_its_registered_name_says(compose, write, file):
    group, _, name = file.partition("/")
    if name == "none":
        assert getattr(compose(f"{group}=none"), group) == {}
        return
    assert name in config_groups()[group] or name == "auto"
    shown = compose(*typed(file))
    nothing = f"# @package {group}.{name}\n{{}}\n" if group in SIDE_BY_SIDE else f"name: {name}\n"
    write(f"configs/{file}.yaml", nothing)
    assert compose(*typed(file)) == shown


@pytest.mark.parametrize("file", FILES)
def test_its_keys_are_options_of_the_part_that_it_names(file):
    group, _, name = file.partition("/")
    held = yaml.safe_load((TREE.shipped / f"{file}.yaml").read_text()) or {}
    if group in SIDE_BY_SIDE and name != "none":
        assert set(held) <= set(config_groups()[group].options(name))
    elif group == "trainer":
        assert set(held) <= {*TrainerConfig.model_fields, "defaults"}
    elif group == "experiment" or name == "none":
        assert set(held) <= {*RunConfig.model_fields, "defaults"}
    else:
        declared = RunConfig.model_fields[group].annotation
        options = config_groups()[group].options(name) if name != "auto" else ()
        assert set(held) <= {*declared.model_fields, *options}
        assert held["name"] == name


def test_the_default_trainer_is_the_schema_s_but_for_the_epochs(compose):
    assert compose().trainer == TrainerConfig(max_epochs=8)


def test_every_line_that_is_not_plain_is_explained() -> None:
    for file in FILES:
        lines = (TREE.shipped / f"{file}.yaml").read_text().splitlines()
        assert lines[0].startswith("#"), file
        assert max(map(len, lines)) <= 120, file


def test_they_are_in_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    for group in {file.partition("/")[0] for file in FILES}:
        assert f"scirs_neural.configs.{group}" in listed


def test_a_registered_name_without_a_file_is_a_value_all_the_same(compose):
    assert "optimizer/rmsprop" not in FILES
    assert compose("optimizer=rmsprop").optimizer.options()["alpha"] == 0.99
    assert RegisteredNames.scheme() == "registry"
