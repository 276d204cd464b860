from pathlib import Path

import pytest

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.layers import contract
from scirs_neural.layers.contract import autocast_works, compiles, exports, holds, onnx_works
from scirs_neural.layers.examples import EXAMPLES
from scirs_neural.layers.own_table import OWN

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
OWN_NAMES = sorted(OWN)
# What torch's own compiler does not take.
NO_COMPILE = {"rnn", "lstm", "gru", "cross_map_lrn2d"}
# One layer of each kind: the others differ in size only, and the slow tests try all.
SAMPLE = ["same_conv2d", "separable_conv1d", "gem_pool", "snake", "pau", "recurrent", "bidirectional", "self_attention",
          "transformer_decoder_block", "encoder_decoder", "patch_embedding", "learned_positions2d"]  # fmt: skip


@pytest.fixture(scope="session")
def page_rows():
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 9 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells
    return rows


def test_the_page_is_up_to_date_in_names_and_shapes(page_rows):
    assert sorted(page_rows) == sorted(EXAMPLES)
    for name, cells in page_rows.items():
        target, summary, _ = contract.SHIPPED[name]
        example = EXAMPLES[name]
        assert cells[1:3] == [summary, "here" if name in OWN else target.partition(":")[0]]
        assert cells[3] == ", ".join(contract._shape(text) for text in example.inputs)
        assert cells[4] == contract._shape(f"f {example.output}")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_autocast(name, page_rows):
    assert ("yes" if holds(autocast_works, name) else "no") == page_rows[name][5]


@pytest.mark.parametrize("name", SAMPLE)
def test_own_layers_compile_as_one_graph(name):
    assert compiles(name)


@pytest.mark.parametrize("name", SAMPLE)
def test_own_layers_export(name):
    assert exports(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_compile_column(name, page_rows):
    held = holds(compiles, name)
    assert held is (name not in NO_COMPILE)
    assert ("yes" if held else "no") == page_rows[name][6]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_export_column(name, page_rows):
    assert ("yes" if holds(exports, name) else "no") == page_rows[name][7]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_NAMES)
def test_onnx_column(name, page_rows):
    assert ("yes" if holds(onnx_works, name) else "no") == page_rows[name][8]


def test_the_command_prints_rows(capsys):
    assert contract.main(["relu", "linear"]) == 0
    printed = capsys.readouterr().out
    assert "| `linear` | x W^T + b | torch.nn | (4, 5) | (4, 3) | yes | yes | yes |  |" in printed


def test_the_command_writes_a_page(tmp_path):
    assert contract.main(["relu", "--write", str(tmp_path / "layers.md")]) == 0
    assert "| `relu` |" in (tmp_path / "layers.md").read_text(encoding="utf-8")


def test_the_command_names_near_layers():
    with pytest.raises(UnknownNameError) as caught:
        contract.main(["rely"])
    assert "relu" in caught.value.near
