"""``python -m scirs_neural.package``: a run becomes one file that answers as the run does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import scirs_neural as sn
from scirs_neural import predict
from scirs_neural.core.command import run_command
from scirs_neural.package import main

GOLDEN = Path(__file__).parents[1] / "serialization" / "golden"


@pytest.fixture(scope="session")
def packed(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "digits.zip"
    assert run_command(main, [str(tiny_run), "--out", str(path)]) == 0
    return path


def test_predictions_of_a_package_are_those_of_its_run(tiny_run: Path, packed: Path, tmp_path: Path) -> None:
    answers = []
    for source in (tiny_run, packed):
        out = tmp_path / f"{source.name}.json"
        assert run_command(predict.main, [str(source), str(tiny_run / "samples"), "--output", str(out)]) == 0
        answers.append(json.loads(out.read_text()))
    assert answers[0] == answers[1]
    assert len(answers[0]) > 3


def test_a_package_says_what_its_run_was(tiny_run: Path, packed: Path) -> None:
    summary, package = json.loads((tiny_run / "summary.json").read_text()), sn.load_package(packed)
    assert package.spec == sn.load_run(tiny_run).task.spec
    assert package.metrics == {"val": summary["val"], "test": summary["test"]}
    assert package.manifest.licences == {"model": "Apache-2.0", "data": "CC-BY-4.0"}
    assert package.manifest.name == "digits-cnn"
    samples = sorted((tiny_run / "samples").glob("*.png"))
    assert all(len(found.answer["top"]) == 2 for found in sn.load_predictor(package, {"top_k": 2}).predict(samples))


def test_it_goes_into_the_run_folder_unless_told(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(tiny_run)]) == 0
    said = capsys.readouterr().out
    assert "written and verified" in said
    path = tiny_run / "package.zip"
    sn.verify_package(path)
    path.unlink()


def test_inspect_and_verify(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, ["inspect", str(packed)]) == 0
    said = capsys.readouterr().out
    shown = ("digits-cnn", "version 2", "cnn (zoo)", "label (class: 0, 1, 2", "weights.safetensors", "metrics, test")
    assert [part for part in shown if part not in said] == []
    assert run_command(main, ["verify", str(packed)]) == 0
    assert "whole. 6 members" in capsys.readouterr().out
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    assert run_command(main, ["verify", str(tmp_path / "bad.zip")]) == 2
    assert "weights.safetensors" in capsys.readouterr().err


def test_migrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new.zip"
    with pytest.warns(FutureWarning, match="version 0"):
        assert run_command(main, ["migrate", str(GOLDEN / "v0" / "zoo-cnn.zip"), "--out", str(target)]) == 0
    assert "version 2 of the format" in capsys.readouterr().out
    assert sn.verify_package(target).manifest.migrated_from == 0


def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(tmp_path)]) == 2
    assert "no run in" in capsys.readouterr().err
    assert run_command(main, ["inspect", str(tmp_path / "none.zip")]) == 2
    assert "no such file" in capsys.readouterr().err
    own = GOLDEN / "v1" / "own-class.zip"
    assert run_command(predict.main, [str(own), str(own)]) == 2
    assert "is not imported" in capsys.readouterr().err
    bare = GOLDEN / "v1" / "zoo-mlp.zip"
    assert run_command(predict.main, [str(bare), str(bare)]) == 2
    assert "lacks the description" in capsys.readouterr().err
