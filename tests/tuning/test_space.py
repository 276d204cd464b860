"""What is searched, as it is typed: ranges, choices, files; and what is wrong with them, before any trial."""

from __future__ import annotations

import pytest

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import ConfigError, ManyErrors
from scirs_neural.runs.groups import config_groups
from scirs_neural.tuning import parse_space
from scirs_neural.tuning.objectives import Objective, parse_objectives
from scirs_neural.tuning.space import check_space, split_overrides
from scirs_neural.tuning.storage import grid_points


def compose(texts):
    return load_config(Request(["model=mlp", "data=digits", *texts]), config_groups())


def searched(*texts):
    return split_overrides(texts)[0]


@pytest.mark.parametrize(
    ("text", "low", "high", "step", "log", "whole"),
    [
        ("optimizer.lr=1e-4..1e-1:log", 1e-4, 1e-1, None, True, False),
        ("optimizer.lr=1e-4..0.1", 1e-4, 0.1, None, False, False),
        ("model.width=8..64/8", 8, 64, 8, False, True),
        ("model.depth=1..4", 1, 4, None, False, True),
        ("model.dropout=0..0.5/0.1", 0.0, 0.5, 0.1, False, False),
        ("data.batch_size=16..256:log", 16, 256, None, True, True),
        ("x=-1.5..-.5", -1.5, -0.5, None, False, False),
        ("x=1.5..2.5", 1.5, 2.5, None, False, False),
    ],
)
def test_ranges(text, low, high, step, log, whole):
    (found,) = searched(text)
    assert (found.low, found.high, found.step, found.log, found.is_whole) == (low, high, step, log, whole)


def test_choices_and_what_is_fixed():
    found, fixed = split_overrides(
        ["optimizer=adamw,sgd", "model.hidden=[8],[8,8]", "model.name=./a/../net.py:Net", "seed=1", "data.root=../x"]
    )
    assert [(d.key, d.choices) for d in found] == [("optimizer", ("adamw", "sgd")), ("model.hidden", ("[8]", "[8,8]"))]
    assert fixed == ["model.name=./a/../net.py:Net", "seed=1", "data.root=../x"]


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "optimizer.lr: 1e-4..1e-1:log\nmodel.hidden: [[8], [16, 16]]\nscheduler: [one_cycle, cosine]\nseed: [0, null]\n"
    )
    texts = ("optimizer.lr=1e-4..1e-1:log", "model.hidden=[8],[16,16]", "scheduler='one_cycle','cosine'", "seed=0,null")
    assert [(d.key, d.choices, d.low, d.high, d.log) for d in parse_space(path)] == [
        (d.key, d.choices, d.low, d.high, d.log) for d in searched(*texts)
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("- 1", "YAML mapping"),
        ("optimizer.lr: 0.1", r"optimizer\.lr: 0\.1 is no range and no list"),
        ("optimizer: {lr: 1..2}", "is no range and no list"),
        ("optimizer.lr: [0.1]", "is no range and no list"),
        ("a: [", "cannot read the search space"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, text):
    path = tmp_path / "space.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=text):
        parse_space(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lr=1e-1..1e-4", "is empty"),
        ("optimizer.lr=1..1", "is empty"),
        ("optimizer.lr=0..1:log", "starts above 0"),
        ("optimizer.lr=0.1..1/0.1:log", "has no steps"),
        ("optimizer.lr=0..1/0", "a step is above 0"),
        ("optimizer.lr=1e-4..1e-1:lag", "cannot read the range"),
        ("optimizer.lr=1..x", "cannot read the range"),
        ("optimizer.lr=1.2.3..4", "cannot read the range"),
    ],
)
def test_ranges_that_make_no_sense(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        searched(text)
    assert caught.value.where == f"command line, {text}"


def test_whole_ends_of_a_setting_for_fractions_search_fractions():
    found = check_space(searched("data.mixup=0..1", "data.batch_size=16..64", "model.dropout=0..1/0.5"), [], compose)
    assert [d.is_whole for d in found] == [False, True, False]


@pytest.mark.parametrize(
    ("texts", "message", "suggestions"),
    [
        (["optimizer.lrr=1e-4..1e-1"], "unknown setting 'optimizer.lrr'", ("optimizer.lr",)),
        (["optimizer=adamw,sdg"], "unknown optimizer 'sdg'", ("sgd",)),
        (["model.dropouts=0..0.5"], "unknown setting 'model.dropouts'", ("model.dropout",)),
        (["data.batch_size=0..64"], "data.batch_size must be greater than or equal to 1", ()),
        (["data.batch_size=16..64.5"], "data.batch_size must be a whole number", ()),
        (["trainer.precision=32-true,bf16"], "trainer.precision cannot be 'bf16'", ("bf16-true", "bf16-mixed")),
    ],
)
def test_every_end_is_checked_before_any_trial(texts, message, suggestions):
    with pytest.raises(ConfigError, match=message) as caught:
        check_space(searched(*texts), [], compose)
    assert set(suggestions) <= set(caught.value.suggestions)


def test_all_faults_at_once_and_parts_in_every_combination():
    with pytest.raises(ManyErrors) as caught:
        check_space(searched("optimizer.lrr=1..2", "data.batchsize=16,32"), [], compose)
    assert len(caught.value.errors) == 2
    with pytest.raises(ConfigError, match=r"'optimizer\.momentum' of optimizer 'adamw'"):
        check_space(searched("optimizer=sgd,adamw", "optimizer.momentum=0.0..0.9"), [], compose)
    with pytest.raises(ConfigError, match="searched twice"):
        check_space(searched("seed=1,2", "seed=3,4"), [], compose)
    with pytest.raises(ConfigError, match="nothing to search"):
        check_space([], [], compose)


def test_a_grid_has_every_point_and_no_endless_range():
    space = searched("model.depth=1..3", "optimizer=adamw,sgd", "model.dropout=0..0.5/0.25")
    points = grid_points(space)
    assert len(points) == 3 * 2 * 3
    assert points[0] == {"model.depth": 1, "optimizer": "adamw", "model.dropout": 0.0}
    assert len({tuple(point.values()) for point in points}) == 18
    for endless in ("optimizer.lr=0.1..0.2", "data.batch_size=16..64:log"):
        with pytest.raises(ConfigError, match="a grid needs every value"):
            grid_points(searched(endless))


def test_objectives():
    main, known = ("val/accuracy", "max"), {"val/loss": "min", "val/accuracy": "max", "val/brier": "min"}
    assert parse_objectives([], main, known) == [Objective("val/accuracy", "max")]
    assert parse_objectives(["val/brier"], main, known) == [Objective("val/brier", "min")]  # the metric's own direction
    assert parse_objectives(["val/loss", "macs:max"], main, known) == [
        Objective("val/loss", "min"),
        Objective("macs", "max"),
    ]
    with pytest.raises(ConfigError, match="unknown objective 'val/acuracy'") as caught:
        parse_objectives(["val/acuracy"], main, known)
    assert caught.value.suggestions == ("val/accuracy",)
    with pytest.raises(ConfigError, match="min or max, not 'best'"):
        parse_objectives(["val/loss:best"], main, known)
    summary = {"val": {"loss": 0.5}, "model": {"num_params": 10, "macs": None}, "timing": {"train_sec": 1.5}}
    assert [Objective(n, "min").value(summary) for n in ("val/loss", "num_params", "train_sec")] == [0.5, 10.0, 1.5]
    with pytest.raises(ConfigError, match="no figure 'macs'"):
        Objective("macs", "min").value(summary)
