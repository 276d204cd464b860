"""``python -m scirs_neural.list``: names, filters, errors; no torch, little time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scirs_neural.core.command import run_command
from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.registries import REGISTRIES, registry
from scirs_neural.list import main, parse_count
from scirs_neural.models import MODELS, catalogue, list_models


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run_command(main, list(argv)) == 0
    return capsys.readouterr().out


def error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run_command(main, list(argv)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) <= 6
    return said.err


@pytest.fixture(autouse=True)
def in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)


def test_kinds_and_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in run(capsys).splitlines()]
    assert {kind: int(number) for kind, number in lines[2:]} == {kind: len(registry(kind)) for kind in REGISTRIES}
    assert all(len(registry(kind)) for kind in REGISTRIES if kind != "plugins")  # none is shipped yet


@pytest.mark.parametrize("kind", sorted(REGISTRIES.keys() - {"plugins"}))
def test_every_kind_is_listed_whole(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    held = registry(kind)
    assert [line.split()[0] for line in run(capsys, kind).splitlines()[2:]] == held.names()
    assert registry(held.kind) is held


def test_a_model_is_one_line_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in run(capsys, "models").splitlines() if line.startswith(" resnet50 "))
    assert line.split() == ["resnet50", "25.6", "M", "4.09", "G", "224", "IMAGENET1K_V2", "80.9", "+1"]


@pytest.mark.parametrize("columns", [80, 120])
def test_models_fit_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(capsys, "models").splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) == 2 + len(MODELS)  # nothing wrapped


def test_patterns_and_filters(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*argv: str) -> list[str]:
        return [row["name"] for row in json.loads(run(capsys, "models", *argv, "--json"))]

    assert names("resnet*") == list_models("resnet*")
    assert names("resnet") == list_models("*resnet*")
    assert names("--max-params", "3M") == list_models(max_params=3_000_000)
    assert names("v2", "--has-weights", "--family", "swin_v2") == ["swin_v2_b", "swin_v2_s", "swin_v2_t"]
    assert names("--task", "image_classification") == list_models(task="image_classification") == sorted(catalogue())


def test_json_holds_the_exact_figures(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(run(capsys, "models", "resnet50", "--family", "resnet", "--json"))
    assert (row["num_params"], row["macs"], row["input_size"]) == (25_557_032, 4_089_184_256, 224)
    assert row["weights"] == {"IMAGENET1K_V2": 80.858, "IMAGENET1K_V1": 76.13}


def test_users_own_models_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    MODELS.add("my_net_of_the_list_test", "torch.nn:Identity", summary="mine alone")
    assert "mine alone" in run(capsys, "models", "my_net_of_the_list_test")


def test_faults_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "maybe  models" in error(capsys, "modles")
    assert "no model matches 'zebra'" in error(capsys, "models", "zebra")
    assert "maybe  resnet50" in error(capsys, "models", "resnet5O")
    assert "among models only" in error(capsys, "losses", "--max-params", "3M")
    assert "no model" in error(capsys, "models", "--max-params", "10")
    assert "'few' is not a count: write 10M" in error(capsys, "models", "--max-params", "few")
    with pytest.raises(UnknownNameError):
        registry("zebras")


def test_counts_as_people_write_them() -> None:
    assert [parse_count(text) for text in ("12", "10M", "1.5k", "2e6", "1B", "3 g")] == [
        12,
        10_000_000,
        1500,
        2_000_000,
        1_000_000_000,
        3_000_000_000,
    ]


def test_lists_need_no_torch() -> None:
    code = """
import sys, time
from scirs_neural import list, info
began = time.process_time()
for argv in ([], ["models"], ["models", "zebra"], ["layers"], ["optimizers"]):
    try:
        list.main(argv)
    except Exception as error:
        assert type(error).__name__ == "UnknownNameError", error
info.main(["resnet50"])
heavy = {"torch", "torchvision", "lightning", "numpy", "hydra", "pydantic", "sklearn"} & set(sys.modules)
assert not heavy, heavy
print("modules", len(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 700
