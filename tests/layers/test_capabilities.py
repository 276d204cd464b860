import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.layers import capabilities as contract
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.capabilities import autocast_works, compiles, exports, has, onnx_works
from scirs_neural.layers.declared_capabilities import capabilities, to_markdown
from scirs_neural.layers.examples import EXAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
# What torch's own compiler does not take.
NO_COMPILE = {"rnn", "lstm", "gru", "cross_map_lrn2d"}
# One layer of each kind: the others differ in size only, and the slow tests try all.
SAMPLE = ["same_conv2d", "separable_conv1d", "gem_pool", "snake", "pau", "recurrent", "bidirectional", "self_attention",
          "transformer_decoder_block", "encoder_decoder", "patch_embedding", "learned_positions2d"]  # fmt: skip


def test_what_is_kept_is_of_todays_layers_and_on_the_page():
    kept = capabilities()
    assert list(kept) == sorted(EXAMPLES)
    for name, row in kept.items():
        assert row.inputs == ", ".join(contract._shape(text) for text in EXAMPLES[name].inputs)
        assert row.output == contract._shape(f"f {EXAMPLES[name].output}")
    assert PAGE.read_text(encoding="utf-8") == to_markdown(kept.values()), "make docs"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_autocast(name):
    assert has(autocast_works, name) is capabilities()[name].autocast


@pytest.mark.parametrize("name", SAMPLE)
def test_own_layers_compile_as_one_graph(name):
    assert compiles(name)


@pytest.mark.parametrize("name", SAMPLE)
def test_own_layers_export(name):
    assert exports(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_compile_column(name):
    held = has(compiles, name)
    assert held is (name not in NO_COMPILE)
    assert held is capabilities()[name].compile


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_export_column(name):
    assert has(exports, name) is capabilities()[name].export


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_onnx_column(name):
    held = has(onnx_works, name)
    assert held is capabilities()[name].onnx
    assert held or name not in BUILTIN


def test_the_command_prints_rows(capsys):
    assert contract.main(["relu", "linear"]) == 0
    printed = capsys.readouterr().out
    assert "| `linear` | x W^T + b | torch.nn | (4, 5) | (4, 3) | yes | yes | yes | yes |" in printed


def test_the_command_keeps_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("scirs_neural.layers.declared_capabilities.FILE", tmp_path / "capabilities.json")
    monkeypatch.setattr(contract, "EXAMPLES", {"relu": EXAMPLES["relu"]})
    assert contract.main(["--write"]) == 0
    assert json.loads((tmp_path / "capabilities.json").read_text()) == {
        "relu": {k: v for k, v in asdict(capabilities()["relu"]).items() if k != "name"}
    }


def test_info_shows_what_a_layer_promises(python):
    ran = python(
        "-c", "import sys; from scirs_neural.info import main; main(['layer:lstm']); assert 'torch' not in sys.modules"
    )
    assert ran.returncode == 0, ran.stderr
    row = capabilities()["lstm"]
    assert row.inputs in ran.stdout
    assert row.output in ran.stdout
    assert re.search(r"torch.compile as one graph\s+no", ran.stdout)
    assert re.search(r"torch.export\s+yes", ran.stdout)


def test_the_command_names_near_layers():
    with pytest.raises(UnknownNameError) as caught:
        contract.main(["rely"])
    assert "relu" in caught.value.suggestions
