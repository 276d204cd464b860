"""``python -m scirs_neural.info NAME``: everything about one name, of whatever kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scirs_neural.core.command import run_command
from scirs_neural.core.registries import REGISTRIES, registry
from scirs_neural.info import main
from scirs_neural.models import catalogue


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run_command(main, list(argv)) == 0
    return capsys.readouterr().out


def facts(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    return json.loads(run(capsys, name, "--json"))


@pytest.mark.parametrize("columns", [80, 120])
def test_a_model(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    said = run(capsys, "resnet50")
    assert max(map(len, said.splitlines())) <= columns
    for part in ("Deep Residual Learning", "arXiv:1512.03385, 2015", "BSD-3-Clause", "(N, 3, 224, 224)", "(N, 1000)"):
        assert part in said
    for part in ("25,557,032", "4.09 G", "zero_init_residual", "IMAGENET1K_V2", "80.86", "small"):
        assert part in said


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_model_can_be_shown(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert f"{catalogue()[name].num_params:,}" in run(capsys, f"model:{name}")


def test_weights_say_their_licence_and_whether_they_are_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    (model,) = facts(capsys, "vit_b_16")
    swag = next(held for held in model["weights"] if held["name"] == "IMAGENET1K_SWAG_E2E_V1")
    assert (swag["licence"], swag["input_size"], swag["cached"]) == ("CC-BY-NC-4.0", 384, False)
    assert swag["path"] == str(tmp_path / "checkpoints" / "vit_b_16_swag-9ac1b537.pth")
    Path(swag["path"]).parent.mkdir()
    Path(swag["path"]).touch()
    (model,) = facts(capsys, "vit_b_16")
    assert [held["cached"] for held in model["weights"]] == [False, True, False]
    assert " yes" in run(capsys, "vit_b_16")


@pytest.mark.parametrize("kind", [kind for kind in sorted(REGISTRIES) if len(registry(kind))])
def test_every_kind_is_described(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    held = registry(kind)
    name = held.names()[0]
    (fact,) = facts(capsys, f"{kind}:{name}")
    assert fact["kind"] == held.kind
    assert fact["options"].keys() == held.options(name).keys()
    assert fact["target"].count(":") == 1
    assert fact["summary"]


def test_options_and_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    (fact,) = facts(capsys, "layer:linear")
    assert fact["options"]["in_features"] == "required"
    assert fact["options"]["bias"] == "True"


def test_a_name_of_several_kinds_is_shown_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert [fact["kind"] for fact in facts(capsys, "linear")] == ["layer", "scheduler"]
    assert [fact["kind"] for fact in facts(capsys, "scheduler:linear")] == ["scheduler"]


@pytest.mark.parametrize(
    ("asked", "suggestions"),
    [("resnt50", "resnet50"), ("adamwe", "adamw"), ("cros_entropy", "cross_entropy"), ("digit", "digits")],
)
def test_unknown_names_get_the_nearest_of_all_kinds(
    capsys: pytest.CaptureFixture[str], asked: str, suggestions: str
) -> None:
    assert run_command(main, [asked]) == 2
    said = capsys.readouterr().err
    assert f"nothing is called '{asked}'" in said
    assert suggestions in said.partition("maybe")[2].splitlines()[0]


def test_unknown_names_of_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, ["loss:resnet50"]) == 2
    assert "unknown loss 'resnet50'" in capsys.readouterr().err
    assert run_command(main, ["zebra:resnet50"]) == 2
    assert "unknown kind 'zebra'" in capsys.readouterr().err
