"""Floors that are about security, and pins that can be installed: hashed, without any address, fitting each other."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = (ROOT / "pins.txt").read_text()

# A release that must not be accepted any more, and the reason.
REFUSED = [
    ("lightning", "2.6.5", "CVE-2026-58659"),
    ("lightning", "2.6.3", "malware on the index"),
    ("lightning", "2.6.2", "malware on the index"),
    ("hydra-core", "1.3.5", "GHSA-37p2-j732-x8pj: the deny-list can be bypassed"),
    ("torch", "2.8.0", "no fixed weights_only loader; torch_xla's pair is 2.9"),
    ("onnx", "1.20.1", "paths of external data leave the folder"),
]


def wanted(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text]


CORE = wanted(PROJECT["dependencies"])
EXTRAS = {extra: wanted(lines) for extra, lines in PROJECT["optional-dependencies"].items()}
EVERYTHING = [*CORE, *(need for needs in EXTRAS.values() for need in needs)]


def pinned() -> dict[str, list[tuple[Version, Requirement]]]:
    """By name: each pinned version with its marker."""
    found: dict[str, list[tuple[Version, Requirement]]] = {}
    for line in PINS.splitlines():
        if line and not line.startswith((" ", "#")):
            need = Requirement(line.removesuffix("\\").strip())
            (only,) = need.specifier
            assert only.operator == "==", line
            found.setdefault(canonicalize_name(need.name), []).append((Version(only.version), need))
    return found


@pytest.mark.parametrize(("name", "release", "reason"), REFUSED, ids=[f"{n}-{v}" for n, v, _ in REFUSED])
def test_releases_with_known_holes_are_refused(name, release, reason):
    needs = [need for need in EVERYTHING if need.name == name]
    assert needs or name == "onnx"
    for need in needs:
        assert not need.specifier.contains(release, prereleases=True), reason
    for held, _ in pinned().get(name, []):
        assert held > Version(release), reason


HELD = {"lightning"}  # `training/loops` replaces private parts of it, which `test_lightning_parts` names


def test_every_core_dependency_has_a_floor_and_no_ceiling_without_a_reason():
    for need in CORE:
        ceiling = {"<"} if need.name in HELD else set()
        assert {part.operator for part in need.specifier} <= {">=", "!="} | ceiling, str(need)
        assert any(part.operator == ">=" for part in need.specifier), str(need)
        assert need.url is None


def test_extras_name_no_core_dependency_and_no_address():
    core = {need.name for need in CORE}
    for extra, needs in EXTRAS.items():
        assert all(need.url is None for need in needs)
        assert not core & {need.name for need in needs}, extra


def test_every_pin_has_hashes():
    blocks = re.split(r"\n(?=[A-Za-z0-9])", "\n" + PINS.strip())
    pins = [block for block in blocks if re.match(r"[A-Za-z0-9]", block)]
    assert len(pins) == sum(len(held) for held in pinned().values()) > 40
    for block in pins:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]


def test_pins_hold_no_address():
    for word in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host", " @ ", "-f ", "-i "):
        assert word not in PINS, word


def test_pins_fit_what_the_project_asks_for():
    held = pinned()
    for need in EVERYTHING:
        if need.name in ("scirs-neural",):
            continue
        assert canonicalize_name(need.name) in held, f"{need.name} has no pin"
        for release, _ in held[canonicalize_name(need.name)]:
            assert need.specifier.contains(release, prereleases=True), f"{need} is pinned to {release}"


def test_torch_and_torchvision_are_pinned_as_a_pair():
    (torch_pin, _), (vision_pin, _) = pinned()["torch"][0], pinned()["torchvision"][0]
    assert Version(version("torchvision")).base_version == vision_pin.base_version, (
        "the installed pair is not the pinned one"
    )
    asked = next(Requirement(line) for line in requires("torchvision") or [] if re.match(r"torch\b(?!vision)", line))
    assert asked.specifier.contains(torch_pin, prereleases=True)
    assert asked.specifier.contains(Version(version("torch")).base_version, prereleases=True)


def test_what_is_installed_is_what_the_project_asks_for():
    for need in CORE:
        assert need.specifier.contains(version(need.name), prereleases=True), (
            f"{need}, installed is {version(need.name)}"
        )
