"""``python -m scirs_neural.inspect FILE``: what it is and what is in it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from scirs_neural.core.command import run_command
from scirs_neural.inspect import FACTS, SHOWN, main

GOLDEN = Path(__file__).parents[1] / "serialization" / "golden" / "v1"


def test_a_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(GOLDEN / "zoo-cnn.zip")]) == 0
    said = capsys.readouterr().out
    for part in ("a package of scirs_neural", "26 with", "golden-zoo-cnn", "head.bias", "F32", "more tensors: --all"):
        assert part in said
    assert run_command(main, [str(GOLDEN / "zoo-cnn.zip"), "--all"]) == 0
    assert "--all" not in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(GOLDEN / "zoo-mlp.zip"), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert (held["kind"], held["num_values"], held["dtypes"]) == (
        "package",
        16 * 8 + 8 + 8 * 5 + 5 + 5 * 3 + 3,
        {"F32": 6},
    )
    assert {"name": "head.bias", "dtype": "F32", "shape": [3]} in held["tensors"]


def test_a_checkpoint_with_many_facts_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = {"w": torch.zeros(2), **{f"setting{k}": k for k in range(FACTS + 5)}, "evil\x1b[2J": 1}
    torch.save(held, tmp_path / "net.pt")
    assert run_command(main, [str(tmp_path / "net.pt")]) == 0
    said = capsys.readouterr().out
    assert "6 more facts: --all" in said
    assert run_command(main, [str(tmp_path / "net.pt"), "--all"]) == 0
    said = capsys.readouterr().out
    assert f"setting{FACTS + 4}" in said
    assert "\x1b" not in said
    assert SHOWN > 1


def test_a_file_that_would_run_code_is_named_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"w": print}, tmp_path / "bad.pt")
    assert run_command(main, [str(tmp_path / "bad.pt")]) == 2
    said = capsys.readouterr().out
    assert "refused nothing of it was run: it wants to call __builtin__.print" in " ".join(said.split())
    (tmp_path / "bare.bin").write_bytes(pickle.dumps([1]))
    assert run_command(main, [str(tmp_path / "bare.bin")]) == 0
    assert "a bare pickle: reading it can run anything" in " ".join(capsys.readouterr().out.split())
    assert run_command(main, [str(tmp_path / "none")]) == 2
    assert "no such file" in capsys.readouterr().err
