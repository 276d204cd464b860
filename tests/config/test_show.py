"""``--show`` and ``--cfg job``: what is composed, and from where."""

from __future__ import annotations

import pytest
import yaml

from scirs_neural import train
from scirs_neural.core.command import run_command


@pytest.fixture
def said(home, capsys):
    def call(*arguments: str, status: int = 0) -> str:
        assert run_command(train.main, list(arguments)) == status
        captured = capsys.readouterr()
        return captured.err if status else captured.out

    return call


def by_setting(text: str) -> dict[str, str]:
    """Of a section without sections: the comment of each value."""
    return {line.strip().partition(":")[0]: line.partition("  # ")[2] for line in text.splitlines()[1:]}


def test_each_value_says_where_it_came_from(said, write):
    write("configs/experiment/mine.yaml", "# @package _global_\noptimizer:\n  nesterov: true\n")
    write("configs/optimizer/slow.yaml", "name: sgd\n\nweight_decay: 0.25\n")
    found = by_setting(said("--show", "optimizer", "optimizer=slow", "experiment=mine", "optimizer.momentum=0.9"))
    shipped = found.pop("lr")
    assert shipped.endswith("configs/train.yaml, line 21")
    assert found == {
        "name": "configs/optimizer/slow.yaml, line 1",
        "weight_decay": "configs/optimizer/slow.yaml, line 3",
        "nesterov": "configs/experiment/mine.yaml, line 3",
        "momentum": "command line, optimizer.momentum=0.9",
        "decay_norm_and_bias": "default",
        "groups": "default",
        "dampening": "default of sgd",
        "fused": "default of sgd",
        "foreach": "default of sgd",
        "maximize": "default of sgd",
    }


def test_what_is_shown_is_yaml_of_the_whole_configuration(said, compose):
    typed = ("model=resnet34", "callbacks=[timer]", "data.transforms=[{RandomCrop: {size: 8, fill: '#'}}]", "+cv=5")
    whole = compose(*typed).model_dump(mode="json")
    assert yaml.safe_load(said("--show", *typed)) == whole
    assert yaml.safe_load(said("--cfg", "job", *typed)) == whole
    assert yaml.safe_load(said("--cfg", "job", "-p", "trainer", *typed)) == {"trainer": whole["trainer"]}
    assert "command line, model=resnet34" in said("--show", *typed)


def test_of_a_saved_configuration(said, compose, write):
    write("run/config.yaml", yaml.safe_dump(compose("seed=4").model_dump(mode="json"), sort_keys=False))
    found = said("--show", "--from", "run", "optimizer.lr=0.5")
    assert "seed: 4" in found
    assert "# run/config.yaml, line 1" in found
    assert "# command line, optimizer.lr=0.5" in found


def test_what_cannot_be_shown(said):
    assert "maybe  trainer" in said("--show", "trainre", status=2)
    assert "unknown model 'resnet51'" in said("--show", "model=resnet51", status=2)
    assert "invalid choice: 'hydra'" in said("--cfg", "hydra", status=2)


def test_nothing_of_torch_is_needed(python, tmp_path):
    code = "import sys; from scirs_neural.train import main; main(['--show']); assert 'torch' not in sys.modules"
    assert python("-c", code, cwd=tmp_path).returncode == 0
