"""``python -m scirs_neural.convert SRC DST``: another format, and how far it is from the source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import scirs_neural as sn
from scirs_neural.convert import main
from scirs_neural.core.command import run_command
from tests.serialization.nets import net

GOLDEN = Path(__file__).parents[1] / "serialization" / "golden" / "v1"


def test_it_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "net.safetensors"
    assert run_command(main, [str(GOLDEN / "zoo-mlp.zip"), str(target)]) == 0
    said = capsys.readouterr().out
    assert f"(package) -> {target} (safetensors)" in said
    assert "6 tensors read; tensors of what was written: equal to the last bit" in said
    assert load_file(target).keys() == net("zoo-mlp")[0].state_dict().keys()


def test_bare_weights_with_a_named_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = net("zoo-mlp")
    torch.save(model.state_dict(), tmp_path / "net.pth")
    target = tmp_path / "net.zip"
    network = ["--model", "mlp", "--set", "num_classes=3", "input_size=4", "--set", "hidden=[8, 5]"]
    assert run_command(main, [str(tmp_path / "net.pth"), str(target), *network]) == 0
    assert "outputs of what was written: equal to the last bit" in capsys.readouterr().out
    with torch.no_grad():
        assert torch.equal(sn.load_package(target).model(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["net.tflite"], "no format is known by the suffix"),
        (["net.pt", "--to", "coreml"], "unknown format 'coreml'"),
        (["net.zip", "--model", "mlp", "--set", "hidden"], "'hidden' sets nothing"),
        (["net.zip", "--model", "mlpp"], "mlpp"),
        (["net.zip", "--input-shape", "3,x"], "'3,x' is no shape"),
        (["net.zip"], "needs the network"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    torch.save(net("zoo-mlp")[0].state_dict(), tmp_path / "w.pth")
    assert run_command(main, [str(tmp_path / "w.pth"), str(tmp_path / arguments[0]), *arguments[1:]]) == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
